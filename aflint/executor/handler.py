"""The entry point in a Lambda function: one task for each invocation, by the local worker's runner.

What it imports is what a cold start pays for: no AWS library, nothing of the driver. The executor
lives as long as the environment, so that a warm start finds programs and connections where the
last task left them. Nothing of a request is decoded before it was found to be sealed with the
deployment's secret, fresh, and not seen before.
"""

from __future__ import annotations

import faulthandler
import os
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from aflint import __version__
from aflint.aws import envelope
from aflint.codec import sealed
from aflint.codec.digest import digest_of
from aflint.codec.sealed import Opener
from aflint.codec.secret import SECRET_VARIABLE, Secret
from aflint.errors import BundleMismatchError, FrameError, PayloadRefusedError
from aflint.executor.descriptors import (
    closed_since,
    end_process,
    open_descriptors,
    what_lies_behind,
)
from aflint.executor.io_loop import IOLoop
from aflint.executor.memory import collect_seldom
from aflint.executor.runner import Executor
from aflint.limits import LAMBDA_TMP_MIN_MB
from aflint.storage.router import open_storage
from aflint.task import AwsEndpoints, TaskDescription, TaskResult
from aflint.transport import create_transport
from aflint.wire import pack

TMP_VARIABLE = "AFLINT__TMP_MB"
"""The variable in which `aflint deploy` leaves the size of /tmp, which Lambda does not say."""

_ENVIRONMENT = "AWS_LAMBDA_LOG_STREAM_NAME"
"""The variable in which Lambda names an environment: a date, the version and 32 hexadecimal digits,
of which the last few will do.
"""
_MOST_NAME = 12

_TMP_SHARE = 0.8 * 1024 * 1024
"""Bytes to spill to /tmp for each MB of it; the rest is for user code."""


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation is killed."""
        ...


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Run the task of an invocation; requests and responses are those of `aflint.aws.envelope`."""
    if difference := envelope.mismatch(event, __version__):
        return _refuse(BundleMismatchError, difference)
    # Taken first: what is done from here on is part of the function's time.
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    try:
        opener = _opener()
        if sealed.HOLD in event:
            seconds = sealed.open_hold(opener, envelope.bytes_of(event[sealed.HOLD]))
            time.sleep(seconds)
            return {"aflint": __version__, "python": envelope.PYTHON}
        task = _task(event, opener)
    except (BundleMismatchError, PayloadRefusedError) as error:
        return _refuse(type(error), str(error))
    except FrameError as error:
        return _refuse(PayloadRefusedError, str(error))
    executor, essential = _executor(task.aws)
    # Connections of the I/O loop come and go by themselves.
    before = what_lies_behind(essential - executor.io.descriptors)
    result = executor.run(task, deadline)
    if closed := closed_since(before):
        numbers = ", ".join(map(str, closed))
        what = f"partition {task.id.partition} of stage {task.id.stage}"
        end_process(f"{what} closed descriptors that its process needs ({numbers}), so it ends")
    return _respond(result, task)


def _refuse(kind: type[Exception], reason: str) -> dict[str, str]:
    return {"refused": reason, "kind": kind.__name__}


@cache
def _opener() -> Opener:
    """Return what opens requests.

    The secret leaves the environment, so that user code which shows that, or processes that it
    starts, do not pass it on. Raises BundleMismatchError if it is missing.
    """
    try:
        return Opener(Secret.from_text(os.environ.pop(SECRET_VARIABLE)))
    except (KeyError, ValueError):
        raise BundleMismatchError(
            f"the function has no {SECRET_VARIABLE}: run `aflint deploy`"
        ) from None


@cache
def _io() -> IOLoop:
    return IOLoop().__enter__()


@cache
def _executor(endpoints: AwsEndpoints | None) -> tuple[Executor, frozenset[int]]:
    """Return the executor, and the descriptors that the process has before any user code runs."""
    scratch = Path(tempfile.gettempdir()) / "aflint"
    scratch.mkdir(exist_ok=True)
    faulthandler.enable(2, all_threads=False)  # short: of a log, Lambda gives the last 4 KiB
    collect_seldom()
    room = int(os.environ.get(TMP_VARIABLE, LAMBDA_TMP_MIN_MB)) * _TMP_SHARE
    aws = None
    if endpoints is not None:
        from aflint.aws.bare.aws import connect  # what a call to hold the environment does not need

        aws = connect(endpoints)
    transport_for = partial(create_transport, aws=aws)
    executor = Executor(
        _io(), open_storage(aws), transport_for, scratch, _opener().secret, int(room),
        name=name_of(os.environ.get(_ENVIRONMENT, "")),
    )  # fmt: skip
    return executor, open_descriptors()


def name_of(log_stream: str) -> str:
    """Return what an environment is called by: the end of what stands behind its version."""
    return log_stream.rpartition("]")[2][-_MOST_NAME:]


def _task(event: dict[str, Any], opener: Opener) -> TaskDescription:
    if sealed.AT in event:
        address, aws = sealed.open_address(opener, envelope.bytes_of(event[sealed.AT]))
        executor, _ = _executor(aws)
        return sealed.open_task(opener, executor.io.run(executor.storage.read(address)))
    return sealed.open_task(opener, envelope.bytes_of(event.get(sealed.TASK, "")))


def _respond(result: TaskResult, task: TaskDescription) -> Any:
    """Return a result inline while it fits a response, else where it is stored."""
    packed = pack(result)
    if len(packed) <= envelope.MOST_RESPONSE:
        return envelope.text_of(packed)
    executor, _ = _executor(task.aws)
    name = digest_of(packed)
    location = f"{task.storage}/results/{task.id.job}/{name}"
    executor.io.run(executor.storage.write(location, packed))
    return {"at": location, "digest": name}
