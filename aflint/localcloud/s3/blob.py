"""The bytes of an object: small ones in memory, large ones in a file of the cloud's own folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

_IN_MEMORY = 1024 * 1024


class Blob:
    """Immutable bytes of `size`; `discard` frees what a large one holds on disk."""

    def __init__(self, content: bytes, folder: Path) -> None:
        self.size = len(content)
        self._memory: bytes | None = content
        self._path: str | None = None
        if self.size > _IN_MEMORY:
            self._memory = None
            descriptor, self._path = tempfile.mkstemp(prefix="blob-", dir=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)

    @classmethod
    def joined(cls, parts: Sequence[Blob], folder: Path) -> Blob:
        """The parts' bytes one after the other."""
        return cls(b"".join(part.read(0, part.size) for part in parts), folder)

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`."""
        if self._memory is not None:
            return self._memory[start : start + length]
        assert self._path is not None
        with open(self._path, "rb") as file:
            file.seek(start)
            return file.read(length)

    def discard(self) -> None:
        """Free the bytes; the blob must not be read again."""
        self._memory = b""
        if self._path is not None:
            os.unlink(self._path)
            self._path = None
