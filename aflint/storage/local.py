"""Files of this machine, as plain paths and file:// URIs."""

from __future__ import annotations

import asyncio
import errno
import glob
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import filterfalse
from typing import BinaryIO
from urllib.parse import unquote

from aflint.errors import (
    AflintError,
    DiskFullError,
    OutputError,
    OutputExistsError,
    PathNotFoundError,
    UnreadableInputError,
)
from aflint.storage.base import (
    FileInfo,
    FileWriter,
    Storage,
    Subfolders,
    input_changed,
    is_kept,
    subfolder,
)
from aflint.storage.patterns import expand_braces, is_glob, is_hidden

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The error numbers by which a disk, or a user's share of it, says that it is full."""

DELETE_ATTEMPTS = 5
"""A folder may be written to while it is removed, by an attempt that lost; not for long."""


def local_path(path: str) -> str:
    """Return the absolute path that a path or a file: URI (percent-encoded) names."""
    if path.startswith("file:"):
        rest = path.removeprefix("file:")
        path = unquote(rest[2:].removeprefix("localhost") if rest.startswith("//") else rest)
    return os.path.abspath(path)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what the operating system says while reading into aflint's errors."""
    try:
        yield
    except AflintError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _not_found(path) from error
    except PermissionError as error:
        raise UnreadableInputError(
            f"{path} may not be read: permission denied; check its owner and mode"
        ) from error
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn what the operating system says while writing into aflint's errors."""
    try:
        yield
    except AflintError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(
                f"no room is left on the disk of {path}; free some, or write elsewhere"
            ) from error
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _not_found(path: str) -> PathNotFoundError:
    return PathNotFoundError(f"{path} does not exist; check the path", path)


def _information(path: str) -> FileInfo | None:
    """Return a regular file that may be read; None for what is none (a folder, a broken link)."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    # Found when it is listed, and not in a task, which would be tried again.
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return FileInfo(path, status.st_size, version_of(status))


def version_of(status: os.stat_result) -> str:
    """Return what tells a file from one that took its place, and from what it was before a write.

    A write of the same size within one tick of the file system's clock, some 4 ms after the last
    one, is not seen.
    """
    identity = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    return ":".join(f"{number:x}" for number in identity)


def _list_folder(folder: str, subfolders: Subfolders) -> list[FileInfo]:
    found: list[FileInfo] = []
    waiting, seen = [folder], {os.path.realpath(folder)}
    while waiting:
        within = waiting.pop()
        for name in filterfalse(is_hidden, os.listdir(within)):
            path = os.path.join(within, name)
            if file := _list_file(path):
                found.append(file)
            elif subfolders != "skip" and os.path.isdir(path):
                if subfolders == "refuse":
                    raise subfolder(path, folder)
                if (real := os.path.realpath(path)) not in seen:  # links may lead around
                    seen.add(real)
                    waiting.append(path)
    return found


def _list_file(path: str) -> FileInfo | None:
    with reading(path):
        return _information(path)


def _list_exact(path: str, subfolders: Subfolders) -> list[FileInfo]:
    with reading(path):
        if os.path.isdir(path):
            return _list_folder(path, subfolders)
        os.stat(path)
    if file := _list_file(path):
        return [file]
    raise UnreadableInputError(f"{path} is neither a file nor a folder; give a regular file")


def _matches(pattern: str) -> Iterator[str]:
    """Yield what a glob matches, but hidden names only where the glob itself names them."""
    # As in Hadoop, files such as _SUCCESS and .crc are no data, unless they are asked for.
    shows_hidden = is_hidden(os.path.basename(pattern))
    for simple in expand_braces(pattern):
        for path in glob.iglob(_for_python(simple), recursive=True):
            if shows_hidden or not is_hidden(os.path.basename(path.rstrip("/"))):
                yield path.rstrip("/") or "/"


def _for_python(pattern: str) -> str:
    r"""Return a glob as Python's glob module writes it, which knows no [^a] and no \."""
    return re.sub(r"\\(.)|\[\^", lambda found: glob.escape(found[1]) if found[1] else "[!", pattern)


def _list_glob(pattern: str, subfolders: Subfolders) -> list[FileInfo]:
    found: list[FileInfo] = []
    matches = set(_matches(pattern))
    for path in matches:
        if os.path.isdir(path):
            with reading(path):
                # `**` matches what is in the folders, too: each file would be there twice.
                found += _list_folder(path, subfolders) if "**" not in pattern else ()
        elif file := _list_file(path):
            found.append(file)
    if not matches:
        _explain_no_match(pattern)
    return found


def _explain_no_match(pattern: str) -> None:
    folder = pattern
    # Up to the last folder that is named without a pattern: whether that is there is what helps.
    while is_glob(folder):
        folder = os.path.dirname(folder)
    try:
        with reading(folder):
            os.listdir(folder)
    except PathNotFoundError as error:
        error.path = pattern
        raise
    raise PathNotFoundError(
        f"nothing matches {pattern}; {folder} is there, check the rest", pattern
    )


def list_files(pattern: str, subfolders: Subfolders = "skip") -> list[FileInfo]:
    """Return what `Storage.list` promises, blocking."""
    path = local_path(pattern)
    # A file may be called like a pattern, and is meant then.
    exact = not is_glob(path) or os.path.lexists(path)
    found = _list_exact(path, subfolders) if exact else _list_glob(path, subfolders)
    return sorted(set(found), key=lambda file: file.path)


def read_range(path: str, start: int, end: int | None, version: str = "") -> bytes:
    """Return what `Storage.read` promises, blocking."""
    with reading(path), open(path, "rb", buffering=0) as file:
        data = _pread(file.fileno(), start, end)
        # Looked at after the read, so that a write in the middle of it is seen, too.
        if version and version_of(os.fstat(file.fileno())) != version:
            raise input_changed(path)
        return data


