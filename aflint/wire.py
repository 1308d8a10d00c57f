"""Frozen dataclasses as msgpack, for what travels between driver and executor.

Plain data only: numbers of any size, strings, bytes, None, tuples, string- or integer-keyed dicts,
and classes marked with `wire`. Tuples come back as tuples; lists do, too, as tuples.

An object is a map of one pair: nil, and an array of its class's name and the values of its fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgpack

from aflint.errors import FrameError

T = TypeVar("T")

_by_name: dict[str, type] = {}
_values: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
"""By class, what returns its name and the values of an object's fields, by one call of C."""
_OBJECT: Final = None
"""The key that stands for an object in a map: no dict that travels has it."""
_BIG_INT: Final = 2

_BUFFER_BYTES: Final = 1024
"""What a packer begins with, and grows as it needs to. By default it takes 256 KiB from the system
for each of the small values that a driver packs, which takes longer than packing them.
"""

_packers: list[msgpack.Packer] = []
"""Packers that nobody uses now: making one for each value takes as long as packing the value."""
_KEPT_BYTES: Final = 512 * 1024
"""A packer keeps the memory of the largest value that it packed: after a larger one it goes."""

_PATHS: Final = "surrogatepass"
"""A file's name may hold bytes that are not text; Python has them as lone surrogates."""


def wire(cls: type[T]) -> type[T]:
    """Register a dataclass as one that may travel; its name is its identity on the wire."""
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    _by_name[cls.__name__] = cls
    # An attrgetter of one name gives no tuple.
    _values[cls] = attrgetter("__class__.__name__", *names) if names else _name_alone
    return cls


def travels_as(cls: type[T], convert: Callable[[T], Any]) -> None:
    """Have objects of a class travel as the wire values that `convert` makes of them."""

    def values(value: T) -> tuple[Any, ...]:
        converted = convert(value)
        return _values[type(converted)](converted)

    _values[cls] = values


def _name_alone(value: Any) -> tuple[Any, ...]:
    return (type(value).__name__,)


def _default(value: Any) -> Any:
    """Return plain data for what msgpack has no form for; objects in it are asked about next."""
    values_of = _values.get(type(value))
    if values_of is not None:
        return {_OBJECT: values_of(value)}
    if type(value) is int:  # of more than 64 bits
        size = value.bit_length() // 8 + 1
        return msgpack.ExtType(_BIG_INT, value.to_bytes(size, "big", signed=True))
    raise TypeError(f"{type(value).__qualname__} is not a wire type")


def _object_hook(found: dict[Any, Any]) -> Any:
    if _OBJECT not in found:
        return found
    name, *values = found[_OBJECT]
    cls = _by_name.get(name)
    if cls is None:
        raise FrameError(f"unknown wire type {name!r}: driver and executor differ in version")
    return cls(*values)


def _ext_hook(code: int, data: bytes) -> int:
    if code != _BIG_INT:
        raise FrameError(f"unknown wire extension {code}")
    return int.from_bytes(data, "big", signed=True)


_unpackb = partial(
    msgpack.unpackb,
    use_list=False,
    strict_map_key=False,
    unicode_errors=_PATHS,
    object_hook=_object_hook,
    ext_hook=_ext_hook,
)


def pack(value: Any) -> bytes:
    """Encode a wire value."""
    # Popped and put back by single operations of the list: threads, and values whose conversion
    # packs others, each have a packer of their own meanwhile.
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
        return _unpackb(data)
    except FrameError:
        raise
    except msgpack.StackError as error:
        raise FrameError("not a wire value: its parts lie too deep within each other") from error
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise FrameError(f"not a wire value: {error}") from error
