"""What a job computes, as a digest that another process comes to as well, for the same program.

Pickles will not do: sets are pickled in the order of hashes, which differ from process to process,
and cloudpickle gives classes random names. Here functions count by their code, constants, defaults,
closures and the globals that they use, but not by where they stand: a comment may be added.
What is imported counts by its name where it is installed, and by its source where it is the user's.
"""

from __future__ import annotations

import array
import dis
import gc
import itertools
import pickle
import struct
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from hashlib import blake2b
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import cloudpickle

from aflint.user_modules import is_users

_DIGEST_BYTES: Final = 16
_SMALL: Final = 256
"""Larger collections of plain values are pickled whole, at the speed of C."""

_MOST: Final = 20_000
"""Where there are more objects, data is pickled, at the speed of C."""

_PLAIN: Final = frozenset((int, float, complex, str, bytes, bool, type(None)))
_ORDERED: Final = frozenset((int, str, bytes, bool))
"""Plain types whose values have an order of their own (NaN has none)."""

_CONTAINERS: Final = frozenset((list, tuple, dict))
_DATA: Final = _PLAIN | _CONTAINERS | {bytearray}
_OF_CLASSES: Final = frozenset(
    (
        "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__",
        "__slots__", "__slotnames__", "_abc_impl", "_value2member_map_",
    )
)  # fmt: skip
"""Attributes of classes that say nothing, or that change as the class is used."""

_HAS_DOCSTRING: Final = 1 << 26
"""A flag of code since Python 3.13."""

_HEAP_TYPE: Final = 1 << 9
"""The flag of classes that are not part of a C library."""

_PROTOCOL: Final = 5
Write = Callable[[bytes | memoryview], object]


def fingerprint(value: Any) -> str:
    """Return 32 hexadecimal digits, the same in every process for what computes the same.

    Plain data, functions, classes and what pickles by its parts is told apart by what is in it; an
    object may say by `__fingerprint__()` what counts in its place. Of more than twenty thousand
    objects, data goes by its pickle, so that it also counts which of it is one object. Raises what
    pickling raises.
    """
    for much in (False, True):
        digest = blake2b(digest_size=_DIGEST_BYTES)
        try:
            _Walk(digest.update, much).add(value)
        except _TooManyError:
            continue
        break
    return digest.hexdigest()


class _TooManyError(Exception):
    """A value is made of more objects than are worth looking at one by one."""


