"""addFile, addPyFile and addArchive: files that tasks find by SparkFiles, and modules."""

from __future__ import annotations

import importlib
import io
import os
import shutil
import sys
import urllib.parse
import zipfile
from pathlib import Path

from aflint.errors import InvalidArgumentError, PathNotFoundError
from aflint.pyspark.worker import FOLDER_MARK

PACKAGES = (".zip", ".egg", ".jar", ".whl")


class AddedFiles:
    """The files added to one context, in a folder of the driver's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources: dict[str, str] = {}
        self.archives: list[str] = []
        self.packages: list[str] = []
        # Behind the program's own folder, whose modules go before.
        sys.path.insert(1, str(root))

    def add(self, source: str, recursive: bool = False) -> Path:
        """Copy a file, or with `recursive` a folder, and return where it lies now.

        Raises PathNotFoundError, and InvalidArgumentError for a folder without `recursive` or
        another file of the same name.
        """
        name = os.path.basename(urllib.parse.urlsplit(source).path.rstrip("/"))
        target = self.root / name
        if source.startswith(("http://", "https://")):
            from urllib.request import urlopen  # slow to import, and seldom needed

            with urlopen(source) as answer:
                target.write_bytes(answer.read())
        else:
            path = Path(source.removeprefix("file:")).expanduser()
            self._check(path, target, recursive)
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            elif (
                path.resolve() != target.resolve()
            ):  # else it was added before, and is named by that
                shutil.copyfile(path, target)
        self.sources[name] = source
        # importlib remembers what it did not find in a folder.
        importlib.invalidate_caches()
        return target

    def _check(self, path: Path, target: Path, recursive: bool) -> None:
        if not path.exists():
            raise PathNotFoundError(f"addFile: there is no file {path}")
        if path.is_dir() and not recursive:
            raise InvalidArgumentError(
                f"Added file {path} is a directory and recursive is not turned on."
            )
        known = self.sources.get(target.name)
        # As on Spark: the same file may be added again, and not another one of its name.
        clash = known is not None and target.is_file() and path.is_file()
        if clash and path.read_bytes() != target.read_bytes():
            raise InvalidArgumentError(
                f"addFile: another file of the name {target.name} was added before: {known}"
            )

    def add_package(self, source: str) -> None:
        """Add a module, or an archive of modules."""
        target = self.add(source)
        if target.suffix.lower() in PACKAGES:
            self.packages.append(target.name)
            sys.path.insert(1, str(target))
            importlib.invalidate_caches()

    def add_archive(self, source: str) -> None:
        """Unpack an archive into a folder of its name, or of what stands behind its #."""
        path, _, alias = source.partition("#")
        name = alias or os.path.basename(path)
        target = self.root / name
        if not Path(path.removeprefix("file:")).is_file():
            raise PathNotFoundError(f"addArchive: there is no file {path}")
        shutil.unpack_archive(path.removeprefix("file:"), target, _format(path))
        self.sources[name] = path
        if (uri := f"file:{os.path.abspath(path.removeprefix('file:'))}") not in self.archives:
            self.archives.append(uri)

    def contents(self) -> dict[str, bytes]:
        """Return what has to travel to a machine that does not see the folder."""
        return {name: _packed(self.root / name) for name in self.sources}

    def forget(self) -> None:
        """Take the modules out of this process's path."""
        for entry in (str(self.root), *(str(self.root / name) for name in self.packages)):
            if entry in sys.path:
                sys.path.remove(entry)


def _format(path: str) -> str | None:
    return "zip" if path.endswith((".jar", ".whl", ".egg")) else None


def _packed(path: Path) -> bytes:
    if path.is_file():
        return path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path.rglob("*")):
            archive.write(file, file.relative_to(path))
    return FOLDER_MARK + packed.getvalue()
