"""Bundles: a zip checked against Lambda's limits and unpacked once, read-only."""

from __future__ import annotations

import asyncio
import base64
import calendar
import hashlib
import io
import itertools
import os
import zipfile
from pathlib import Path

from aflint import limits
from aflint.localcloud.lambda_.errors import invalid
from aflint.localcloud.lambda_.function import Code
from aflint.localcloud.sweeper import remove_tree
from aflint.localcloud.wire import ServiceError


class CodeStore:
    """Unpacked bundles by content, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unpacked: dict[str, Code] = {}
        self._lock = asyncio.Lock()
        self._partial = itertools.count()

    async def add(self, content: bytes, *, direct: bool) -> Code:
        """Unpack a zip, or find it unpacked.

        Raises RequestEntityTooLargeException for more than 50 MB sent `direct`ly, and
        InvalidParameterValueException for what is no zip or holds more than 250 MB.
        """
        if direct and len(content) > limits.LAMBDA_ZIP_BYTES:
            raise ServiceError(
                "RequestEntityTooLargeException",
                f"Zip file of {len(content)} bytes is larger than the {limits.LAMBDA_ZIP_BYTES} "
                "that may be uploaded directly; upload it to S3 and name it there",
                413,
            )
        digest = hashlib.sha256(content)
        name = digest.hexdigest()
        async with self._lock:
            if name not in self._unpacked:
                root = self._folder / name
                partial = self._folder / f"{name}.{next(self._partial)}"
                await asyncio.to_thread(_unpack, content, partial, root)
                sha256 = base64.b64encode(digest.digest()).decode()
                self._unpacked[name] = Code(sha256, len(content), root)
        return self._unpacked[name]


def _unpack(content: bytes, partial: Path, root: Path) -> None:
    """Unpack beside `root` and move it there when it is whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            _check_unzipped(bundle)
            bundle.extractall(partial)
            _protect(bundle, partial)
        if not root.exists():
            partial.rename(root)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        ) from error
    finally:
        remove_tree(str(partial))


def _check_unzipped(bundle: zipfile.ZipFile) -> None:
    if not bundle.infolist():
        raise invalid("Uploaded file must be a non-empty zip")
    if sum(entry.file_size for entry in bundle.infolist()) > limits.LAMBDA_UNZIPPED_BYTES:
        raise invalid(f"Unzipped size must be smaller than {limits.LAMBDA_UNZIPPED_BYTES} bytes")


def _protect(bundle: zipfile.ZipFile, root: Path) -> None:
    """As on Lambda: nothing may be written, programs stay executable, times are the zip's."""
    for entry in bundle.infolist():
        path = root / entry.filename
        if path.is_file():
            executable = (entry.external_attr >> 16) & 0o111
            path.chmod(0o555 if executable else 0o444)
            modified = calendar.timegm((*entry.date_time, 0, 0, 0))
            os.utime(path, (modified, modified))
    for path in root.rglob("*"):
        if path.is_dir():
            path.chmod(0o555)
    root.chmod(0o555)
