"""Whole files as records, and files of records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from aflint.errors import InternalError
from aflint.executor.blockfile import parse
from aflint.executor.ranges import Reading
from aflint.executor.text import plain, undecodable
from aflint.storage.base import FileInfo
from aflint.storage.formats import compression_of
from aflint.task import FilesSplit, TextSplit


class FilesSource:
    """(path, content) for each file, or the records of pickle files.

    `position` is (files done, blocks of the next one done).
    """

    def __init__(
        self, split: FilesSplit, reading: Reading, position: tuple[int, int] | None = None
    ) -> None:
        self.position: tuple[int, int] = position or (0, 0)
        self._split = split
        self._reading = reading

    def blocks(self) -> Iterator[Sequence[Any]]:
        """Yield the content of one file at a time; records by the block.

        Raises TextDecodingError, CorruptInputError, PathNotFoundError, UnreadableInputError
        and InputChangedError.
        """
        match self._split.kind:
            case "pickle":
                return self._pickled()
            case "binary":
                return self._whole(_binary)
            case "text":
                return self._whole(self._text)
        raise InternalError(f"{self._split.kind!r} is no kind of whole files")

    def count(self) -> int:
        """Count the files, or the records in them."""
        if self._split.kind != "pickle":
            return sum(map(len, self.blocks()))
        return sum(BlockFileSource(file, self._reading).count() for file in self._files())

    def _files(self) -> Iterator[FileInfo]:
        """Return the files that are left."""
        split = self._split
        versions = split.versions or ("",) * len(split.paths)
        files = map(FileInfo, split.paths, split.sizes, versions)
        return islice(files, self.position[0], None)

    def _whole(self, content: Callable[[str, Iterator[bytes]], Any]) -> Iterator[list[Any]]:
        for path, pieces in self._reading.whole(self._files()):
            record = (path, content(path, pieces))
            self.position = (self.position[0] + 1, 0)
            yield [record]

    def _pickled(self) -> Iterator[Sequence[Any]]:
        for file in self._files():
            index, done = self.position
            source = BlockFileSource(file, self._reading, done)
            for block in source.blocks():
                # Before the block is given: a cut after it goes on behind it.
                self.position = (index, source.position)
                yield block
            self.position = (index + 1, 0)

    def _text(self, path: str, pieces: Iterator[bytes]) -> str:
        encoding, errors = self._split.encoding, self._split.errors
        split = TextSplit(path, 0, 0, 0, compression_of(path), encoding, errors)
        data = b"".join(plain(split, pieces))
        try:
            return data.decode(encoding, errors)
        except UnicodeDecodeError as error:
            raise undecodable(split, error.start, error) from error


def _binary(_: str, pieces: Iterator[bytes]) -> bytes:
    return b"".join(pieces)


class BlockFileSource:
    """The records of one file of record blocks; `position` counts the blocks given.

    `key` is that of the file, where it is tagged.
    """

    def __init__(
        self,
        file: FileInfo,
        reading: Reading,
        position: int | None = None,
        key: bytes | None = None,
    ) -> None:
        self.position = position or 0
        self._file = file
        self._reading = reading
        self._key = key

    def blocks(self) -> Iterator[Sequence[Any]]:
        """Yield the blocks as they were written.

        Raises CorruptInputError for a file that is truncated, damaged or of another kind, and
        PayloadRefusedError for a tagged one that was altered.
        """
        path, skip = self._file.path, self.position
        for _, block in parse(self._bytes(), path, skip, key=self._key):
            self.position += 1
            yield block

    def count(self) -> int:
        """Count the records from the heads of the blocks."""
        path, skip = self._file.path, self.position
        parsed = parse(self._bytes(), path, skip, decode=False, key=self._key)
        return sum(count for count, _ in parsed)

    def _bytes(self) -> Iterator[bytes]:
        file = self._file
        return self._reading.ranges(file.path, 0, file.size, file.version)