def _pread(file: int, start: int, end: int | None) -> bytes:
    stop = os.fstat(file).st_size
    stop = stop if end is None else min(end, stop)
    data = os.pread(file, max(stop - start, 0), start)
    if start + len(data) >= stop or not data:
        return data
    pieces = [data]  # one call gives at most 2 GiB
    while (start := start + len(pieces[-1])) < stop and pieces[-1]:
        pieces.append(os.pread(file, stop - start, start))
    return b"".join(pieces)


def _delete(path: str) -> None:
    with writing(path):
        if not os.path.isdir(path) or os.path.islink(path):
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(path)
            return
        # rmtree fails where a file comes after it has listed the folder.
        for attempt in range(DELETE_ATTEMPTS):
            try:
                shutil.rmtree(path, onerror=_unless_gone)
                return
            except OSError as error:
                if error.errno != errno.ENOTEMPTY or attempt + 1 == DELETE_ATTEMPTS:
                    raise


def _clear(folder: str, keep: Collection[str]) -> None:
    for within, folders, names in os.walk(folder, topdown=False):
        at = "" if within == folder else os.path.relpath(within, folder) + "/"
        for name in names + [each for each in folders if os.path.islink(f"{within}/{each}")]:
            if not is_kept(at + name, keep):
                _delete(f"{within}/{name}")
        if at:
            with suppress(OSError):  # it keeps something
                os.rmdir(within)


def _delete_all(paths: list[str]) -> None:
    for path in paths:
        _delete(path)


def _unless_gone(_: object, __: str, info: tuple[object, BaseException, object]) -> None:
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]


def _move(source: str, target: str) -> None:
    if not os.path.lexists(source):
        raise _not_found(source)
    with writing(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(source, target)


def _hidden(path: str) -> str:
    """Return a name beside a path that no listing shows, for what is not finished."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:180]}.{secrets.token_hex(16)}")


class LocalWriter(FileWriter):
    """Writes beside its target under a hidden name, which it takes when finished.

    A call that was cancelled goes on in its thread: the lock keeps the next one from meeting it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._hidden = _hidden(path)
        self._file: BinaryIO | None = None
        self._ended = False
        self._lock = threading.Lock()

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self.append, data)

    async def finish(self) -> None:
        await asyncio.to_thread(self.publish)

    async def abort(self) -> None:
        await asyncio.to_thread(self.discard)

    def append(self, data: bytes) -> None:
        """Write, blocking."""
        with self._lock, writing(self._path):
            file = self._open()
            # Unbuffered: a write may take only part of it.
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

    def publish(self) -> None:
        """Finish, blocking."""
        with self._lock, writing(self._path):
            self._open().close()
            # Whole or not at all, for whoever reads the path.
            os.replace(self._hidden, self._path)
            self._file, self._ended = None, True

    def discard(self) -> None:
        """Abort, blocking."""
        with self._lock:
            self._ended = True
            if self._file is not None:
                self._file.close()
                self._file = None
                with suppress(FileNotFoundError):
                    os.unlink(self._hidden)

    def _open(self) -> BinaryIO:
        if self._ended:
            raise OutputError(f"{self._path} was finished or given up before this was written")
        if self._file is None:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            # Made with the first write, so that one that is given up before leaves no folder.
            self._file = open(self._hidden, "xb", buffering=0)  # noqa: SIM115
        return self._file


def write_whole(path: str, data: bytes) -> None:
    """Do what `Storage.write` promises, blocking."""
    writer = LocalWriter(path)
    try:
        writer.append(data)
        writer.publish()
    finally:
        writer.discard()


def write_new(path: str, data: bytes) -> None:
    """Do what `Storage.write_new` promises, blocking."""
    hidden = _hidden(path)
    with writing(path):
        write_whole(hidden, data)
        try:
            os.link(hidden, path)  # unlike a rename, not over what is there
        except FileExistsError:
            # This very write, tried again, may have made it.
            if read_range(path, 0, None) != data:
                raise OutputExistsError(f"{path} is there already, with other content") from None
        finally:
            os.unlink(hidden)


class LocalStorage(Storage):
    """Files of this machine. Blocking calls run in threads; paths given out are absolute."""

    async def list(self, pattern: str, subfolders: Subfolders = "skip") -> list[FileInfo]:
        return await asyncio.to_thread(list_files, pattern, subfolders)

    async def read(
        self, path: str, start: int = 0, end: int | None = None, version: str = ""
    ) -> bytes:
        return await asyncio.to_thread(read_range, local_path(path), start, end, version)

    async def write(self, path: str, data: bytes) -> None:
        await asyncio.to_thread(write_whole, local_path(path), data)

    async def write_new(self, path: str, data: bytes) -> None:
        await asyncio.to_thread(write_new, local_path(path), data)

    def create(self, path: str) -> FileWriter:
        return LocalWriter(local_path(path))

    async def exists(self, path: str) -> bool:
        return await asyncio.to_thread(os.path.lexists, local_path(path))

    async def move(self, source: str, target: str) -> None:
        await asyncio.to_thread(_move, local_path(source), local_path(target))

    async def delete(self, path: str) -> None:
        await asyncio.to_thread(_delete, local_path(path))

    async def clear(self, folder: str, keep: Collection[str]) -> None:
        await asyncio.to_thread(_clear, local_path(folder), keep)

    async def delete_files(self, paths: Sequence[str]) -> None:
        await asyncio.to_thread(_delete_all, list(map(local_path, paths)))
