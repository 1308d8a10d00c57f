"""Compressed data as streams in bounded memory, whatever it expands to."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Any, Protocol

import lz4.block
import lz4.frame

from aflint.errors import AflintError, ConfigError, CorruptInputError, InvalidArgumentError
from aflint.executor.pieces import Pieces

OUTPUT_BYTES = 1024 * 1024
"""The most that one step of decompression may give."""

INPUT_BYTES = 128 * 1024
"""What one step is given: what it does not use up is copied."""

_XZ_MEMORY_BYTES = 256 * 1024 * 1024
"""What decompressing may take: four times that of `xz -9`."""

_LZ4_MARK = b"\x04\x22\x4d\x18"
_LZ4_LARGEST_RATIO = 255

ZSTD_BLOCK_BYTES = 128 * 1024
"""The most that one block expands to (Block_Maximum_Size)."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"

SUFFIXES = {"gzip": ".gz", "bz2": ".bz2", "zstd": ".zst"}


class Compressor(Protocol):
    """The shape of zlib's and bz2's compressors."""

    def compress(self, data: bytes, /) -> bytes:
        """Take bytes, and return what is ready."""

    def flush(self) -> bytes:
        """Return the rest; nothing can be added after it."""


def compressor(compression: str) -> Compressor:
    """Return a compressor for "gzip", "bz2" or "zstd"."""
    match compression:
        case "gzip":
            return zlib.compressobj(6, zlib.DEFLATED, 31)
        case "deflate":  # with zlib's head and sum, as Hadoop writes it
            return zlib.compressobj(6)
        case "bz2":
            return bz2.BZ2Compressor()
        case "zstd":
            engine: Compressor = _zstandard().ZstdCompressor(write_checksum=True).compressobj()
            return engine
    raise InvalidArgumentError(
        f"unknown compression {compression!r}; give one of {', '.join(SUFFIXES)}, or None"
    )


