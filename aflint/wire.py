"""Frozen dataclasses as msgpack, for what travels between driver and executor.

Plain data only: numbers of any size, strings, bytes, None, tuples, string- or integer-keyed dicts,
and classes marked with `wire`. Tuples come back as tuples; lists do, too, as tuples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import msgpack

from aflint.errors import FrameError

T = TypeVar("T")

_by_name: dict[str, type] = {}
_values: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
"""By class, what returns its name and the values of an object's fields, by one call of C."""
_latest: dict[type, tuple[Any, msgpack.ExtType]] = {}
"""Of each class whose objects are shared, the last one that was packed, and what it came to."""
_CLASS = 1
_BIG_INT = 2
_DEEPEST = 16
"""Classes within classes: a task needs five; some hundred overrun the stack of the C code."""

_BUFFER_BYTES = 1024
"""What a packer begins with, and grows as it needs to. By default it takes 256 KiB from the system
for each of the small values that a task's message is made of, which takes longer than packing them.
"""

_packers: list[msgpack.Packer] = []
"""Packers that nobody uses now: making one for each value takes as long as packing the value."""
_KEPT_BYTES = 512 * 1024
"""A packer keeps the memory of the largest value that it packed: after a larger one it goes. Nor is
a larger shared object held on to."""

_PATHS = "surrogatepass"
"""A file's name may hold bytes that are not text; Python has them as lone surrogates."""


def wire(cls: type[T]) -> type[T]:
    """Register a dataclass as one that may travel; its name is its identity on the wire."""
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    _by_name[cls.__name__] = cls
    # An attrgetter of one name gives no tuple.
    _values[cls] = attrgetter("__class__.__name__", *names) if names else _name_alone
    return cls


def shared(cls: type[T]) -> type[T]:
    """Register a class that many values in a row hold the same object of, and which holds nothing
    that changes: it is packed once for all of them.
    """
    _latest[cls] = None, msgpack.ExtType(_CLASS, b"")
    return cls


def travels_as(cls: type[T], convert: Callable[[T], Any]) -> None:
    """Have objects of a class travel as the wire values that `convert` makes of them."""

    def values(value: T) -> tuple[Any, ...]:
        converted = convert(value)
        return _values[type(converted)](converted)

    _values[cls] = values


def _name_alone(value: Any) -> tuple[Any, ...]:
    return (type(value).__name__,)


def _default(value: Any) -> msgpack.ExtType:
    cls = type(value)
    if cls is int:  # of more than 64 bits
        size = value.bit_length() // 8 + 1
        return msgpack.ExtType(_BIG_INT, value.to_bytes(size, "big", signed=True))
    values_of = _values.get(cls)
    if values_of is None:
        raise TypeError(f"{cls.__qualname__} is not a wire type")
    known = _latest.get(cls)
    if known is not None and known[0] is value:
        return known[1]
    # As `ExtType(...)`, without its checks.
    packed = tuple.__new__(msgpack.ExtType, (_CLASS, pack(values_of(value))))
    if known is not None and len(packed.data) <= _KEPT_BYTES:
        _latest[cls] = value, packed
    return packed


def _ext_hook(depth: int, code: int, data: bytes) -> Any:
    if code == _BIG_INT:
        return int.from_bytes(data, "big", signed=True)
    if code != _CLASS:
        raise FrameError(f"unknown wire extension {code}")
    if depth == _DEEPEST:
        raise FrameError(f"not a wire value: classes lie within each other {depth} deep")
    # What is wrong within is wrong with the whole: the outermost call says so.
    fields = _unpackb(data, ext_hook=_HOOKS[depth + 1])
    cls = _by_name.get(fields[0])
    if cls is None:
        raise FrameError(f"unknown wire type {fields[0]!r}: driver and executor differ in version")
    return cls(*fields[1:])


_unpackb = partial(msgpack.unpackb, use_list=False, strict_map_key=False, unicode_errors=_PATHS)
_HOOKS = [partial(_ext_hook, depth) for depth in range(_DEEPEST + 1)]


def pack(value: Any) -> bytes:
    """Encode a wire value."""
    # Popped and put back by single operations of the list: threads, and values within values, each
    # have a packer of their own meanwhile.
    try:
        packer = _packers.pop()
    except IndexError:
        packer = msgpack.Packer(default=_default, unicode_errors=_PATHS, buf_size=_BUFFER_BYTES)
    packed: bytes = packer.pack(value)
    # One that failed is not used again: what it holds is not known.
    if len(packed) <= _KEPT_BYTES:
        _packers.append(packer)
    return packed


def unpack(data: bytes | memoryview) -> Any:
    """Decode what `pack` wrote.

    Raises FrameError for bytes that are not such a value.
    """
    try:
        return _unpackb(data, ext_hook=_HOOKS[0])
    except FrameError:
        raise
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise FrameError(f"not a wire value: {error}") from error
