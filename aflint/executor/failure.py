"""What an executor reports of an exception that ended a task."""

from __future__ import annotations

import copy
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType, TracebackType
from typing import Any, Final

import cloudpickle

from aflint.codec.closure import advice_on_missing
from aflint.errors import AflintError, SerializationError, TaskError, shown
from aflint.executor.fusion import FUSED
from aflint.task import TaskFailure, TaskId
from aflint.wire import pack

IN_FUNCTION = "AWS_LAMBDA_FUNCTION_NAME"
"""Lambda sets this variable. A worker of this machine imports what its driver can."""

_EXPLAINING = ("aflint.executor.operators", "aflint.executor.pipe", "aflint.executor.pipeline")
"""Modules whose errors say it all."""

_ON_RECORDS = (
    "aflint.executor.aggregate",
    "aflint.executor.in_tasks",
    "aflint.executor.partition",
    "aflint.statistics",
)
"""Modules that fail where records, or what a built-in function makes of them, do not fit."""

MOST_CHARACTERS: Final = 16_000
"""What is kept of the text of an error, half of it from the beginning and half from the end."""

MOST_PICKLED_BYTES: Final = 256 * 1024

_PAIRS = (
    "This step works on (key, value) pairs, and a record is not one. Make pairs first, as "
    "map(lambda record: (key, value)) does."
)
_ORDER = (
    "What is to be put in order cannot be compared. Give a key function that returns values of one "
    "type, such as key=lambda x: (x is not None, x or 0) where some are None."
)
_ITERABLE = (
    "The function must return something to iterate over, such as a list; an empty list where there "
    "are no records."
)
_HINTS: tuple[tuple[type[Exception], str, str], ...] = (
    (TypeError, "cannot unpack non-iterable|object is not subscriptable", _PAIRS),
    (ValueError, r"values to unpack \(expected 2", _PAIRS),
    (IndexError, "index out of range", _PAIRS),
    (TypeError, "not supported between instances of", _ORDER),
    (TypeError, "object is not iterable", _ITERABLE),
)


