"""What drivers ask of executors, sealed: to run a task, to fetch one from storage, to wait."""

from __future__ import annotations

from aflint.codec.sealed import Opener, Refusal, refused, seal
from aflint.codec.secret import Secret
from aflint.task import AwsEndpoints, TaskDescription
from aflint.wire import pack, unpack

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
