"""Where a key belongs: hashes that are the same in every process, as PySpark's `portable_hash`.

Stable as long as all processes run with the same PYTHONHASHSEED; aflint starts executors with 0.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import sys
import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_origin

from aflint.errors import UnportableKeyError, shown

_PLAIN = frozenset({str, int, bytes, bool})
STABLE = _PLAIN | {datetime.date, datetime.datetime, datetime.time, datetime.timedelta}
"""Types whose own hash every process computes alike."""

_BY_ADDRESS = (types.MethodType, types.MethodWrapperType, types.CodeType)
_BY_NAME = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ModuleType,
)
_HASHED_BY_ADDRESS = (object.__hash__, types.BuiltinFunctionType.__hash__)
_SEED = 0x345678
_FACTOR = 1000003
_MASK = sys.maxsize


def portable_hash(key: Any) -> int:
    """Return a hash of `key` that every process computes alike.

    Equal keys hash equal, whatever their types. None is 0, as is every nan; tuples are hashed by
    their elements as in PySpark, and frozensets, ranges and frozen dataclasses by their parts too,
    so that a None inside does no harm (before Python 3.12 its own hash is an address). Classes,
    modules, and functions that can be imported are hashed by their names.

    Raises UnportableKeyError for a key that cannot be hashed (list, dict, set) or that is hashed by
    its address (an object without `__hash__`, a method, a lambda). What a user's own `__hash__`
    returns is taken as it is.
    """
    try:
        return _hash(key)
    except _UnportableError as error:
        raise _explain(key, error) from error.__cause__


def hash_block(keys: list[Any]) -> Iterable[int]:
    """Return `portable_hash` of each key, by looking at the block's types once."""
    kinds = set(map(type, keys))
    if kinds <= STABLE:
        return map(hash, keys)
    if kinds == {float}:
        return [hash(key) if key == key else 0 for key in keys]
    if kinds == {tuple}:
        return _hash_tuples(keys)
    if kinds <= STABLE | {type(None)}:
        return [0 if key is None else hash(key) for key in keys]
    return map(portable_hash, keys)


def partition_indices(keys: list[Any], partitions: int) -> list[int]:
    """Return for each key which of `partitions` it belongs to: its portable hash, modulo."""
    return [code % partitions for code in hash_block(keys)]


class _UnportableError(Exception):
    """What inside a key is to blame, and why; becomes an UnportableKeyError."""

    def __init__(self, part: Any, why: str) -> None:
        super().__init__(why)
        self.part = part
        self.why = why


def _hash(key: Any) -> int:
    kind = type(key)
    if kind in STABLE:
        return hash(key)
    if key is None:
        return 0
    method: Any = kind.__hash__
    if method is tuple.__hash__:
        return _hash_tuple(key)
    if method is frozenset.__hash__:
        return hash(frozenset(map(_hash, key)))
    if kind is range:
        return _hash_tuple(_range_identity(key))
    if isinstance(key, _BY_NAME) and method in _HASHED_BY_ADDRESS:
        return _hash_tuple(_name(key))
    if kind.__module__ in ("types", "typing") and hasattr(key, "__args__"):
        return _hash_generic(key)
    if method is object.__hash__ or isinstance(key, _BY_ADDRESS):
        raise _UnportableError(
            key, "its hash is its address, which differs from process to process"
        )
    fields = _generated_hash_fields(kind)
    if fields is not None:
        return _hash_tuple(tuple(getattr(key, name) for name in fields))
    return 0 if _is_nan(key) else _own_hash(key)


def _name(key: Any) -> tuple[str, str]:
    """The name by which every process knows a class, a function or a module.

    Of classes, cloudpickle keeps the identity also where they travel by value; a function that does
    is another one, with each copy.
    """
    if isinstance(key, types.ModuleType):
        return "", key.__name__
    module = getattr(key, "__module__", None) or getattr(key, "__objclass__", key).__module__ or ""
    name = key.__qualname__
    if not isinstance(key, type):
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not key:
            raise _UnportableError(key, "it cannot be imported, and each process has its own copy")
    return module, name


