"""Sealed payloads: an executor opens only what a driver of its own deployment sent to it.

    version (1 byte) | tag (32) | issued (8) | nonce (16) | sizes of the two names (1, 1) |
    purpose | job | body

`issued` is in nanoseconds since 1970. The tag is BLAKE2b, keyed with the job's key, over every byte
but its own. The body is not looked at before the tag is verified and the payload is known to be
fresh and not to have been opened here before.
"""

from __future__ import annotations

import hmac
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final

from aflint.codec.secret import Secret, tag
from aflint.errors import InvalidArgumentError, PayloadRefusedError
from aflint.task import AwsEndpoints, TaskDescription
from aflint.wire import pack, unpack

VERSION: Final = 2
TAG_BYTES: Final = 32

FRESH_S: Final = 900.0
"""How far a payload's time may be from the executor's clock.

A payload is sealed when it is sent. After that it may wait for a connection, be signed again when
AWS calls its signature too old (5 minutes), and wait for a new environment (some 10 s, a minute for
a large image); and AWS lets the two clocks differ by 5 minutes. With some room: 15 minutes.
"""

MOST_REMEMBERED: Final = 32_768
"""Nonces that one process keeps, some 6 MB. A payload that so many others overtook is refused, as
it may be a repetition; one process takes longer to open so many than a payload can be under way."""

_USE = b"aflint payload"
"""The tag of a frame, made under the same key, is not one of a payload."""

_NS = 1_000_000_000
_HEAD = struct.Struct(">B32sQ16sBB")
_SIGNED = struct.Struct(">Q16sBB")
"""What of the head is behind the tag."""
_VERSION = bytes((VERSION,))
_LONGEST_NAME = 255
MOST_ADDED: Final = _HEAD.size + 2 * _LONGEST_NAME
"""The most bytes by which a sealed payload is longer than its body."""


class Refusal(StrEnum):
    """Why a payload was refused."""

    TRUNCATED = "it is cut short"
    VERSION = "it is of another version"
    PURPOSE = "it was sealed for another purpose"
    ALTERED = "it was altered, or sealed with another secret"
    EXPIRED = "it was sealed too long ago, or in the future"
    REPEATED = "it was opened here before"


_ADVICE = {
    Refusal.VERSION: "Run the same aflint in driver and executors: `aflint deploy`",
    Refusal.ALTERED: (
        "If the deployment was given a new secret since this session began, connect again; "
        "if not, it was sent by a caller that does not have the secret"
    ),
    Refusal.EXPIRED: "Set the driver's clock right",
}


def seal(secret: Secret, purpose: str, job: str, body: bytes, now: float | None = None) -> bytes:
    """Return `body` sealed under the key of a job, for one purpose and for one opening.

    `now` is in seconds since 1970. Raises InvalidArgumentError for a name of more than 255 bytes.
    """
    purpose_name, job_name = purpose.encode(), job.encode()
    if len(purpose_name) > _LONGEST_NAME or len(job_name) > _LONGEST_NAME:
        raise InvalidArgumentError(f"the name of a job or purpose is too long: {job!r}, {purpose}")
    issued = int((time.time() if now is None else now) * _NS)
    front = _SIGNED.pack(issued, os.urandom(16), len(purpose_name), len(job_name))
    signed = b"".join((front, purpose_name, job_name, body))
    return b"".join((_VERSION, _tag(secret, job, _VERSION, signed), signed))


