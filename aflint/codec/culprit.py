"""Which part of an object it is that cannot be pickled, and the path that leads to it.

Slow on purpose: it pickles every part again, and runs only once pickling the whole has failed.
"""

from __future__ import annotations

import functools
import io
import os
import re
import socket
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

import cloudpickle

_DEEPEST = 100
_STEPS_SHOWN = 8
_OF_LINEAGE = re.compile(r" of aflint\.plan\.(program|lineage)\.")

Part = tuple[str, Any]


@dataclass(frozen=True)
class Culprit:
    """The innermost part that cannot be pickled: the steps to it, and what pickling it raises."""

    steps: tuple[str, ...]
    part: Any
    error: Exception

    def __str__(self) -> str:
        """Path and type: "closure variable 'lock' of function 'f' (app.py:3): _thread.lock"."""
        steps = _shorten(_without_lineage(self.steps))
        return ": ".join(filter(None, (steps, type_name(self.part))))

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _advise(self.part)


def find(root: Any, error: Exception) -> Culprit:
    """Return the culprit in `root`, which raised `error` when it was pickled."""
    steps: list[str] = []
    seen: set[int] = set()
    while len(steps) < _DEEPEST:
        seen.add(id(root))
        # From the whole into the first part that fails, as long as one of its parts does.
        failing = _first_failing(root, seen)
        if failing is None:
            break
        step, root, error = failing
        steps.append(step)
    return Culprit(tuple(steps), root, error)


def describe_function(function: Any) -> str:
    """Name, file and line of a function: "function 'parse' (app.py:12)"."""
    code = function.__code__
    path = code.co_filename
    here = os.path.join(os.getcwd(), "")
    place = f"{path.removeprefix(here)}:{code.co_firstlineno}"
    name = function.__name__
    return f"{'a lambda' if name == '<lambda>' else f'function {name!r}'} ({place})"


def type_name(value: Any) -> str:
    """The type of `value` with its module, where that says something."""
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def _first_failing(value: Any, seen: set[int]) -> tuple[str, Any, Exception] | None:
    for step, part in _parts(value):
        # Objects refer to each other: without this the path would go in circles.
        if id(part) in seen:
            continue
        error = _error_of(part)
        if error is not None:
            return step, part, error
    return None


def _error_of(part: Any) -> Exception | None:
    try:
        cloudpickle.dumps(part)
    except Exception as error:  # whatever it raises is the answer
        return error
    return None


def _parts(value: Any) -> Iterator[Part]:
    """The parts that pickling `value` would pickle, each with the step that leads to it."""
    match value:
        case types.FunctionType():
            yield from _function_parts(value)
        case types.MethodType():
            yield f"the object of its method {value.__name__!r}", value.__self__
            yield f"its method {value.__name__!r}", value.__func__
        case functools.partial():
            yield "the function of a partial", value.func
            yield from _numbered("argument {} of a partial", value.args)
            yield from _named("argument {} of a partial", value.keywords)
        case type():
            yield from _named(f"attribute {{}} of class {value.__qualname__!r}", vars(value))
        case staticmethod() | classmethod():
            yield "its function", value.__func__
        case property():
            yield from _named("{} of a property", {"fget": value.fget, "fset": value.fset})
        case _ if type(value) in (list, tuple, set, frozenset):
            yield from _numbered("[{}]", value)
        case _ if type(value) is dict:
            yield from ((f"key {key!r}", key) for key in value)
            yield from ((f"[{key!r}]", part) for key, part in value.items())
        case _:
            yield from _object_parts(value)


def _function_parts(function: types.FunctionType) -> Iterator[Part]:
    where = describe_function(function)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield f"closure variable {name!r} of {where}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:
            yield f"global variable {name!r} of {where}", function.__globals__[name]
    yield from _numbered(f"default value {{}} of {where}", function.__defaults__ or ())
    yield from _named(f"default of argument {{}} of {where}", function.__kwdefaults__ or {})
    yield from _named(f"attribute {{}} of {where}", vars(function))


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _object_parts(value: Any) -> Iterator[Part]:
    try:
        reduced = value.__reduce_ex__(5)
    except Exception:  # then it is the object itself that cannot be pickled
        return
    if not isinstance(reduced, tuple):
        return
    # What `__reduce_ex__` returns may lack its last items.
    whole: tuple[Any, ...] = (*reduced, None, None, None)
    _, arguments, state, items, pairs, *_ = whole
    of = f"of {type_name(value)} object"
    for attributes in state if isinstance(state, tuple) else (state,):
        if isinstance(attributes, Mapping):
            yield from _named(f"attribute {{}} {of}", attributes)
        elif attributes is not None:
            yield f"the state {of}", attributes
    yield from _numbered(f"part {{}} {of}", arguments)
    yield from _numbered("[{}]", items or ())
    yield from ((f"[{key!r}]", part) for key, part in pairs or ())


def _numbered(step: str, parts: Any) -> Iterator[Part]:
    return ((step.format(place), part) for place, part in enumerate(parts))


def _named(step: str, parts: Mapping[Any, Any]) -> Iterator[Part]:
    return ((step.format(repr(name)), part) for name, part in list(parts.items()))


def _without_lineage(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the way through aflint's own lineage, which tells its reader nothing."""
    ours = [place for place, step in enumerate(steps) if _OF_LINEAGE.search(step)]
    if not ours:
        return steps
    return tuple(dropwhile(lambda step: step.startswith("["), steps[ours[-1] + 1 :]))


def _shorten(steps: tuple[str, ...]) -> str:
    # The beginning says whose object it is, the end what is wrong with it.
    if len(steps) > _STEPS_SHOWN:
        steps = (*steps[:4], "...", *steps[-3:])
    return ", ".join(steps)


def _advise(part: Any) -> str:
    kind = type(part)
    if isinstance(part, io.IOBase):
        return "Pass its path, and open it inside the function"
    if isinstance(part, socket.socket) or "onnection" in kind.__name__:
        return "Open it inside the function: once for each partition, not for each record"
    if isinstance(part, types.GeneratorType | Iterator):
        return "Turn it into a list first"
    if kind.__module__ in ("_thread", "threading", "asyncio.locks"):
        return (
            "Each executor is a process of its own, so that a lock would guard nothing: create it "
            "inside the function, or leave it out of the object's state with __getstate__"
        )
    return (
        "Create it inside the function (once for each partition, not for each record), pass plain "
        "data in its place, or give its class a __reduce__ method"
    )
