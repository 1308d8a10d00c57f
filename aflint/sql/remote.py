"""Files of S3 as DuckDB reads and writes them: by ranges, through the task's own storage.

DuckDB sees a path `aflint://` whose parts are the size, the version and the path of an object: so
it opens one without asking for anything, and what it reads is of that version.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from aflint.errors import ConfigError
from aflint.executor.context import task_context
from aflint.executor.ranges import Reading
from aflint.executor.sinks import StreamWriter
from aflint.storage.router import scheme_of

SCHEME = "aflint://"
_WRITTEN = SCHEME + "0//written"
_RANGE = 4 << 20


def is_remote(path: str) -> bool:
    """Say whether DuckDB cannot open a path by itself."""
    return scheme_of(path) != ""


def readable(path: str, size: int, version: str) -> str:
    """Return the path by which DuckDB reads an object."""
    return f"{SCHEME}{size}/{quote(version, '')}/{quote(path, '')}"


def reading() -> Reading:
    """Return what the running task reads and writes with."""
    means = task_context().reading
    assert means is not None  # every task's executor gives it
    return means


_failures: list[BaseException] = []
"""Why the running task's last read failed: DuckDB makes an error of its own of it."""


def fail(error: BaseException) -> None:
    """Remember why a read has failed."""
    _failures[:] = [error]


def failure() -> BaseException | None:
    """Return why a read has failed, once."""
    return _failures.pop() if _failures else None


class ObjectFile(io.RawIOBase):
    """An object being read."""

    def __init__(self, path: str, size: int, version: str) -> None:
        self._path, self._size, self._version = path, size, version
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; a large piece comes in ranges that are asked for at once."""
        end = self._size if size < 0 else min(self._size, self._position + size)
        pieces = reading().ranges(self._path, self._position, end, self._version, _RANGE)
        try:
            data = b"".join(pieces)
        except BaseException as error:
            fail(error)
            raise
        self._position = end
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset."""
        before = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = before + offset
        return self._position

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._position

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def readable(self) -> bool:
        """Say yes."""
        return True


class _Written(io.RawIOBase):
    """An object being written; `Writing` ends it."""

    def __init__(self, stream: StreamWriter) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data))
        return len(data)

    def writable(self) -> bool:
        return True


_streams: list[StreamWriter] = []
"""What the running task writes now: one file at a time."""


class Writing:
    """A `with` block whose value is the path by which DuckDB writes an object. The object is there
    only after the block has ended without an exception.
    """

    def __init__(self, path: str) -> None:
        means = reading()
        self._stream = StreamWriter(path, means.storage, means.io)

    def __enter__(self) -> str:
        _streams[:] = [self._stream]
        return _WRITTEN

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        _streams.clear()
        self._stream.__exit__(kind, *error)


def register(connection: Any) -> None:
    """Have a database read and write by these paths. Raises ConfigError without fsspec."""
    try:
        from fsspec import AbstractFileSystem
    except ModuleNotFoundError as error:
        raise ConfigError(
            "SQL over s3:// needs fsspec, here and in functions: pip install 'aflint[sql]'"
        ) from error

    class Files(AbstractFileSystem):  # type: ignore[misc]
        protocol = "aflint"
        cachable = False

        @classmethod
        def _strip_protocol(cls, path: Any) -> Any:
            return path

        def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
            if "r" not in mode:
                return _Written(_streams[0])
            size, version, name = path.removeprefix(SCHEME).split("/")
            return ObjectFile(unquote(name), int(size), unquote(version))

        def info(self, path: str, **options: Any) -> dict[str, Any]:
            size = int(path.removeprefix(SCHEME).split("/")[0])
            return {"name": path, "size": size, "type": "file"}

        def glob(self, path: str, **options: Any) -> list[str]:
            return [path]

        def isfile(self, path: str) -> bool:
            return path != _WRITTEN

        def modified(self, path: str) -> datetime:
            return datetime(1970, 1, 1)  # always the same: the version is in the path

    if not connection.filesystem_is_registered("aflint"):
        connection.register_filesystem(Files())
