"""Which modules are the user's own, and how these travel with the functions that use them.

On a machine of one's own, workers import what the driver imports. A Lambda function has only what
was deployed: installed packages. What is neither installed nor part of Python, such as modules
beside the program, is therefore pickled by value.

Where a module lies does not tell: packages are installed anywhere (`pip install --target`), and
modules are copied into site-packages. A package is installed if a distribution beside it says so.
"""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig
from collections import Counter
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, distributions
from types import ModuleType
from typing import Final

import cloudpickle

OURS: Final = frozenset(
    (
        "aflint", "aiobotocore", "aiohappyeyeballs", "aiohttp", "aioitertools", "aiosignal",
        "annotated_doc", "annotated_types", "async_timeout", "attr", "attrs", "awslambdaric",
        "botocore", "click", "cloudpickle", "dateutil", "frozenlist", "idna", "jmespath", "lz4",
        "markdown_it", "mdurl", "msgpack", "multidict", "propcache", "py4j", "pybase64", "pydantic",
        "pydantic_core", "pygments", "pyspark", "rich", "runtime_client", "shellingham",
        "simplejson", "six", "snapshot_restore_py", "typer", "typing_extensions",
        "typing_inspection", "urllib3", "wrapt", "yarl", "zstandard",
    )
)  # fmt: skip
"""aflint and all that it is installed with: never the user's, also where there is no metadata."""

_EXTENSIONS: Final = tuple(EXTENSION_SUFFIXES)

_holders: Final[Counter[str]] = Counter()
"""How many sessions have each module registered: cloudpickle's registry is the whole process's."""


class UserModules:
    """Registers the user's modules with cloudpickle, from `look` until `forget`, if it is `on`.

    A module stays registered until every session that has seen it has forgotten it. One that was
    shipped is not registered: tasks import it, and see it as its source defines it.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._seen: set[str] = set()
        self._registered: list[ModuleType] = []
        self._shipped: tuple[str, ...] = ()

    def ship(self, *places: str) -> None:
        """Have tasks import the modules in these files, folders and archives: they have them."""
        self._shipped += places

    def look(self) -> None:
        """Register the user's modules that were imported since the last look."""
        if not self._on:
            return
        # One that was imported before it was shipped.
        for each in filter(self._is_shipped, self._registered):
            self._release(each)
        self._registered = [each for each in self._registered if not self._is_shipped(each)]
        for name in sys.modules.keys() - self._seen:
            self._seen.add(name)
            module = sys.modules.get(name)
            if module is not None and self._is_to_register(name, module):
                if not _holders[name]:
                    cloudpickle.register_pickle_by_value(module)
                _holders[name] += 1
                self._registered.append(module)

    def forget(self) -> None:
        """Undo what `look` did."""
        for module in self._registered:
            self._release(module)
        self._registered.clear()
        self._seen.clear()

    def _release(self, module: ModuleType) -> None:
        _holders[module.__name__] -= 1
        if not _holders[module.__name__]:
            del _holders[module.__name__]
            cloudpickle.unregister_pickle_by_value(module)

    def _is_shipped(self, module: ModuleType) -> bool:
        file = os.path.abspath(module.__file__ or "")
        return any(file == place or file.startswith(place + os.sep) for place in self._shipped)

    def _is_to_register(self, name: str, module: ModuleType) -> bool:
        if name == "__main__" or name != getattr(module, "__name__", ""):
            return False  # what is in __main__ goes by value anyway
        if not getattr(module, "__file__", None) or self._is_shipped(module):
            return False
        by_others = name in cloudpickle.list_registry_pickle_by_value() and not _holders[name]
        return not by_others and is_users(module)


def is_users(module: ModuleType) -> bool:
    """Say whether a module is the user's own: neither Python's, nor installed, nor compiled."""
    name = module.__name__
    if name == "__main__":
        return True
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", ()))
    return bool(places) and _is_users(name, places[0])


@cache
def _is_users(name: str, place: str) -> bool:
    top = name.partition(".")[0]
    if top in OURS or place.endswith(_EXTENSIONS) or _is_pythons(place):
        return False
    root = _root(top, place)
    if root is not None and _is_installed(top, root):
        return False
    return not _has_compiled_parts(top)


def _is_pythons(place: str) -> bool:
    """Say whether a file is part of Python. site-packages may lie in the library's own folder."""
    if f"{os.sep}site-packages{os.sep}" in place or f"{os.sep}dist-packages{os.sep}" in place:
        return False
    return place.startswith(_library())


@cache
def _library() -> tuple[str, ...]:
    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return tuple(f"{path}{os.sep}" for path in {*paths, os.path.dirname(os.__file__)})


def _root(top: str, place: str) -> str | None:
    """Return the entry of `sys.path` that a module's top-level package or module was found in."""
    package = sys.modules.get(top)
    folders: list[str] = list(getattr(package, "__path__", ()))
    for folder in folders:
        if place.startswith(f"{folder}{os.sep}") or place == folder:
            return os.path.dirname(folder)
    return os.path.dirname(place) if package is not None else None


def _is_installed(top: str, root: str) -> bool:
    try:
        changed = os.stat(root).st_mtime_ns
    except OSError:  # an importer that does not read files
        changed = 0
    names = _installed_in(root, changed)
    return names is None or top in names


@cache
def _installed_in(root: str, changed: int) -> frozenset[str] | None:
    """Return the top-level names that distributions in a folder or zip brought there.

    None for site-packages with a distribution that does not say what it brought. `changed` is when
    the folder was: packages may be installed while this process runs.
    """
    found: set[str] = set()
    is_site = root in _site_folders()
    for distribution in distributions(path=[root]):
        # Elsewhere, .egg-info is what building left beside the user's own source.
        if not is_site and not _has_dist_info(distribution):
            continue
        names = _names_of(distribution)
        if not names and is_site:
            return None
        found |= names
    return frozenset(found)


def _has_dist_info(distribution: Distribution) -> bool:
    return distribution.read_text("METADATA") is not None


def _names_of(distribution: Distribution) -> set[str]:
    """Return the top-level modules and packages that a distribution brought; empty if unknown."""
    record = distribution.read_text("RECORD")
    if record is not None:
        paths = [line.lstrip('"').partition(",")[0] for line in record.splitlines()]
        return {re.split(r"[/.]", path, maxsplit=1)[0] for path in paths} - {""}
    return set((distribution.read_text("top_level.txt") or "").split())


@cache
def _site_folders() -> frozenset[str]:
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return frozenset((*paths, *site.getsitepackages(), site.getusersitepackages()))


def _has_compiled_parts(top: str) -> bool:
    """Say whether a package has modules that cannot be pickled: it must be deployed as a whole."""
    within = f"{top}."
    return any(
        (getattr(module, "__file__", None) or "").endswith(_EXTENSIONS)
        for name, module in list(sys.modules.items())
        if name.startswith(within)
    )