def describe(error: BaseException, task: TaskId) -> TaskFailure:
    """Return the report of an exception that ended a task.

    An error of aflint's own goes by its class; anything else is the user's, and goes with its
    traceback, cut down to the user's own lines, and with the exception itself if it can be pickled.
    Of texts that are very long, the beginning and the end go.
    """
    where = f"in partition {task.partition} of stage {task.stage}, attempt {task.attempt}"
    if isinstance(error, SerializationError):
        found = {**_plain(vars(error)), "partition": task.partition}
        message = shortened(f"{error} ({where})")
        return TaskFailure(type(error).__name__, message, found, lineless=True)
    if isinstance(error, AflintError):
        return TaskFailure(type(error).__name__, shortened(str(error)), _plain(vars(error)))
    # `raised` names the class that user code raised, which is not always the one shown.
    raised, error = error, _without_generator(error)
    hint, explained = hint_for(error) or _definition(error), _is_explained(error)
    # A hint or an explanation says it all: no traceback is shown with it.
    users = None if hint or explained else users_part(error)
    text = shortened("".join(traceback.format_exception(type(error), error, users)))
    details = {
        "partition": task.partition,
        "stage": task.stage,
        "attempt": task.attempt,
        "raised": type(raised if raised is error else raised.__cause__).__name__,
        "remote_traceback": text,
    }
    lineless = users is None or _is_ours(users)
    more = hint if hint or explained else text
    if more is text and lineless and _is_on_records(error):
        more = _failed_record(error)  # by a built-in function: the lines are all aflint's
    more = f"\n\n{more}" if more else ""
    if isinstance(error, ModuleNotFoundError) and IN_FUNCTION in os.environ:
        more += f"\n{advice_on_missing(error)}."
    message = f"{_one_line(error)} ({where}){more}"
    return TaskFailure(TaskError.__name__, message, details, _pickled(error), lineless)


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return the beginning and the end of a text that is longer than `most`."""
    if len(text) <= most:
        return text
    half = most // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n... {left_out:,} characters are left out ...\n{text[-half:]}"


def _without_generator(error: BaseException) -> BaseException:
    """Return an error that says where StopIteration was raised, for one made of it by a generator.

    Most records pass through generators of aflint's, whose own lines say nothing to the user.
    """
    stop = error.__cause__
    if not isinstance(error, RuntimeError) or not isinstance(stop, StopIteration):
        return error
    told = RuntimeError(
        f"a function raised {stop!r}, which an iterator would take for the end of the records: "
        "return, or raise another error"
    )
    return told.with_traceback(stop.__traceback__)


def hint_for(error: BaseException) -> str:
    """Say what a record must be where it was not what a step of aflint's own loops needs.

    Empty for an error that user code raised, or that is not known.
    """
    frame = _innermost(error)
    if frame is None or not _is_ours(frame):
        return ""
    for kind, pattern, advice in _HINTS:
        if isinstance(error, kind) and re.search(pattern, str(error)):
            records = _records_of(frame, advice)
            return f"{advice} The record is {shown(records[0])}." if records else advice
    return ""


def _is_on_records(error: BaseException) -> bool:
    """Say whether an error came of a record, or of what a built-in function made of one."""
    frame = _innermost(error)
    if frame is None:
        return False
    fused = frame.tb_frame.f_code.co_filename == FUSED
    return fused or frame.tb_frame.f_globals.get("__name__") in _ON_RECORDS


def _failed_record(error: BaseException) -> str:
    frame = _innermost(error)
    records = _records_of(frame, "") if frame is not None else []
    return f"The record is {shown(records[0])}." if records else ""


def _records_of(frame: TracebackType, advice: str) -> list[Any]:
    """Return the record that a loop of aflint's failed at, in a list; an empty list if there is no
    telling.
    """
    values = frame.tb_frame.f_locals
    if frame.tb_frame.f_code.co_filename == FUSED:
        return [values["x"]] if "x" in values else []
    if advice is not _PAIRS:
        return []
    # By the names of variables: loops over pairs have `pair`, and those over a block of them
    # `block` or `held`, of which it is the first that is not a pair.
    one = [values["pair"]] if "pair" in values else []
    among = one or values.get("block") or values.get("held") or []
    return [record for record in among if not _is_pair(record)][:1]


def _is_pair(record: Any) -> bool:
    try:
        record[0]
        _key, _value = record
    except Exception:  # a class of the user's may do anything when taken apart
        return False
    return True


def _definition(error: BaseException) -> str:
    """Show where a function is defined that was called with other arguments than it takes.

    The call failed before any line of it ran, so that the traceback has none of it.
    """
    if type(error) is not TypeError:  # a class of the user's may do anything when shown
        return ""
    said = re.match(r"(.+?)\(\) (?:takes|missing|got)", str(error))
    frame = _innermost(error)
    if said is None or frame is None:
        return ""
    for function in _functions(frame.tb_frame.f_locals.values()):
        if function.__qualname__ == said[1]:
            code = function.__code__
            line = traceback.FrameSummary(code.co_filename, code.co_firstlineno, code.co_name)
            return f"It is defined here:\n{''.join(traceback.format_list([line]))}"
    return ""


def _functions(values: Iterable[Any]) -> Iterator[FunctionType]:
    """Give the functions among values, and those in the lists, methods and partials among them."""
    for value in values:
        if isinstance(value, FunctionType):
            yield value
        elif isinstance(value, MethodType):
            yield from _functions([value.__func__])
        elif isinstance(value, partial):
            yield from _functions([value.func, *value.args])
        elif type(value) in (list, tuple):
            yield from _functions(value)
        elif is_dataclass(value) and not isinstance(value, type):
            yield from _functions(getattr(value, field.name, None) for field in fields(value))


def _is_explained(error: BaseException) -> bool:
    """Say whether a step of aflint's raised an error that needs no traceback."""
    frame = _innermost(error)
    return frame is not None and frame.tb_frame.f_globals.get("__name__") in _EXPLAINING


def _innermost(error: BaseException) -> TracebackType | None:
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step


def _one_line(error: BaseException) -> str:
    said = "".join(traceback.format_exception_only(error)).strip().splitlines()
    line = said[-1] if isinstance(error, SyntaxError) else said[0]  # which begins with the place
    return shortened(line, MOST_CHARACTERS // 8)


def users_part(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first frame that is not aflint's, or all of it."""
    step = error.__traceback__
    while step is not None:
        if not _is_ours(step):
            return step
        step = step.tb_next
    return error.__traceback__


def _is_ours(step: TracebackType) -> bool:
    module = step.tb_frame.f_globals.get("__name__", "")
    fused = step.tb_frame.f_code.co_filename == FUSED
    return fused or module == "aflint" or module.startswith("aflint.")


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    plain = {}
    for name, value in attributes.items():
        try:
            pack(value)
        except (TypeError, ValueError, OverflowError):
            value = repr(value)
        plain[name] = shortened(value) if isinstance(value, str) else value
    # `__notes__` and the like are Python's own.
    return {name: value for name, value in plain.items() if not name.startswith("__")}


def _pickled(error: BaseException) -> bytes | None:
    """Return an exception pickled, with its texts shortened where it is large; None where it cannot
    be pickled, or is large all the same.
    """
    try:
        data = _pickle(error)
        if len(data) > MOST_PICKLED_BYTES:
            error = copy.copy(error)
            error.args = tuple(shortened(a) if isinstance(a, str) else a for a in error.args)
            data = _pickle(error)
    except Exception:  # a user's exception may do anything when pickled; its traceback still goes
        return None
    return data if len(data) <= MOST_PICKLED_BYTES else None


def _pickle(error: BaseException) -> bytes:
    data: bytes = cloudpickle.dumps(error)
    cloudpickle.loads(data)  # many exceptions can be pickled, and fail when they are unpickled
    return data
