"""PySpark's Python code as one archive, for tasks that run where it is not installed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGES = ("pyspark", "py4j")
_TASKS_NEED: Final = ("cloudpickle", "core", "errors", "logger", "resource", "sql")
_LEFT_OUT: Final = ("connect", "tests", "__pycache__")
"""Of PySpark's 490 MB, 450 are jars; of the rest, tasks of RDD programs import these folders, and
of `sql` what its own modules import.
"""


@cache
def packed_pyspark() -> bytes:
    """Return a zip of the packages that tasks import: about 3 MB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in PACKAGES:
            for file, inside in _files(name):
                archive.write(file, inside)
    return packed.getvalue()


def _files(package: str) -> Iterator[tuple[Path, Path]]:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for file in sorted(root.rglob("*")):
        inside = file.relative_to(root.parent)
        # The folders below the package: modules beside its `__init__` are all taken.
        folders = inside.parts[1:-1]
        wanted = package != "pyspark" or not folders or folders[0] in _TASKS_NEED
        if wanted and not set(_LEFT_OUT) & set(folders) and file.suffix in (".py", ".json"):
            yield file, inside
