"""Which of the files that wheels bring, and which of aflint's own, a function needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
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
