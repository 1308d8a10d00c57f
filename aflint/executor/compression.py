"""gzip, bz2 and zstd as streams in bounded memory, whatever the data expands to."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Protocol

from aflint.errors import AflintError, ConfigError, CorruptInputError, InvalidArgumentError
from aflint.executor.zstd_frames import cut_frames

OUTPUT_BYTES = 1024 * 1024
"""The most that one step of decompression may give."""

INPUT_BYTES = 128 * 1024
"""What one step is given: what it does not use up is copied."""

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
    steps = {"gzip": _gunzip, "bz2": _bunzip2, "zstd": _unzstd}[compression]
    try:
        yield from steps(pieces)
    except AflintError:
        raise
    except EOFError as error:
        raise CorruptInputError(
            f"{path} is truncated: it ends in the middle of its {compression} data; copy it again"
        ) from error
    except (zlib.error, OSError, ValueError) as error:
        raise CorruptInputError(
            f"{path} is damaged or not a {compression} file: {error}; copy it again, or rename it"
        ) from error


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for begin in range(0, len(piece), INPUT_BYTES):
            yield piece[begin : begin + INPUT_BYTES]


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    engine = None
    padding = b""  # zeros may follow a member, as tapes leave them
    for piece in _bounded(pieces):
        data = piece
        while data := data if engine else data.lstrip(padding):
            engine = engine or zlib.decompressobj(31)
            yield engine.decompress(data, OUTPUT_BYTES)
            data = engine.unused_data if engine.eof else engine.unconsumed_tail
            if engine.eof:
                engine, padding = None, b"\0"
    while engine:
        rest = engine.decompress(b"", OUTPUT_BYTES)
        if engine.eof:
            engine = None
        elif not rest:
            raise EOFError
        yield rest


def _bunzip2(pieces: Iterable[bytes]) -> Iterator[bytes]:
    engine = None
    for piece in _bounded(pieces):
        data = piece
        while data or (engine and not engine.needs_input):
            engine = engine or bz2.BZ2Decompressor()
            yield engine.decompress(data, OUTPUT_BYTES)
            data = engine.unused_data if engine.eof else b""
            if engine.eof:
                engine = None
    if engine:
        raise EOFError


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    library = _zstandard()
    engine = None
    for part, last in cut_frames(pieces, OUTPUT_BYTES):
        engine = engine or library.ZstdDecompressor().decompressobj()
        try:
            yield engine.decompress(part)
        except library.ZstdError as error:
            raise ValueError(str(error)) from error
        if last:
            engine = None


def _zstandard() -> Any:
    try:
        return import_module("zstandard")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "zstd files need the package zstandard: install aflint[zstd], here and on the workers"
        ) from error
