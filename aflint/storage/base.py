"""One small seam for input, output and large payloads: local files, S3."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from aflint.errors import InputChangedError, SubfolderError
from aflint.task import TransferCounts


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file or object: its full path (or URI), its size in bytes, and which version of it.

    Another content under the same path has another `version`.
    """

    path: str
    size: int
    version: str = ""


def is_kept(path: str, keep: Collection[str]) -> bool:
    """Say whether a path within a folder is one of those to keep, or lies in one of them."""
    parts = path.split("/")
    return any("/".join(parts[:depth]) in keep for depth in range(1, len(parts) + 1))


Subfolders = Literal["skip", "read", "refuse"]
"""What to do about folders within a folder that is listed: `refuse` raises SubfolderError."""


def subfolder(path: str, folder: str) -> SubfolderError:
    """Return the error for a folder within one that is listed."""
    error = SubfolderError(
        f"{path} is a folder within {folder}, and its files would be left out. Give recursive=True "
        f"to read them, too, or name the files by a glob, such as {folder}/*.*"
    )
    error.path = path
    return error


def input_changed(path: str) -> InputChangedError:
    """Return the error for a file that is not the version that was listed."""
    return InputChangedError(
        f"{path} was changed or replaced after it was listed for this RDD, so what was read of it "
        "before would not match what is there now. Create the RDD again, which lists its files "
        "again, and run the job once nothing writes to its input"
    )


class FileWriter(ABC):
    """Takes one file piece by piece, in bounded memory; it is there only once finished."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Append; returns when there is room for the next piece.

        Raises DiskFullError or OutputError.
        """

    @abstractmethod
    async def finish(self) -> None:
        """Make the file visible, whole, replacing what is there.

        Raises DiskFullError or OutputError.
        """

    @abstractmethod
    async def abort(self) -> None:
        """Give up and leave nothing behind; after `finish`, or a second time, do nothing."""


class Storage(ABC):
    """Files by path. All paths given out can be given back in."""

    @abstractmethod
    async def list(self, pattern: str, subfolders: Subfolders = "skip") -> list[FileInfo]:
        r"""Return the files that a path, a glob or a folder names, sorted by path.

        A folder gives the files directly in it, and what `subfolders` says of those below, except
        what has a name that begins with "_" or "." (as Hadoop's input formats do). A \ in a glob
        quotes the character after it; a path that is there as it is written is no glob. Raises
        PathNotFoundError where nothing is there or nothing matches, UnreadableInputError where it
        may not be looked at, and SubfolderError.
        """

    @abstractmethod
    async def read(
        self, path: str, start: int = 0, end: int | None = None, version: str = ""
    ) -> bytes:
        """Return bytes [start, end) of a file; fewer only where the file ends.

        Raises PathNotFoundError or UnreadableInputError, and InputChangedError where the file is
        not the `version` that is asked for.
        """

    @abstractmethod
    async def write(self, path: str, data: bytes) -> None:
        """Write a whole file, atomically: it is there entirely or not at all. Makes its folders.

        Raises DiskFullError or OutputError.
        """

    @abstractmethod
    async def write_new(self, path: str, data: bytes) -> None:
        """Write a whole small file, atomically, where none is there. Makes its folders.

        Of several who write at once, one succeeds. Raises OutputExistsError where a file with
        other content is there, DiskFullError or OutputError.
        """

    @abstractmethod
    def create(self, path: str) -> FileWriter:
        """Return a writer of a whole file, which may be larger than memory. Makes its folders."""

    @abstractmethod
    async def exists(self, path: str) -> bool:
        """Say whether a file, or anything in a folder of that name, is there."""

    @abstractmethod
    async def move(self, source: str, target: str) -> None:
        """Give a file another name, replacing what is there."""

    @abstractmethod
    async def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it. What is not there is no error."""

    @abstractmethod
    async def clear(self, folder: str, keep: Collection[str]) -> None:
        """Remove the files in a folder and below, hidden ones too, but those to `keep`: files or
        folders by their paths within the folder. Where nothing is, do nothing.
        """

    async def delete_files(self, paths: Sequence[str]) -> None:
        """Remove files, which are of one storage. What is not there is no error."""
        for path in paths:
            await self.delete(path)

    @property
    def counts(self) -> TransferCounts:
        """What using this storage has asked of AWS so far."""
        return TransferCounts()

    async def aclose(self) -> None:
        """Let go of clients that this storage holds open."""
        return None
