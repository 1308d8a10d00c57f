"""Whole files as records, and files of records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aflint.errors import InternalError
from aflint.executor.blockfile import parse
from aflint.executor.ranges import READ_BYTES, Reading
from aflint.executor.text import decompressed, undecodable
from aflint.storage.formats import compression_of
from aflint.task import BlocksSplit, FilesSplit, TextSplit


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

    def blocks(self) -> Iterator[list[Any]]:
        """Yield the content of one file at a time; records by the block.

        Raises TextDecodingError, CorruptInputError, PathNotFoundError and UnreadableInputError.
        """
        match self._split.kind:
            case "pickle":
                return self._pickled()
            case "binary":
                return self._whole(self._binary)
            case "text":
                return self._whole(self._text)
        raise InternalError(f"{self._split.kind!r} is no kind of whole files")

    def count(self) -> int:
        """Count the files, or the records in them."""
        if self._split.kind != "pickle":
            return sum(map(len, self.blocks()))
        files = zip(self._split.paths, self._split.sizes, strict=True)
        return sum(
            BlockFileSource(BlocksSplit(path, size), self._reading).count() for path, size in files
        )

    def _files(self) -> Iterator[tuple[int, str, int]]:
        files = enumerate(zip(self._split.paths, self._split.sizes, strict=True))
        return ((index, path, size) for index, (path, size) in files if index >= self.position[0])

    def _whole(self, content: Any) -> Iterator[list[Any]]:
        for index, path, size in self._files():
            record = (path, content(path, size))
            self.position = (index + 1, 0)
            yield [record]

    def _pickled(self) -> Iterator[list[Any]]:
        for index, path, size in self._files():
            done = self.position[1]
            source = BlockFileSource(BlocksSplit(path, size), self._reading, done)
            for block in source.blocks():
                self.position = (index, source.position)
                yield block
            self.position = (index + 1, 0)

    def _binary(self, path: str, size: int) -> bytes:
        return b"".join(self._reading.ranges(path, 0, size))

    def _text(self, path: str, size: int) -> str:
        encoding, errors = self._split.encoding, self._split.errors
        split = TextSplit(path, 0, size, size, compression_of(path), encoding, errors)
        data = b"".join(decompressed(split, self._reading))
        try:
            return data.decode(encoding, errors)
        except UnicodeDecodeError as error:
            raise undecodable(split, error.start, error) from error


class BlockFileSource:
    """The records of one file of record blocks; `position` counts the blocks given."""

    def __init__(self, split: BlocksSplit, reading: Reading, position: int | None = None) -> None:
        self.position = position or 0
        self._split = split
        self._reading = reading

    def blocks(self) -> Iterator[list[Any]]:
        """Yield the blocks as they were written.

        Raises CorruptInputError for a file that is truncated, damaged or of another kind.
        """
        for _, block in parse(self._bytes(), self._split.path, skip=self.position):
            self.position += 1
            yield block

    def count(self) -> int:
        """Count the records from the heads of the blocks."""
        parsed = parse(self._bytes(), self._split.path, skip=self.position, decode=False)
        return sum(count for count, _ in parsed)

    def _bytes(self) -> Iterator[bytes]:
        return self._reading.ranges(self._split.path, 0, self._split.size, READ_BYTES)
