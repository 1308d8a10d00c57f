"""Zip files that are equal, byte for byte, when what is in them is equal."""

from __future__ import annotations

import base64
import hashlib
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can hold: file times would differ from build to build."""
_CHUNK = 1024 * 1024


def files_below(folder: Path) -> Iterator[PurePosixPath]:
    """Yield the files in a folder and below it, relative to it, in a fixed order."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    yield from sorted(PurePosixPath(path.as_posix()) for path in found)


def write_zip(target: Path, folders: Iterable[Path]) -> None:
    """Write everything in `folders`, merged, to a zip; what programs may run stays so."""
    sources = {name: folder / name for folder in folders for name in files_below(folder)}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        for name, source in sorted(sources.items()):
            entry = zipfile.ZipInfo(str(name), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            runs = source.stat().st_mode & stat.S_IXUSR or name.suffix == ".so"
            entry.external_attr = (stat.S_IFREG | (0o755 if runs else 0o644)) << 16
            bundle.writestr(entry, source.read_bytes())


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in base64, as Lambda writes it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return base64.b64encode(digest.digest()).decode()


def sizes_by_package(path: Path) -> dict[str, int]:
    """Return the unzipped bytes in a zip by top-level package, largest first."""
    sizes: dict[str, int] = {}
    with zipfile.ZipFile(path) as bundle:
        for entry in bundle.infolist():
            top = entry.filename.partition("/")[0]
            package = top.removesuffix(".py").removesuffix(".libs").partition(".")[0]
            if top.endswith(".dist-info"):
                package = "(metadata)"
            sizes[package] = sizes.get(package, 0) + entry.file_size
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))
