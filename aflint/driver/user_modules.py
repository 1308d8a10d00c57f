"""The user's own modules, which travel with the functions that use them.

On a machine of one's own, workers import what the driver imports. A Lambda function has only what
was deployed: installed packages. What is neither installed nor part of Python, such as modules
beside the program, is therefore pickled by value.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from types import ModuleType
from typing import Final

import cloudpickle

_OWN: Final = ("aflint", "__main__")  # what is in __main__ goes by value anyway


class UserModules:
    """Registers the user's modules with cloudpickle, from `look` until `forget`, if it is `on`."""

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
                cloudpickle.register_pickle_by_value(module)
                self._registered.append(module)

    def forget(self) -> None:
        """Undo what `look` did."""
        for module in self._registered:
            cloudpickle.unregister_pickle_by_value(module)
        self._registered.clear()
        self._seen.clear()

    def _is_users(self, name: str, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] in _OWN or name != getattr(module, "__name__", ""):
            return False
        already = name in cloudpickle.list_registry_pickle_by_value()
        return not already and not file.startswith(self._installed)


def _installed_paths() -> set[str]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return {f"{path}/" for path in {*paths, *site.getsitepackages(), site.getusersitepackages()}}
