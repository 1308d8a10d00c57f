"""Sealed payloads: an executor opens only what a driver of its own deployment sent to it.

    version (1 byte) | tag (32) | issued (8) | nonce (16) | sizes of the two names (1, 1) |
    purpose | job | body

`issued` is in nanoseconds since 1970. The tag is BLAKE2b, keyed with the job's key, over every byte
but its own: the version, the body, the names, and last what tells two payloads of one body apart,
so that a body which begins as others do need be read only from where it differs. The body is not
looked at before the tag is verified and the payload is known to be fresh and not to have been
opened here before.
"""

from __future__ import annotations

import hmac
import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, Final

from aflint.codec.secret import Secret, tagging
from aflint.errors import FrameError, InvalidArgumentError, PayloadRefusedError
from aflint.map_outputs import apart, together
from aflint.task import AwsEndpoints, TaskDescription, TaskId
from aflint.wire import pack, unpack

VERSION: Final = 3
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
_SIZE = struct.Struct(">I")
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
    digest = _tagging(secret, job)
    digest.update(body)
    return _sealed(digest, purpose, job, body, b"", now)


def _sealed(
    digest: blake2b, purpose: str, job: str, body: bytes, rest: bytes, now: float | None
) -> bytes:
    """Return a body with the `rest` of it sealed; `digest` was updated with both."""
    purpose_name, job_name = purpose.encode(), job.encode()
    if len(purpose_name) > _LONGEST_NAME or len(job_name) > _LONGEST_NAME:
        raise InvalidArgumentError(f"the name of a job or purpose is too long: {job!r}, {purpose}")
    issued = int((time.time() if now is None else now) * _NS)
    front = _SIGNED.pack(issued, os.urandom(16), len(purpose_name), len(job_name))
    digest.update(b"".join((purpose_name, job_name, front)))
    return b"".join((_VERSION, digest.digest(), front, purpose_name, job_name, body, rest))


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
        # The front comes last. It says how long the names are that come before it, and the rest is
        # body: no two payloads are the same bytes in another order.
        digest = _tagging(self.secret, job)
        for part in (view[start:], view[_HEAD.size : start], view[1 + TAG_BYTES : _HEAD.size]):
            digest.update(part)
        if not hmac.compare_digest(found, digest.digest()):
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


def _tagging(secret: Secret, job: str) -> blake2b:
    digest = tagging(secret.key("job", job), size=TAG_BYTES, use=_USE)
    digest.update(_VERSION)
    return digest


# What drivers ask of executors, sealed: to run a task, to fetch one from storage, to wait,
# to hold cached partitions no more.

TASK, AT, HOLD, DROP = "task", "at", "hold", "drop"
"""The purposes: a packed task; the place in storage of a sealed task; seconds to wait; files of
cached partitions that need not be held any more.
"""


_COMMON: Final = (
    "program", "output", "transport", "storage", "memory_mb", "max_result_bytes",
    "fetch_timeout_s", "logs", "keep", "debug", "aws",
)  # fmt: skip
"""What tasks of a stage mostly have in common: all fields but those that `TaskSealer.pack` takes
for each.
"""

_common_of = attrgetter(*_COMMON)
_KEPT: Final = 8
"""So many stages may run side by side without being packed anew for each task."""


@dataclass(frozen=True, slots=True)
class _Common:
    """What tasks of a job have in common: packed, with its size before it, and the tag so far."""

    job: str
    values: tuple[Any, ...]
    packed: bytes
    digest: blake2b


@dataclass(slots=True)
class PackedTask:
    """A task that is sealed anew for each time it is sent; its length is that of its body."""

    _common: _Common
    _own: bytes

    def __len__(self) -> int:
        return len(self._common.packed) + len(self._own)

    def seal(self, now: float | None = None) -> bytes:
        """Return it as bytes that one executor runs once."""
        digest = self._common.digest.copy()
        digest.update(self._own)
        return _sealed(digest, TASK, self._common.job, self._common.packed, self._own, now)


class TaskSealer:
    """Seals tasks. What those of a stage have in common, its program and which map attempts they
    read above all, is packed and taken into the tag once for all of them.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        # The one used last at the end.
        self._latest: list[_Common] = []

    def pack(self, task: TaskDescription) -> PackedTask:
        """Return a task packed."""
        inputs, attempts = apart(task.inputs) if task.inputs else ((), ())
        common = self._common(task.id.job, (*_common_of(task), attempts))
        return PackedTask(common, pack((task.id, inputs, task.continuation, task.executor)))

    def _common(self, job: str, values: tuple[Any, ...]) -> _Common:
        # The objects are those of the stage, and the same ones are known to be equal at once.
        for each in reversed(self._latest):
            if each.values == values and each.job == job:
                return each
        body = pack(values)
        packed = _SIZE.pack(len(body)) + body
        digest = _tagging(self._secret, job)
        digest.update(packed)
        made = _Common(job, values, packed, digest)
        self._latest = [*self._latest[1 - _KEPT :], made]
        return made


def seal_task(secret: Secret, task: TaskDescription, now: float | None = None) -> bytes:
    """Return a task as bytes that one executor runs once."""
    return TaskSealer(secret).pack(task).seal(now)


def open_task(opener: Opener, sealed: bytes) -> TaskDescription:
    """Return the task that `seal_task` was given.

    Raises PayloadRefusedError, before anything of the task was unpacked, for all that `Opener.open`
    refuses; and for what is no task of the job that it was sealed for.
    """
    job, body = opener.open(sealed, TASK)
    try:
        (size,) = _SIZE.unpack_from(body)
        end = _SIZE.size + size
        common, own = unpack(body[_SIZE.size : end]), unpack(body[end:])
        *common, attempts = common
        id, inputs, continuation, executor = own
        task = TaskDescription(
            id=id,
            inputs=together(inputs, attempts),
            continuation=continuation,
            executor=executor,
            **dict(zip(_COMMON, common, strict=True)),
        )
    except (struct.error, TypeError, ValueError, FrameError) as error:
        raise refused(Refusal.PURPOSE, f"no task of job {job}: {error}") from error
    if not isinstance(id, TaskId) or id.job != job:
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


def seal_drop(secret: Secret, files: Sequence[str], now: float | None = None) -> bytes:
    """Return the request to hold nothing more of some cached partitions; it is of no job."""
    return seal(secret, DROP, "", pack(list(files)), now)


def asks_to_drop(sealed: bytes) -> bool:
    """Say whether a payload claims to be one of `seal_drop`; opening it tells whether it is."""
    return sealed[_HEAD.size : _HEAD.size + len(DROP)] == DROP.encode()


def open_drop(opener: Opener, sealed: bytes) -> list[str]:
    """Return the files of cached partitions to drop. Raises PayloadRefusedError."""
    return [str(file) for file in unpack(opener.open(sealed, DROP)[1])]
