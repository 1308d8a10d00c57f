"""The user's own modules, which travel with the functions that use them.

On a machine of one's own, workers import what the driver imports. A Lambda function has only what
was deployed: installed packages. What is neither installed nor part of Python, such as modules
beside the program, is therefore pickled by value.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from collections import Counter
from types import ModuleType
from typing import Final

import cloudpickle

_OWN: Final = ("aflint", "__main__")  # what is in __main__ goes by value anyway


_holders: Final[Counter[str]] = Counter()
"""How many sessions have each module registered: cloudpickle's registry is the whole process's."""


class UserModules:
    """Registers the user's modules with cloudpickle, from `look` until `forget`, if it is `on`.

    A module stays registered until every session that has seen it has forgotten it.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._seen: set[str] = set()
        self._registered: list[ModuleType] = []
        self._installed = tuple(_installed_paths())

    def look(self) -> None:
        """Register the user's modules that were imported since the last look."""
        if not self._on:
            return
        for name in sys.modules.keys() - self._seen:
            self._seen.add(name)
            module = sys.modules.get(name)
            if module is not None and self._is_users(name, module):
                if not _holders[name]:
                    cloudpickle.register_pickle_by_value(module)
                _holders[name] += 1
                self._registered.append(module)

    def forget(self) -> None:
        """Undo what `look` did."""
        for module in self._registered:
            _holders[module.__name__] -= 1
            if not _holders[module.__name__]:
                del _holders[module.__name__]
                cloudpickle.unregister_pickle_by_value(module)
        self._registered.clear()
        self._seen.clear()

    def _is_users(self, name: str, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] in _OWN or name != getattr(module, "__name__", ""):
            return False
        by_others = name in cloudpickle.list_registry_pickle_by_value() and not _holders[name]
        return not by_others and not file.startswith(self._installed)


def _installed_paths() -> set[str]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return {f"{path}/" for path in {*paths, *site.getsitepackages(), site.getusersitepackages()}}