def decompress(pieces: Iterable[bytes], compression: str, path: str) -> Iterator[bytes]:
    """Yield decompressed bytes; several members, streams or frames are one after the other.

    Raises CorruptInputError naming `path` for what is truncated or damaged.
    """
    steps = _STEPS[compression]
    try:
        yield from steps(pieces)
    except AflintError:
        raise
    except EOFError as error:
        raise CorruptInputError(
            f"{path} is truncated: it ends in the middle of its {compression} data; copy it again"
        ) from error
    except (zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        raise CorruptInputError(
            f"{path} is damaged or not a {compression} file: {error}; copy it again, or rename it"
        ) from error


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for begin in range(0, len(piece), INPUT_BYTES):
            yield piece[begin : begin + INPUT_BYTES]


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return _inflate(pieces, 31, padding=b"\0")  # zeros may follow a member, as tapes leave them


def _undeflate(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return _inflate(pieces, zlib.MAX_WBITS)  # with zlib's head and sum, as Hadoop writes it


def _inflate(pieces: Iterable[bytes], bits: int, padding: bytes = b"") -> Iterator[bytes]:
    engine = None
    allowed = b""  # nothing may come before the first member
    for piece in _bounded(pieces):
        data = piece
        while data := data if engine else data.lstrip(allowed):
            engine = engine or zlib.decompressobj(bits)
            yield engine.decompress(data, OUTPUT_BYTES)
            data = engine.unused_data if engine.eof else engine.unconsumed_tail
            if engine.eof:
                engine, allowed = None, padding
    while engine:  # it may hold back output even when all input was taken
        rest = engine.decompress(b"", OUTPUT_BYTES)
        if engine.eof:
            engine = None
        elif not rest:
            raise EOFError
        yield rest


class _Decompressor(Protocol):
    """The shape of the decompressors of bz2, lzma and lz4."""

    @property
    def eof(self) -> bool:
        """Whether the stream is over."""

    @property
    def needs_input(self) -> bool:
        """Whether more bytes are needed to go on."""

    @property
    def unused_data(self) -> bytes | None:
        """What came behind the end of the stream."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take bytes, and return at most so many."""


def _streams(
    pieces: Iterable[bytes], make: Callable[[], _Decompressor], padding: bytes = b""
) -> Iterator[bytes]:
    """Decompress streams that follow one another, with `padding` between them."""
    engine: _Decompressor | None = None
    allowed = b""
    for piece in _bounded(pieces):
        data = piece
        while data or (engine and not engine.needs_input):
            if engine is None:
                data = data.lstrip(allowed)
                if not data:
                    break
                engine = make()
            yield engine.decompress(data, OUTPUT_BYTES)
            data = engine.unused_data or b"" if engine.eof else b""
            if engine.eof:
                engine, allowed = None, padding
    if engine:
        raise EOFError


def _bunzip2(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return _streams(pieces, bz2.BZ2Decompressor)


def _unxz(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return _streams(pieces, partial(lzma.LZMADecompressor, memlimit=_XZ_MEMORY_BYTES), b"\0")


def _unlz4(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress what the `lz4` program writes, known by its mark, or Hadoop's Lz4Codec."""
    source = Pieces(pieces)
    if source.at_end():
        return iter(())
    head = source.read(4)
    if head == _LZ4_MARK:
        return _streams(chain((head,), source.rest()), _Lz4Frame)
    return _hadoop_blocks(int.from_bytes(head, "big"), source)


class _Lz4Frame(lz4.frame.LZ4FrameDecompressor):  # type: ignore[misc]
    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        try:
            return bytes(super().decompress(data, max_length))
        except RuntimeError as error:  # the library's only one for damaged data
            raise ValueError(str(error)) from error


def _hadoop_blocks(size: int, source: Pieces) -> Iterator[bytes]:
    """Decompress blocks: their sizes, and then the chunks that make that many bytes together, each
    behind its own size. The first block's size was read already.
    """
    while True:
        while size:
            data = source.read(int.from_bytes(source.read(4), "big"))
            # What a chunk expands to is not said; it cannot be more than this.
            most = min(size, len(data) * _LZ4_LARGEST_RATIO)
            try:
                chunk = lz4.block.decompress(data, uncompressed_size=most)
            except lz4.block.LZ4BlockError as error:
                raise ValueError(str(error)) from error
            if not chunk:
                raise ValueError("a block of lz4 data is empty that should not be")
            size -= len(chunk)
            yield chunk
        if source.at_end():
            return
        size = int.from_bytes(source.read(4), "big")


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    library = _zstandard()
    engine = None
    for part, last in cut_zstd_frames(pieces, OUTPUT_BYTES):
        engine = engine or library.ZstdDecompressor().decompressobj()
        try:
            yield engine.decompress(part)
        except library.ZstdError as error:
            raise ValueError(str(error)) from error
        if last:  # frames follow one another, each with its own decompressor
            engine = None


_STEPS: dict[str, Callable[[Iterable[bytes]], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "deflate": _undeflate,
    "bz2": _bunzip2,
    "xz": _unxz,
    "lz4": _unlz4,
    "zstd": _unzstd,
}


def _zstandard() -> Any:
    try:
        return import_module("zstandard")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "zstd files need the package zstandard: install aflint[zstd], here and on the workers"
        ) from error


# The `zstandard` package cannot bound what one call gives, nor say whether a file was cut short.
# The format can: a frame is a chain of blocks of at most 128 KiB each, with their sizes ahead of
# them (RFC 8878, section 3.1.1). So the data is cut where it is known how much it can expand to.


def cut_zstd_frames(pieces: Iterable[bytes], output_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """Yield (part, whether it ends its frame), each giving at most about `output_bytes`.

    Raises EOFError for truncated data, ValueError for what is no zstd data.
    """
    source = Pieces(pieces)
    while not source.at_end():
        magic = source.read(4)
        if magic[1:] == _ZSTD_SKIPPABLE and magic[0] >> 4 == 5:
            source.skip(int.from_bytes(source.read(4), "little"))
        elif magic == _ZSTD_MAGIC:
            yield from _cut_zstd_frame(source, output_bytes // ZSTD_BLOCK_BYTES)
        else:
            raise ValueError("no zstd frame begins where one should")


def _cut_zstd_frame(source: Pieces, blocks: int) -> Iterator[tuple[bytes, bool]]:
    descriptor = source.read(1)
    parts = [_ZSTD_MAGIC, descriptor, source.read(_zstd_header_size(descriptor[0]))]
    last = False
    while not last:
        for _ in range(blocks):
            head = source.read(3)
            word = int.from_bytes(head, "little")
            last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
            parts += (head, source.read(1 if kind == 1 else size))
            if last:
                break
        if last and descriptor[0] & 4:
            parts.append(source.read(4))  # the checksum
        yield b"".join(parts), last
        parts = []


def _zstd_header_size(descriptor: int) -> int:
    """Return the bytes of a frame's header that follow its descriptor."""
    single = descriptor >> 5 & 1
    content = (single, 2, 4, 8)[descriptor >> 6]
    return (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content