def _hash_generic(key: Any) -> int:
    """The hash of `list[int]`, `int | str` and their kin, whose own is made of addresses."""
    if get_origin(key) in (Union, types.UnionType, Literal):  # equal in any order
        return hash(frozenset(map(_hash, key.__args__)))
    return _hash_tuple((key.__origin__, *key.__args__))


def _own_hash(key: Any) -> int:
    try:
        return hash(key)
    except TypeError as error:
        raise _UnportableError(key, str(error)) from error


def _is_nan(key: Any) -> bool:
    """Whether `key` differs from itself; its hash is an address then (since Python 3.10)."""
    if isinstance(key, enum.Enum):
        return False
    try:
        return bool(key != key)
    except Exception:  # what a user's __ne__ raises is not ours to judge: it has a hash of its own
        return False


def _hash_tuple(key: tuple[Any, ...]) -> int:
    code = _SEED
    for part in key:
        code = ((code ^ _hash(part)) * _FACTOR) & _MASK
    return code ^ len(key)


def _hash_tuples(keys: list[tuple[Any, ...]]) -> Iterable[int]:
    widths = set(map(len, keys))
    if len(widths) != 1 or 0 in widths or len(keys) < 8:
        return map(portable_hash, keys)
    (width,) = widths
    try:
        codes = [_SEED] * len(keys)
        for place in range(width):
            column = hash_block([key[place] for key in keys])
            codes = [
                ((code ^ part) * _FACTOR) & _MASK for code, part in zip(codes, column, strict=True)
            ]
    except UnportableKeyError:
        return [portable_hash(key) for key in keys]
    return [code ^ width for code in codes]


def _range_identity(key: range) -> tuple[Any, ...]:
    """Equal for equal ranges, as in `range.__hash__`."""
    size = len(key)
    return (size, key.start if size else None, key.step if size > 1 else None)


def _generated_hash_fields(kind: type) -> tuple[str, ...] | None:
    """The fields hashed by the `__hash__` that dataclass or attrs wrote for `kind`, if one did."""
    code = getattr(kind.__hash__, "__code__", None)
    if code is None or not code.co_filename.startswith("<"):
        return None
    if dataclasses.is_dataclass(kind):
        fields = dataclasses.fields(kind)
        names = tuple(f.name for f in fields if (f.compare if f.hash is None else f.hash))
    else:
        attributes = getattr(kind, "__attrs_attrs__", ())
        names = tuple(a.name for a in attributes if (a.eq if a.hash is None else a.hash))
    return names if set(code.co_names) == {"hash", *names} else None


def unportable(key: Any, why: str) -> UnportableKeyError:
    """Return the error of a key that failed to be hashed: it names what inside the key is to blame,
    or else the key and `why`.
    """
    try:
        _hash(key)
    except _UnportableError as error:
        return _explain(key, error)
    except Exception as error:  # of a `__hash__` of the user's
        why = f"{why} ({error!r})"
    return _explain(key, _UnportableError(key, why))


def _explain(key: Any, error: _UnportableError) -> UnportableKeyError:
    part = error.part
    inside = "" if part is key else f", in the key {shown(key)}"
    return UnportableKeyError(
        f"{shown(part)} (type {type(part).__qualname__}){inside} cannot be used as a key: "
        f"{error.why}. Use a key of plain values (str, int, tuple, frozen dataclass ...), "
        f"for example {_advice(part)}"
    )


def _advice(part: Any) -> str:
    if isinstance(part, list):
        return "tuple(key)"
    if isinstance(part, bytearray):
        return "bytes(key)"
    if isinstance(part, dict):
        return "tuple(sorted(key.items()))"
    if isinstance(part, set):
        return "frozenset(key)"
    return "an id or a name in place of the object, or give its class __eq__ and __hash__"
