"""Lines of text from one split, as lists of str."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain

from aflint.errors import TextDecodingError
from aflint.executor.compression import decompress
from aflint.executor.lines import (
    Run,
    chunks,
    count_lines,
    place,
    runs,
    skip_line,
    split_text,
    split_utf8,
)
from aflint.executor.ranges import READ_BYTES, Reading
from aflint.task import TextSplit

COMPRESSED_READ_BYTES = 1024 * 1024
BEYOND_BYTES = 64 * 1024
"""Read past the end of a split with its last range: most lines that cross it end there."""


class TextSource:
    """The lines of a split, in blocks.

    `position` is the byte at which the first line not yet given begins (of the decompressed data,
    where compressed), None before the first block; a source made with it goes on from there. A byte
    order mark at the start of a UTF-8 file is no part of its first line, as with Hadoop.
    """

    def __init__(self, split: TextSplit, reading: Reading, position: int | None = None) -> None:
        self.position = position
        self._split = split
        self._reading = reading
        self._utf8 = codecs.lookup(split.encoding).name in ("utf-8", "utf-8-sig")
        self._encoding = "utf-8" if self._utf8 else split.encoding
        self._strict_utf8 = self._utf8 and split.errors == "strict"

    def blocks(self) -> Iterator[list[str]]:
        """Yield lists of lines.

        Raises TextDecodingError, CorruptInputError, PathNotFoundError, UnreadableInputError
        and InputChangedError.
        """
        for run in self.runs():
            for chunk in chunks(run):
                lines = self._lines(chunk)
                self.position = chunk.end
                yield lines

    def _lines(self, chunk: Run) -> list[str]:
        if self._strict_utf8 and chunk.data.find(b"\r", chunk.begin, chunk.stop) >= 0:
            try:
                return split_utf8(chunk)
            except UnicodeDecodeError:
                self._decode(chunk)  # says where it is
        return split_text(self._decode(chunk), chunk.ended)

    def count(self) -> int:
        """Count the lines without making them; bytes that are no text are still an error."""
        return sum(self.counts())

    def counts(self) -> Iterator[int]:
        """Yield the numbers of lines to count, piece by piece, in place of `blocks`."""
        checked = self._split.errors == "strict"
        for run in self.runs():
            # ASCII is text in every encoding that is cut at bytes, so only the rest is decoded.
            if checked and not run.data.isascii():
                self._decode(run)
            self.position = run.end
            yield count_lines(run)

    def runs(self) -> Iterator[Run]:
        """Yield the lines as bytes, in place of `blocks`."""
        found = self._compressed_runs() if self._split.compression else self._plain_runs()
        for run in found:
            if self._utf8 and run.offset == 0:
                run = run.without(codecs.BOM_UTF8)
                if run.begin == run.stop:
                    continue
            yield run

    def _plain_runs(self) -> Iterator[Run]:
        start, end = self._split.start, self._split.end
        # At byte 0 a line begins; at the start of any other split, only behind the first line end.
        position = self.position if start or self.position else 0
        if position is None:
            placed = place(self._bytes_from(start), start)
            yield from runs(skip_line(placed, end), end)
        elif position <= end:
            yield from runs(place(self._bytes_from(position), position), end)
        # Past the split: a source made with it has nothing left to give.
        self.position = max(self.position or 0, end + 1)

    def _bytes_from(self, start: int) -> Iterator[bytes]:
        """Yield bytes from `start` to the end of the split, and on while more is asked for."""
        path, size, version = self._split.path, self._split.size, self._split.version
        end = min(self._split.end + BEYOND_BYTES, size)
        yield from self._reading.ranges(path, start, end, version)
        while end < size:
            start, end = end, min(end + READ_BYTES, size)
            yield from self._reading.ranges(path, start, end, version)

    def _compressed_runs(self) -> Iterator[Run]:
        skip = self.position or 0
        for run in runs(place(all_bytes(self._split, self._reading), 0), None):
            if run.end > skip:
                gone = max(skip - run.offset, 0)
                yield Run(run.offset + gone, run.data, run.begin + gone, run.stop)

    def _decode(self, run: Run) -> str:
        view = memoryview(run.data)[run.begin : run.stop]
        try:
            return str(view, self._encoding, self._split.errors)
        except UnicodeDecodeError as error:
            raise undecodable(self._split, run.offset + error.start, error) from error


class WideTextSource:
    """The lines of a file in an encoding that cannot be cut at bytes, such as utf-16.

    `position` counts the characters given so far.
    """

    def __init__(self, split: TextSplit, reading: Reading, position: int | None = None) -> None:
        self.position = position or 0
        self._split = split
        self._reading = reading

    def blocks(self) -> Iterator[list[str]]:
        """Yield lists of lines, as TextSource does."""
        skip, at, held = self.position, 0, ""
        for text in chain(self._texts(), (None,)):
            held += text or ""
            cut = _last_line_end(held) if text is not None else len(held)
            whole, held = held[:cut], held[cut:]
            at += len(whole)
            if whole and at > skip:
                whole = whole[max(len(whole) - (at - skip), 0) :]
                self.position = at
                yield split_text(whole, whole[-1] in "\r\n")

    def count(self) -> int:
        """Count the lines."""
        return sum(map(len, self.blocks()))

    def _texts(self) -> Iterator[str]:
        split = self._split
        decoder = codecs.getincrementaldecoder(split.encoding)(split.errors)
        offset = 0
        for block, last in _marked_last(all_bytes(split, self._reading)):
            # Bytes that the decoder still holds lie before this block.
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block, last)
            except UnicodeDecodeError as error:
                raise undecodable(split, offset - pending + error.start, error) from error
            except UnicodeError as error:  # of a file as a whole: it has no byte order mark
                raise TextDecodingError(
                    f"{split.path} is not valid {split.encoding} ({error}); read it with another "
                    "encoding=: one that names its byte order, such as utf-16-le"
                ) from error
            yield text.removeprefix("\ufeff") if offset == 0 else text
            offset += len(block)


def all_bytes(split: TextSplit, reading: Reading) -> Iterator[bytes]:
    """Yield the bytes of a whole file, decompressed."""
    step = COMPRESSED_READ_BYTES if split.compression else READ_BYTES
    return plain(split, reading.ranges(split.path, 0, split.size, split.version, step))


def plain(split: TextSplit, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed if its name says that it is compressed."""
    if split.compression is None:
        return pieces
    return filter(None, decompress(pieces, split.compression, split.path))


def undecodable(split: TextSplit, offset: int, error: UnicodeDecodeError) -> TextDecodingError:
    """Return the error that says where the bytes are that are no text."""
    where = f"byte {offset}" + (" of the decompressed data" if split.compression else "")
    return TextDecodingError(
        f"{split.path}: {where} is not valid {split.encoding} ({error.reason}); "
        "read it with another encoding=, or with errors='replace'"
    )


def _last_line_end(text: str) -> int:
    return (text.rfind("\n") + 1) or (text.rfind("\r", 0, -1) + 1)


def _marked_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    for block in blocks:
        yield block, False
    yield b"", True
