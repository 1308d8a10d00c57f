"""The file of one map attempt: its frames, in runs for each reduce partition.

All functions here block, and are called in threads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import BinaryIO

from aflint.errors import ConfigError, DiskFullError, InternalError
from aflint.task import Extent, MapOutput
from aflint.transport.frame_run import Layout, LostOutputError, Run, cut

RUN_BYTES = 4 * 1024 * 1024
"""The length of a run, and about what one call reads."""

PIECES_PER_CALL = 1024
"""The fewest that POSIX systems in use allow one writev (IOV_MAX)."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class FrameFile:
    """Appends frames, and remembers where those of each partition lie."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._layout = Layout(RUN_BYTES)

    def append(self, frames: dict[int, list[bytes]]) -> None:
        """Write frames, those of a partition side by side, in one go.

        Raises DiskFullError, or InternalError if the shuffle was closed meanwhile.
        """
        pieces = self._layout.add(frames)
        try:
            if self._file is None:
                # Made with the first frames: an attempt that writes none leaves no file.
                # Exclusively, as no two attempts share a name.
                self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115
            _write(self._file.fileno(), pieces)
        except OSError as error:
            raise _write_error(self._path, error) from error

    def close(self) -> dict[int, tuple[Extent, ...]]:
        """Close the file and return where the frames of each partition lie."""
        if self._file is not None:
            self._file.close()
            self._file = None
        return self._layout.extents()

    def remove(self) -> None:
        """Close the file and remove it."""
        self.close()
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self._path)


def _write(file: int, pieces: Sequence[bytes]) -> None:
    for begin in range(0, len(pieces), PIECES_PER_CALL):
        group = pieces[begin : begin + PIECES_PER_CALL]
        written = os.writev(file, group)
        if written < sum(map(len, group)):  # the disk is nearly full, or a signal came
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
            f"shuffles cannot be kept in {path}: {error.strerror}; set `scratch_dir` to another "
            "folder"
        ) from error


def _full(path: str) -> DiskFullError:
    return DiskFullError(
        f"no room is left on the disk of {path} for shuffled data; free some, or set "
        "`scratch_dir` to a folder on a larger disk"
    )


def _write_error(path: str, error: OSError) -> DiskFullError | InternalError:
    if error.errno in _FULL:
        return _full(path)
    return InternalError(f"{path} cannot be written: {error.strerror}; was its shuffle closed?")


def read_batch(batch: Sequence[Run], folder: str) -> list[bytes]:
    """Return the frames of runs in files of `folder`.

    Raises LostOutputError.
    """
    frames: list[bytes] = []
    name, file = "", -1  # runs of one file follow each other: it stays open from one to the next
    try:
        for run in batch:
            try:
                if run.object != name:
                    if file >= 0:
                        os.close(file)
                        file = -1
                    path = os.path.join(folder, run.object)
                    name, file = run.object, os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                data = _pread(file, run.extent)
            except OSError as error:
                raise LostOutputError(run.map, f"{folder}/{run.object}: {error}") from error
            frames += cut(run, data)
    finally:
        if file >= 0:
            os.close(file)
    return frames


def _pread(file: int, extent: Extent) -> bytes:
    """Return the bytes of an extent; fewer where the file ends."""
    data = os.pread(file, extent.length, extent.offset)
    while len(data) < extent.length:  # one call gives at most 2 GiB
        more = os.pread(file, extent.length - len(data), extent.offset + len(data))
        if not more:
            break
        data += more
    return data


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
