"""The file of one map attempt: frames behind their lengths, in runs per reduce partition.

All functions here block, and are called in threads.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from aflint.errors import ConfigError, DiskFullError, InternalError
from aflint.task import Extent, MapOutput

RUN_BYTES = 4 * 1024 * 1024
"""A run is not made longer than this (a single frame may be), so that it is one read."""

PIECES_PER_CALL = 1024
"""The fewest that POSIX systems in use allow one writev (IOV_MAX)."""

_LENGTH = struct.Struct("<I")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class LostOutputError(Exception):
    """The file of an attempt of `map` is gone, or is not what it was."""

    def __init__(self, map: int, reason: str) -> None:
        super().__init__(reason)
        self.map = map


class FrameFile:
    """Appends frames, and remembers where those of each partition lie."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._size = 0
        self._extents: dict[int, list[Extent]] = {}

    def append(self, frames: dict[int, list[bytes]]) -> None:
        """Write frames, those of a partition side by side, in one go.

        Raises DiskFullError, or InternalError if the shuffle was closed meanwhile.
        """
        pieces: list[bytes] = []
        for partition in sorted(frames):
            for frame in frames[partition]:
                self._place(partition, _LENGTH.size + len(frame))
                pieces += (_LENGTH.pack(len(frame)), frame)
        try:
            if self._file is None:
                self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115
            _write(self._file.fileno(), pieces)
        except OSError as error:
            raise _write_error(self._path, error) from error

    def _place(self, partition: int, length: int) -> None:
        runs = self._extents.setdefault(partition, [])
        at = self._size
        self._size += length
        if runs and runs[-1].offset + runs[-1].length == at:
            offset, total = runs[-1].offset, runs[-1].length + length
            if total <= RUN_BYTES:
                runs[-1] = Extent(offset, total)
                return
        runs.append(Extent(at, length))

    def close(self) -> dict[int, tuple[Extent, ...]]:
        """Close the file and return where the frames of each partition lie."""
        if self._file is not None:
            self._file.close()
            self._file = None
        return {partition: tuple(runs) for partition, runs in self._extents.items()}

    def remove(self) -> None:
        """Close the file and remove it."""
        self.close()
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self._path)


def _write(file: int, pieces: Sequence[bytes]) -> None:
    for begin in range(0, len(pieces), PIECES_PER_CALL):
        group = pieces[begin : begin + PIECES_PER_CALL]
        written = os.writev(file, group)
        if written < sum(map(len, group)):
            rest = memoryview(b"".join(group))[written:]
            while rest:
                rest = rest[os.write(file, rest) :]


def make_folder(path: str) -> None:
    """Make the folder of a shuffle.

    Raises DiskFullError or ConfigError.
    """
    try:
        os.makedirs(path)
    except OSError as error:
        if error.errno in _FULL:
            raise _full(path) from error
        raise ConfigError(
            f"shuffles cannot be kept in {path}: {error.strerror}; choose another work folder"
        ) from error


def _full(path: str) -> DiskFullError:
    return DiskFullError(
        f"no room is left on the disk of {path} for shuffled data; free some, or set the work "
        "folder to a larger disk"
    )


def _write_error(path: str, error: OSError) -> DiskFullError | InternalError:
    if error.errno in _FULL:
        return _full(path)
    return InternalError(f"{path} cannot be written: {error.strerror}; was its shuffle closed?")


@dataclass(frozen=True, slots=True)
class Read:
    """One run of frames to be read."""

    map: int
    path: str
    extent: Extent


def plan_reads(
    outputs: Iterable[MapOutput], folder: str, batch_bytes: int = RUN_BYTES
) -> list[list[Read]]:
    """Put runs together into batches of about `batch_bytes`, each read by one call: pure."""
    batches: list[list[Read]] = []
    room = 0
    for output in outputs:
        for extent in output.extents:
            if extent.length > room:
                batches.append([])
                room = batch_bytes
            room -= extent.length
            batches[-1].append(Read(output.map, os.path.join(folder, output.object), extent))
    return batches


def read_batch(batch: Sequence[Read]) -> list[bytes]:
    """Return the frames of a batch.

    Raises LostOutputError.
    """
    frames: list[bytes] = []
    path, file = "", -1
    try:
        for read in batch:
            try:
                if read.path != path:
                    if file >= 0:
                        os.close(file)
                        file = -1
                    path, file = read.path, os.open(read.path, os.O_RDONLY | os.O_CLOEXEC)
                frames += _cut(_pread(file, read.extent))
            except (OSError, EOFError) as error:
                raise LostOutputError(read.map, f"{read.path}: {error}") from error
    finally:
        if file >= 0:
            os.close(file)
    return frames


def _pread(file: int, extent: Extent) -> bytes:
    data = os.pread(file, extent.length, extent.offset)
    while len(data) < extent.length:  # one call gives at most 2 GiB
        more = os.pread(file, extent.length - len(data), extent.offset + len(data))
        if not more:
            raise EOFError("shorter than it was")
        data += more
    return data


def _cut(run: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(run):
        begin = at + _LENGTH.size
        at = begin + int.from_bytes(run[at:begin], "little")
        if at > len(run):
            raise EOFError("not the frames that were written")
        yield run[begin:at]


def lost_maps(outputs: Iterable[MapOutput], folder: str) -> tuple[int, ...]:
    """Return the map partitions whose files are gone, or shorter than what is to be read."""
    return tuple(sorted({output.map for output in outputs if _is_lost(output, folder)}))


def _is_lost(output: MapOutput, folder: str) -> bool:
    if not output.frames:
        return False
    if not output.extents:
        return True
    end = max(extent.offset + extent.length for extent in output.extents)
    try:
        return os.stat(os.path.join(folder, output.object)).st_size < end
    except OSError:
        return True
