"""What a job computes, as a digest that another process comes to as well, for the same program.

Pickles will not do: sets are pickled in the order of hashes, which differ from process to process,
and cloudpickle gives classes random names. Here functions count by their code, constants, defaults,
closures and the globals that they use, but not by where they stand: a comment may be added.
What is imported counts by its name where it is installed, and by its source where it is the user's.
"""

from __future__ import annotations

import functools
import pickle
import site
import struct
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import cloudpickle

_DIGEST_BYTES: Final = 16
_SMALL: Final = 256
"""Larger collections of plain values are pickled whole, at the speed of C."""

_MOST: Final = 100_000

_PLAIN: Final = (int, float, complex, str, bytes, bool, type(None))
_OF_CLASSES: Final = frozenset(
    ("__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__", "__slots__")
)
Write = Callable[[bytes], None]


def fingerprint(value: Any) -> str:
    """Return 32 hexadecimal digits, the same in every process for what computes the same.

    Plain data, functions, classes and what pickles by its parts is told apart by what is in it; an
    object may say by `__fingerprint__()` what counts in its place. A value of more than a hundred
    thousand objects goes by its pickle. Raises what pickling raises.
    """
    digest = blake2b(digest_size=_DIGEST_BYTES)
    try:
        _Walk(digest.update).add(value)
    except _TooManyError:
        return blake2b(cloudpickle.dumps(value, 5), digest_size=_DIGEST_BYTES).hexdigest()
    return digest.hexdigest()


class _TooManyError(Exception):
    """A value is made of more objects than are worth looking at one by one."""


class _Walk:
    """Writes all that a value is made of, each object once: others refer to its number."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # ids are of use only as long as what they name lives

    def add(self, value: Any) -> None:
        """Write one value."""
        if type(value) in _PLAIN:
            self._text(type(value).__name__, repr(value))
            return
        known = self._seen.get(id(value))
        if known is not None:
            self._text("again", str(known))
            return
        if len(self._seen) == _MOST:
            raise _TooManyError
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        special = _SPECIAL.get(type(value))
        if special is not None:
            special(self, value)
        elif isinstance(value, type):
            self._class(value)
        elif (stands_for := getattr(type(value), "__fingerprint__", None)) is not None:
            self._text("for", type(value).__name__)
            self.add(stands_for(value))
        else:
            self._by_parts(value)

    def _text(self, kind: str, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._write(f"{kind}:{len(data)}:".encode() + data)

    def _sequence(self, value: Any) -> None:
        if self._add_whole(value, value):
            return
        self._text(type(value).__name__, str(len(value)))
        for each in value:
            self.add(each)

    def _set(self, value: Any) -> None:
        """Write members in an order of their own; each as if nothing had been seen."""
        try:
            ordered = sorted(value)
        except TypeError:
            ordered = []
        if ordered and self._add_whole(value, ordered):
            return
        self._text(type(value).__name__, str(len(value)))
        for member in sorted(map(fingerprint, value)):
            self._text("member", member)

    def _dict(self, value: Mapping[Any, Any]) -> None:
        if self._add_whole(value, value):
            return
        self._text("dict", str(len(value)))
        for key, each in value.items():
            self.add(key)
            self.add(each)

    def _add_whole(self, value: Any, ordered: Any) -> bool:
        """Write a large collection as its pickle, where all in it is plain."""
        if len(value) <= _SMALL or not all(type(each) in _PLAIN for each in value):
            return False
        if type(value) is dict and not all(type(each) in _PLAIN for each in value.values()):
            return False
        self._text(type(value).__name__, "whole")
        pickler = pickle.Pickler(_Sink(self._write), 5)
        pickler.fast = True  # no memo: equal strings need not be the same object
        pickler.dump(ordered)
        return True

    def _module(self, module: types.ModuleType) -> None:
        self._text("module", module.__name__)
        if _is_users(module):
            assert module.__file__ is not None
            with open(module.__file__, "rb") as file:
                self._write(blake2b(file.read()).digest())

    def _function(self, function: types.FunctionType) -> None:
        module = sys.modules.get(function.__module__ or "")
        installed = module is not None and not _is_users(module)
        if installed and _found(module, function.__qualname__) is function:
            self._text("function", f"{function.__module__}.{function.__qualname__}")
            return
        code = function.__code__
        self._text("function", function.__qualname__)
        self.add(code)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            self.add(cell)
        used = function.__globals__
        for name in sorted(_names(code)):
            if name in used:
                self._text("global", name)
                self.add(used[name])

    def _code(self, code: types.CodeType) -> None:
        self._text("code", f"{code.co_argcount}.{code.co_kwonlyargcount}.{code.co_flags}")
        self._write(struct.pack("<I", len(code.co_code)) + code.co_code)
        for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars):
            self._text("names", ",".join(names))
        doc = code.co_consts[:1] if code.co_name != "<lambda>" else ()
        for const in code.co_consts:
            if type(const) is not str or (const,) != doc:
                self.add(const)

    def _cell(self, cell: types.CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:
            self._text("cell", "empty")
            return
        self._text("cell", "")
        self.add(content)

    def _class(self, cls: type) -> None:
        name = f"{cls.__module__}.{cls.__qualname__}"
        module = sys.modules.get(cls.__module__)
        self._text("class", name)
        if module is not None and not _is_users(module):
            return
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

    def _buffer(self, value: pickle.PickleBuffer) -> None:
        self._text("buffer", "")
        self._write(blake2b(value.raw()).digest())

    def _by_parts(self, value: Any) -> None:
        """Write what pickle would: how to make the object, and what is in it."""
        reduce = _REDUCERS.get(type(value))
        parts = reduce(value) if reduce is not None else value.__reduce_ex__(5)
        if isinstance(parts, str):
            self._text("by name", parts)
            return
        make, arguments, *rest = parts
        self._text("object", str(len(rest)))
        self.add(make)
        self.add(arguments)
        for each in rest:
            self.add(each if _is_value(each) else list(each))


class _Sink:
    """A file for a pickler to write to."""

    def __init__(self, write: Write) -> None:
        self.write = write


def _is_value(part: Any) -> bool:
    """Say whether a part of what `__reduce_ex__` gives is no iterator of items."""
    return not isinstance(part, Iterable) or isinstance(part, str | bytes | tuple | list | dict)


def _names(code: types.CodeType) -> set[str]:
    """Return the global names that a function uses, and the functions within it."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _found(module: types.ModuleType | None, qualname: str) -> Any:
    found: Any = module
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _is_users(module: types.ModuleType) -> bool:
    """Say whether a module is the user's own: neither Python's, nor installed, nor aflint's."""
    if module.__name__ == "__main__":
        return True
    file: str = getattr(module, "__file__", None) or ""
    ours = module.__name__.partition(".")[0] == "aflint"
    return file != "" and not ours and not file.startswith(_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found = {*paths, *site.getsitepackages(), site.getusersitepackages()}
    return tuple(f"{path}/" for path in found)


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
    pickle.PickleBuffer: _Walk._buffer,
}