class _Walk:
    """Writes all that a value is made of.

    What can change, or be part of itself, is written once: others refer to its number. Of what
    cannot, it is chance whether two equal ones are the same object. With `much`, data is pickled.
    """

    def __init__(self, write: Write, much: bool, outer: _Walk | None = None) -> None:
        self._write = write
        self._much = much
        self._outer = outer
        self._first: int = outer._next if outer else 0
        self._count: Iterator[int] = outer._count if outer else itertools.count()
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # ids are of use only as long as what they name lives

    @property
    def _next(self) -> int:
        return self._first + len(self._seen)

    def add(self, value: Any) -> None:
        """Write one value."""
        kind = type(value)
        if kind in _PLAIN:
            self._plain(kind, value)
            return
        if next(self._count) >= _MOST and not self._much:
            raise _TooManyError
        if kind not in _FIXED:
            # Numbered before it is taken apart: it may be part of itself.
            known = self._number(id(value))
            if known is not None:
                self._text("again", str(known))
                return
            self._seen[id(value)] = self._next
            self._alive.append(value)
        special = _SPECIAL.get(kind)
        if self._much and not _is_program(value):
            self._pickled(value)
        elif special is not None:
            special(self, value)
        elif isinstance(value, type):
            self._class(value)
        elif (stands_for := getattr(kind, "__fingerprint__", None)) is not None:
            self._text("for", kind.__name__)
            self.add(stands_for(value))
        else:
            self._by_parts(value)

    def _number(self, id: int) -> int | None:
        """Return the number of an object that was seen by this walk, or before it began."""
        known = self._seen.get(id)
        return known if known is not None or self._outer is None else self._outer._number(id)

    def _pickled(self, value: Any) -> None:
        digest = blake2b(digest_size=_DIGEST_BYTES)
        if _is_plain_data(value):
            pickle.Pickler(_Sink(digest.update), _PROTOCOL).dump(value)
        else:
            _DataPickler(digest.update, self).dump(value)
        self._text("pickled", digest.hexdigest())

    def _text(self, kind: str, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._write(f"{kind}:{len(data)}:".encode() + data)

    def _data(self, kind: str, data: bytes | memoryview) -> None:
        """Write bytes as they are: nothing is copied, however many they are."""
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        self._write(f"{kind}:{size}:".encode())
        self._write(data)

    def _plain(self, kind: type, value: Any) -> None:
        if kind is bytes:
            self._data("bytes", value)
        else:
            self._text(kind.__name__, value if kind is str else _plain(value))

    def _sequence(self, value: Any) -> None:
        if self._add_whole(value):
            return
        self._text(type(value).__name__, str(len(value)))
        for each in value:
            self.add(each)

    def _set(self, value: Any) -> None:
        """Write members in an order of their own; each as if none of the others had been seen."""
        if len(value) > _SMALL and _PLAIN.issuperset(map(type, value)):
            self._plain_set(value)
            return
        self._text(type(value).__name__, str(len(value)))
        members = []
        for member in value:
            digest = blake2b(digest_size=_DIGEST_BYTES)
            # A walk of its own: in which order a set gives its members is chance, and the numbers
            # of what one of them holds must not depend on those before it.
            _Walk(digest.update, self._much, self).add(member)
            members.append(digest.hexdigest())
        for each in sorted(members):
            self._text("member", each)

    def _plain_set(self, value: Any) -> None:
        """Write many plain members in order, those of each type by themselves."""
        kinds = sorted(set(map(type, value)), key=lambda kind: kind.__name__)
        self._text(type(value).__name__, f"by type, {len(kinds)}")
        for kind in kinds:
            members = value if len(kinds) == 1 else (m for m in value if type(m) is kind)
            ordered = sorted(members) if kind in _ORDERED else sorted(members, key=_plain)
            self._whole(kind.__name__, ordered)

    def _dict(self, value: Mapping[Any, Any]) -> None:
        if self._add_whole(value):
            return
        self._text("dict", str(len(value)))
        for key, each in value.items():
            self.add(key)
            self.add(each)

    def _add_whole(self, value: Any) -> bool:
        """Write a large collection as its pickle, where all in it is plain."""
        if len(value) <= _SMALL or not _PLAIN.issuperset(map(type, value)):
            return False
        if type(value) is dict and not _PLAIN.issuperset(map(type, value.values())):
            return False
        self._whole(type(value).__name__, value)
        return True

    def _whole(self, kind: str, value: Any) -> None:
        self._text(kind, "whole")
        pickler = pickle.Pickler(_Sink(self._write), _PROTOCOL)
        pickler.fast = True  # no memo: equal strings need not be the same object
        pickler.dump(value)

    def _module(self, module: types.ModuleType) -> None:
        """Write a module's name; the user's own by its source, with those that it uses."""
        self._text("module", module.__name__)
        if not is_users(module):
            return
        if (file := getattr(module, "__file__", None)) is not None:
            self._write(blake2b(_source(module, file)).digest())
        used = map(_module_of, vars(module).values())
        others = {other.__name__: other for other in used if other and is_users(other)}
        for _, other in sorted(others.items()):
            self.add(other)

    def _function(self, function: types.FunctionType) -> None:
        if _is_installed(function):
            self._text("function", f"{function.__module__}.{function.__qualname__}")
            return
        code = function.__code__
        self._text("function", function.__qualname__)
        self.add(code)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        self.add(vars(function))
        for cell in function.__closure__ or ():
            self.add(cell)
        used = function.__globals__
        # Only what the code names: the rest of a module may change.
        for name in _known(code).globals:
            if name in used:
                self._text("global", name)
                self.add(used[name])

    def _code(self, code: types.CodeType) -> None:
        self._text("code", _known(code).digest)

    def _cell(self, cell: types.CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:
            self._text("cell", "empty")
            return
        self._text("cell", "")
        self.add(content)

    def _class(self, cls: type) -> None:
        self._text("class", f"{cls.__module__}.{cls.__qualname__}")
        # A class of C, or of a package: its name and the version of its package say it all.
        if not cls.__flags__ & _HEAP_TYPE or _is_installed(cls):
            return
        self.add(type(cls))
        for base in cls.__bases__:
            self.add(base)
        for key, value in sorted(vars(cls).items()):
            if key not in _OF_CLASSES:
                self._text("attribute", key)
                self.add(value)

    def _wrapped(self, value: Any) -> None:
        self._text("method", type(value).__name__)
        self.add(value.__func__)

    def _property(self, value: property) -> None:
        self._text("property", "")
        self.add((value.fget, value.fset, value.fdel))

    def _type_variable(self, value: TypeVar) -> None:
        self._text("type variable", value.__name__)
        self.add((value.__bound__, value.__constraints__))

    def _buffer(self, value: pickle.PickleBuffer) -> None:
        self._data("buffer", value.raw())

    def _bytearray(self, value: bytearray) -> None:
        self._data("bytearray", memoryview(value))

    def _array(self, value: array.array[Any]) -> None:
        self._text("array", value.typecode)
        self._data("items", memoryview(value))

    def _memoryview(self, value: memoryview) -> None:
        self._text("memoryview", f"{value.format} {value.shape}")
        self._data("items", value if value.contiguous and value.ndim == 1 else value.tobytes())

    def _by_parts(self, value: Any) -> None:
        """Write what pickle would: how to make the object, and what is in it."""
        kind: Any = type(value)
        ours = kind.__module__.startswith("aflint.")
        if ours and (names := _own_fields(kind)) is not None:
            self._text("ours", f"{kind.__module__}.{kind.__qualname__}")
            for name in names:
                self.add(getattr(value, name))
            return
        reduce = _REDUCERS.get(type(value))
        # The longest form is (make, arguments, state, items, pairs, set_state); most are shorter.
        parts = reduce(value) if reduce is not None else value.__reduce_ex__(_PROTOCOL)
        if isinstance(parts, str):
            self._text("by name", f"{getattr(value, '__module__', '')}.{parts}")
            self.add(type(value))
            self.add(getattr(value, "__wrapped__", None))
            return
        make, arguments, *rest = parts
        state, items, pairs, set_state = (*rest, None, None, None, None)[:4]
        # With their number: a part that is missing is not the same as one that is None.
        self._text("object", str(len(rest)))
        self.add(make)
        self.add(arguments)
        self.add(state)
        for each in (items, pairs):
            self.add(None if each is None else list(each))
        self.add(set_state)


class _Sink:
    """A file for a pickler to write to."""

    def __init__(self, write: Write) -> None:
        self.write = write


class _DataPickler(pickle.Pickler):
    """Pickles data, and leaves to a walk what differs from process to process in a pickle."""

    dispatch_table = cloudpickle.CloudPickler.dispatch_table

    def __init__(self, write: Write, walk: _Walk) -> None:
        super().__init__(_Sink(write), _PROTOCOL)
        self._walk = walk

    def persistent_id(self, value: Any) -> str | None:
        """Have the walk write functions, classes and sets."""
        if not _is_program(value):
            return None
        self._walk.add(value)
        return "walked"


@cache
def _own_fields(kind: Any) -> tuple[str, ...] | None:
    """Return the fields of one of aflint's frozen dataclasses that have nothing besides.

    Programs are made of them: this takes a third of the time of taking them apart as pickle does.
    """
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen or kind.__dictoffset__:
        return None
    return tuple(each.name for each in fields(kind))


def _plain(value: Any) -> str:
    """Return a plain value as text; of an integer any number of digits."""
    return hex(value) if type(value) is int else repr(value)


def _is_program(value: Any) -> bool:
    """Say whether a value is more than data: its pickle would not be the same everywhere."""
    kind = type(value)
    return kind in _NO_DATA or isinstance(value, type) or hasattr(kind, "__fingerprint__")


@dataclass(frozen=True, slots=True)
class _Code:
    """What is known of a function's code: its digest, and the globals that it uses, also in the
    functions within it.
    """

    digest: str
    globals: tuple[str, ...]


_codes: WeakKeyDictionary[types.CodeType, _Code] = WeakKeyDictionary()


def _known(code: types.CodeType) -> _Code:
    """Return what is known of code. Taking it apart takes longer than pickling all of a program,
    and it cannot change: so it is taken apart once.
    """
    known = _codes.get(code)
    if known is None:
        known = _codes[code] = _taken_apart(code)
    return known


def _taken_apart(code: types.CodeType) -> _Code:
    """Take in instructions with the constants that they load: docstrings are not among them."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    walk, used = _Walk(digest.update, much=False), set[str]()
    flags = code.co_flags & ~_HAS_DOCSTRING
    walk.add((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, flags))
    walk.add((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars))
    for step in dis.get_instructions(code):
        if step.opcode in dis.hasconst:
            walk.add((step.opname, code.co_consts[step.arg or 0]))
            continue
        digest.update(struct.pack("<HI", step.opcode, step.arg or 0))
        # By the instruction: `co_names` has attributes and methods, too.
        if "GLOBAL" in step.opname or step.opname == "LOAD_NAME":
            used.add(step.argval)
    walk.add(code.co_exceptiontable)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            used.update(_known(constant).globals)
    return _Code(digest.hexdigest(), tuple(sorted(used)))


def _is_plain_data(value: Any) -> bool:
    """Say whether there is nothing in it but plain values in lists, tuples and dicts: the pickle of
    that is the same in every process.

    In C but for the containers, which take a look each.
    """
    level, seen = [value], {id(value)}
    while level:
        if not _DATA.issuperset(map(type, level)):
            return False
        # Each container once: its referents are its items, or keys and values.
        found = {id(each): each for each in level if type(each) in _CONTAINERS}
        inner = gc.get_referents(*found.values())
        if not _DATA.issuperset(map(type, inner)):
            return False
        level = [each for each in inner if type(each) in _CONTAINERS and id(each) not in seen]
        seen.update(map(id, level))
    return True


def _module_of(value: Any) -> types.ModuleType | None:
    """Return a module itself, and of anything else the module that says to have made it."""
    if isinstance(value, types.ModuleType):
        return value
    name = getattr(value, "__module__", None)
    return sys.modules.get(name) if type(name) is str else None


def _source(module: types.ModuleType, file: str) -> bytes:
    """Return what stands in a module's file, which may lie in a zip."""
    if (read := getattr(module.__loader__, "get_data", None)) is not None:
        source: bytes = read(file)
        return source
    with open(file, "rb") as opened:
        return opened.read()


def _is_installed(value: Any) -> bool:
    """Say whether a function or class is found by its name in a module that is not the user's."""
    module = sys.modules.get(value.__module__ or "")
    return (
        module is not None and not is_users(module) and _found(module, value.__qualname__) is value
    )


def _found(module: types.ModuleType | None, qualname: str) -> Any:
    found: Any = module
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


_REDUCERS: Mapping[type, Callable[[Any], Any]] = cloudpickle.CloudPickler.dispatch_table
"""How cloudpickle takes apart what plain pickle cannot."""

_SPECIAL: Final[dict[type, Callable[[_Walk, Any], None]]] = {
    tuple: _Walk._sequence,
    list: _Walk._sequence,
    set: _Walk._set,
    frozenset: _Walk._set,
    dict: _Walk._dict,
    types.ModuleType: _Walk._module,
    types.FunctionType: _Walk._function,
    types.CodeType: _Walk._code,
    types.CellType: _Walk._cell,
    classmethod: _Walk._wrapped,
    staticmethod: _Walk._wrapped,
    property: _Walk._property,
    TypeVar: _Walk._type_variable,
    pickle.PickleBuffer: _Walk._buffer,
    bytearray: _Walk._bytearray,
    array.array: _Walk._array,
    memoryview: _Walk._memoryview,
}

_FIXED: Final = frozenset((tuple, frozenset, types.CodeType))
"""What cannot change, but for what is in it."""

_NO_DATA: Final = frozenset(_SPECIAL) - {
    tuple,
    list,
    dict,
    pickle.PickleBuffer,
    bytearray,
    array.array,
    memoryview,
}
