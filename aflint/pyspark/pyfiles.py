"""Modules of --py-files, which a program may import from its first line on."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from types import ModuleType

from aflint.errors import ConfigError

FILES = ("spark.submit.pyFiles", "spark.files", "spark.archives")
_REMOTE = ("http://", "https://")


def matched(settings: dict[str, str]) -> dict[str, str]:
    """Return settings with patterns such as libs/*.zip replaced by the files that they match.

    Raises ConfigError where there is no such file.
    """
    found = {key: ",".join(_matched(key, settings[key])) for key in FILES if key in settings}
    return {**settings, **found}


def _matched(key: str, listed: str) -> list[str]:
    files: list[str] = []
    for entry in filter(None, map(str.strip, listed.split(","))):
        path = entry.removeprefix("file://").removeprefix("file:")
        if entry.startswith(_REMOTE):
            files.append(entry)
        elif os.path.exists(path.partition("#")[0]):  # an archive's alias stands behind a #
            files.append(path)
        elif names := sorted(glob.glob(path)):
            files += names
        else:
            raise ConfigError(f"{key}: there is no file {entry}")
    return files


def make_importable(listed: str) -> None:
    """Have modules, and archives of modules, found after those beside the program.

    What is to be downloaded is found once the SparkContext has done so.
    """
    modules: dict[str, str] = {}
    place = 1  # behind the program's own folder
    for path in filter(None, listed.split(",")):
        name, ending = os.path.splitext(os.path.basename(path))
        if path.startswith(_REMOTE):
            continue
        if ending == ".py":
            modules[name] = os.path.abspath(path)
        else:
            # In the order in which they are listed.
            sys.path.insert(place, os.path.abspath(path))
            place += 1
    sys.meta_path.insert(sys.meta_path.index(PathFinder), _Modules(modules))


class _Modules(MetaPathFinder):
    """Finds single files as modules. Their folders may hold others, which are not meant."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._files:
            return None
        # A module beside the program goes before one that was sent.
        beside = PathFinder.find_spec(name, sys.path[:1])
        return beside or spec_from_file_location(name, self._files[name])