@dataclass(slots=True)
class Opener:
    """Opens what was sealed with a secret. A process has one, which remembers what it opened.

    `clock` gives seconds since 1970.
    """

    secret: Secret = field(repr=False)
    clock: Callable[[], float] = time.time
    most: int = MOST_REMEMBERED
    # The nonces of opened payloads, and a heap of them by the time at which they were issued.
    _seen: set[bytes] = field(init=False, default_factory=set, repr=False)
    _by_time: list[tuple[int, bytes]] = field(init=False, default_factory=list, repr=False)
    # The latest time of a nonce that was dropped: anything as old may have been opened before.
    _floor: int = field(init=False, default=-1)

    def open(self, sealed: bytes, purpose: str) -> tuple[str, memoryview]:
        """Return the job and the body of a payload that was sealed for this purpose.

        Raises PayloadRefusedError for anything else, and for what was opened before.
        """
        if sealed[:1] and sealed[0] != VERSION:
            raise refused(Refusal.VERSION, f"version {sealed[0]}, and this aflint has {VERSION}")
        if len(sealed) < _HEAD.size:
            raise refused(Refusal.TRUNCATED, f"{len(sealed)} bytes")
        _, found, issued, nonce, purpose_size, job_size = _HEAD.unpack_from(sealed)
        view = memoryview(sealed)
        start = _HEAD.size + purpose_size + job_size
        if len(view) < start:
            raise refused(Refusal.TRUNCATED, f"{len(view)} bytes")
        claimed = bytes(view[_HEAD.size : _HEAD.size + purpose_size])
        job = str(view[_HEAD.size + purpose_size : start], "utf-8", "replace")
        # The key is that of the job that the payload claims: a false claim makes a wrong tag.
        expected = _tag(self.secret, job, _VERSION, view[1 + TAG_BYTES :])
        if not hmac.compare_digest(found, expected):
            raise refused(Refusal.ALTERED)
        if claimed != purpose.encode():
            raise refused(Refusal.PURPOSE, f"{claimed.decode()}, not {purpose}")
        self._admit(issued, nonce)
        return job, view[start:]

    def _admit(self, issued: int, nonce: bytes) -> None:
        """Refuse what is not fresh or was seen; remember the rest for as long as it is fresh."""
        now, window = int(self.clock() * _NS), int(FRESH_S * _NS)
        if abs(now - issued) > window:
            raise refused(Refusal.EXPIRED, f"{(now - issued) / _NS:+,.0f} s")
        if issued <= self._floor or nonce in self._seen:
            raise refused(Refusal.REPEATED)
        self._seen.add(nonce)
        heappush(self._by_time, (issued, nonce))
        while self._by_time and (
            len(self._by_time) > self.most or self._by_time[0][0] < now - window
        ):
            self._floor, oldest = heappop(self._by_time)
            self._seen.discard(oldest)


def refused(refusal: Refusal, detail: str = "") -> PayloadRefusedError:
    """Return the error for a payload that was not opened."""
    shown = f" ({detail})" if detail else ""
    advice = f". {_ADVICE[refusal]}" if refusal in _ADVICE else ""
    return PayloadRefusedError(f"an executor refused a payload: {refusal}{shown}{advice}")


def _tag(secret: Secret, job: str, *parts: bytes | memoryview) -> bytes:
    return tag(secret.key("job", job), *parts, size=TAG_BYTES, use=_USE)


# What drivers ask of executors, sealed: to run a task, to fetch one from storage, to wait.

TASK, AT, HOLD = "task", "at", "hold"
"""The purposes: a packed task; the place in storage of a sealed task; seconds to wait."""


def seal_task(secret: Secret, task: TaskDescription, now: float | None = None) -> bytes:
    """Return a task as bytes that one executor runs once."""
    return seal_packed(secret, task.id.job, pack(task), now)


def seal_packed(secret: Secret, job: str, packed: bytes, now: float | None = None) -> bytes:
    """Return as `seal_task` does a task of a job that is packed already."""
    return seal(secret, TASK, job, packed, now)


def open_task(opener: Opener, sealed: bytes) -> TaskDescription:
    """Return the task that `seal_task` was given.

    Raises PayloadRefusedError, before anything of the task was unpacked, for all that `Opener.open`
    refuses; and for what is no task of the job that it was sealed for.
    """
    job, body = opener.open(sealed, TASK)
    task = unpack(body)
    if not isinstance(task, TaskDescription) or task.id.job != job:
        raise refused(Refusal.PURPOSE, f"no task of job {job}")
    return task


def seal_address(
    secret: Secret, job: str, location: str, aws: AwsEndpoints | None, now: float | None = None
) -> bytes:
    """Return the place in storage of a sealed task, sealed itself: nothing else is read.

    `aws` says where that storage is found.
    """
    return seal(secret, AT, job, pack((location, aws)), now)


def open_address(opener: Opener, sealed: bytes) -> tuple[str, AwsEndpoints | None]:
    """Return what `seal_address` was given. Raises PayloadRefusedError."""
    location, aws = unpack(opener.open(sealed, AT)[1])
    return str(location), aws


def seal_hold(secret: Secret, seconds: float, now: float | None = None) -> bytes:
    """Return the request to wait so long and do nothing; it is of no job."""
    return seal(secret, HOLD, "", pack(seconds), now)


def open_hold(opener: Opener, sealed: bytes) -> float:
    """Return the seconds that `seal_hold` was given. Raises PayloadRefusedError."""
    return float(unpack(opener.open(sealed, HOLD)[1]))
