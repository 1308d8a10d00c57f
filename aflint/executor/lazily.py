"""Iterators that call functions lazily, and what they make of a StopIteration.

`map(f, records)` ends without a word where `f` raises StopIteration, as where the records end: what
is left of them is lost. The two can be told apart by the traceback: at its own end an iterator of C
raises StopIteration without a line of Python, or with that of a `__next__` written in Python. What
`itertools.chain` and `zip_longest` lose so within themselves cannot be known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import GeneratorType
from typing import Any, TypeVar

T = TypeVar("T")

_MODULES = ("builtins", "itertools")
_COLLECTIONS: tuple[Iterable[Any], ...] = (
    [], (), {}, {}.values(), {}.items(), set(), "", b"", bytearray(), range(0),
)  # fmt: skip
_HARMLESS = frozenset((GeneratorType, *map(type, map(iter, _COLLECTIONS))))


def may_leak(records: Iterator[Any]) -> bool:
    """Say whether an iterator may end where a function that it calls raises StopIteration.

    Generators make an error of that; iterators of the user's own classes are taken as they are.
    """
    kind = type(records)
    return kind.__module__ in _MODULES and kind not in _HARMLESS


def checked(records: Iterator[T]) -> Iterator[T]:
    """Return an iterator whose end is its own end: a StopIteration of a function is an error.

    That takes 35 ns a record, for iterators that may call functions.
    """
    return _checked(records) if may_leak(records) else records


def leaked(function: Callable[..., Any]) -> RuntimeError:
    """Return the error for what a function gave, which a StopIteration has ended before its end."""
    code = getattr(function, "__code__", None)
    place = f", {code.co_filename}:{code.co_firstlineno}," if code is not None else ""
    return RuntimeError(
        f"what {getattr(function, '__qualname__', function)}{place} gave was ended by a "
        "StopIteration that a function called by it raised: return, or raise another error"
    )


def _checked(records: Iterator[T]) -> Iterator[T]:
    """Yield what an iterator gives. Raises RuntimeError where it ends by a function's fault."""
    try:
        while True:
            yield next(records)
    except StopIteration as end:
        step = end.__traceback__.tb_next if end.__traceback__ is not None else None
        if step is not None and step.tb_frame.f_code.co_name != "__next__":
            raise  # out of a generator it comes as a RuntimeError
