"""What a bundle holds: which files a function needs, in a zip that is equal for equal contents.

The cache knows packages by the text of this file, too: after a change, they are gathered anew.
"""

from __future__ import annotations

import base64
import hashlib
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

SERVICES: Final = frozenset({"lambda", "s3", "sqs", "sts"})
"""The services whose botocore models are kept."""

_OWN_EXCLUDED: Final = frozenset({"cli", "deploy", "localcloud", "__main__.py"})
"""What of aflint runs at the driver only, and that no function of a user refers to."""
_RECORDS: Final = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json", "top_level.txt"}
)
_SOURCES: Final = (".pyi", ".pyx", ".pxd")
_TESTED: Final = frozenset({"numpy", "pandas", "pyarrow", "scipy", "sklearn"})
"""Packages that are large and ship their tests, which nothing imports."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can hold: file times would differ from build to build."""
_CHUNK = 1024 * 1024


def keep(path: PurePosixPath, *, all_services: bool = False) -> bool:
    """Whether a file that a wheel brought, its path relative to the bundle, is needed to run."""
    parts = path.parts
    if "__pycache__" in parts or parts[0] == "bin" or parts[0].endswith("-stubs"):
        return False
    if path.suffix in _SOURCES:
        return False
    if parts[0].endswith(".dist-info"):
        return parts[-1] not in _RECORDS
    if parts[0] == "zstandard" and parts[-1].startswith("_cffi."):
        return False  # 12 MB that only PyPy loads.
    if parts[0] in _TESTED and "tests" in parts[:-1]:
        return False
    if parts[:2] == ("botocore", "data") and len(parts) > 3 and not all_services:
        return parts[2] in SERVICES and not parts[-1].startswith("examples-")
    return True


def keep_own(path: PurePosixPath) -> bool:
    """Whether a file of aflint, its path relative to the package, is needed to run tasks."""
    return (
        path.parts[0] not in _OWN_EXCLUDED
        and path.parts[:2] != ("observe", "static")
        and "__pycache__" not in path.parts
        and path.suffix not in (".pyc", ".pyo")
    )


def needs_all_services(requirements: Mapping[str, Iterable[str]]) -> bool:
    """Whether a package beside aflint's own uses botocore, and so may call any service.

    `requirements` maps each package in the bundle to what it requires.
    """
    users = {
        name
        for name, needed in requirements.items()
        if any(need.startswith(("botocore", "boto3")) for need in needed)
    }
    return bool(users - {"aiobotocore", "s3transfer"})


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
            # Unix, wherever this is built: only then does the mode of a file count.
            entry.create_system = 3
            runs = source.stat().st_mode & stat.S_IXUSR or name.suffix == ".so"
            # Readable for all: a function runs as a user that owns none of it.
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
