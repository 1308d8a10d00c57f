"""What an executor reports of an exception that ended a task."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

import cloudpickle

from aflint.errors import AflintError, TaskError
from aflint.task import TaskFailure, TaskId
from aflint.wire import pack


def describe(error: BaseException, task: TaskId) -> TaskFailure:
    """Return the report of an exception that ended a task.

    An error of aflint's own goes by its class; anything else is the user's, and goes with its
    traceback, cut down to the user's own lines, and with the exception itself if it can be pickled.
    """
    if isinstance(error, AflintError):
        return TaskFailure(type(error).__name__, str(error), _plain(vars(error)))
    shown = "".join(traceback.format_exception(type(error), error, _users_part(error)))
    details = {"partition": task.partition, "remote_traceback": shown}
    where = f"in partition {task.partition} of stage {task.stage}"
    message = f"{_one_line(error)} ({where})\n\n{shown}"
    return TaskFailure(TaskError.__name__, message, details, _pickled(error))


def _one_line(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]


def _users_part(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first frame that is not aflint's, or all of it."""
    step = error.__traceback__
    while step is not None:
        if not _is_ours(step):
            return step
        step = step.tb_next
    return error.__traceback__


def _is_ours(step: TracebackType) -> bool:
    module = step.tb_frame.f_globals.get("__name__", "")
    fused = step.tb_frame.f_code.co_filename == "<aflint fused steps>"
    return fused or module == "aflint" or module.startswith("aflint.")


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    plain = {}
    for name, value in attributes.items():
        try:
            pack(value)
        except (TypeError, ValueError, OverflowError):
            value = repr(value)
        plain[name] = value
    return {name: value for name, value in plain.items() if not name.startswith("__")}


def _pickled(error: BaseException) -> bytes | None:
    try:
        data: bytes = cloudpickle.dumps(error)
        cloudpickle.loads(data)
    except Exception:  # a user's exception may do anything when pickled; its traceback still goes
        return None
    return data
