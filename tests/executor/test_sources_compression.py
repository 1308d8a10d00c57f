from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import ConfigError, CorruptInputError, InvalidArgumentError, PathNotFoundError
from aflint.executor.compression import (
    OUTPUT_BYTES,
    SUFFIXES,
    compressor,
    cut_zstd_frames,
    decompress,
)
from tests.fuzz.samples import hadoop_lz4

zstandard: Any = pytest.importorskip("zstandard")
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    **{name: partial(lambda name, data: compress(name, data), name) for name in SUFFIXES},
    "deflate": zlib.compress,
    "xz": lzma.compress,
    "lz4": partial(lz4.frame.compress, content_checksum=True),
    "lz4 of Hadoop": lambda data: hadoop_lz4([data[:9], data[9:]] if len(data) > 9 else [data]),
}
names = pytest.mark.parametrize("name", sorted(COMPRESS))


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def compress(name: str, data: bytes) -> bytes:
    engine = compressor(name)
    return engine.compress(data) + engine.flush()


@names
@given(data=st.lists(st.binary(max_size=300), max_size=4), size=st.integers(1, 50))
def test_any_pieces_of_any_members_come_back(name: str, data: list[bytes], size: int) -> None:
    members = [member for member in data if member] if name == "lz4 of Hadoop" else data
    stored = b"".join(COMPRESS[name](member) for member in members)
    kind = name.split()[0]
    assert b"".join(decompress(pieces_of(stored, size), kind, "x")) == b"".join(data)


@names
def test_a_bomb_comes_out_in_small_steps(name: str) -> None:
    megabyte = b" " * 1024 * 1024
    if name == "lz4 of Hadoop":
        stored = hadoop_lz4(*[[megabyte]] * 64)
    else:
        stored = COMPRESS[name](megabyte * 64)
    assert len(stored) < 300_000
    total = 0
    for step in decompress([stored], name.split()[0], "x"):
        assert len(step) <= 2 * OUTPUT_BYTES
        total += len(step)
    assert total == 64 * len(megabyte)


@names
def test_what_is_cut_short_is_truncated(name: str) -> None:
    stored = COMPRESS[name](bytes(range(256)) * 2)
    for length in range(5, len(stored)):
        with pytest.raises(CorruptInputError, match="x is truncated"):
            list(decompress([stored[:length]], name.split()[0], "x"))


@names
def test_what_is_damaged_is_named(name: str) -> None:
    stored = bytearray(COMPRESS[name](b"some text " * 100))
    stored[len(stored) // 2] ^= 0xFF
    stored[len(stored) // 2 + 1] ^= 0xFF
    with pytest.raises(CorruptInputError, match=r"x is (damaged|truncated)"):
        list(decompress([bytes(stored)], name.split()[0], "x"))


def zstd_members() -> list[bytes]:
    data = b"some text " * 50_000
    sized = zstandard.ZstdCompressor(write_checksum=False, write_content_size=True)
    unsized = zstandard.ZstdCompressor(write_checksum=True, write_content_size=False, level=19)
    skippable = b"\x53\x2a\x4d\x18" + (300).to_bytes(4, "little") + b"\0" * 300
    return [
        sized.compress(b""), sized.compress(b"x"), sized.compress(data), skippable,
        unsized.compress(data), sized.compress(bytes(range(256)) * 3), skippable,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 100, 10**6])
def test_all_kinds_of_zstd_frames(size: int) -> None:
    members = zstd_members()
    data = b"some text " * 50_000
    expected = b"x" + data + data + bytes(range(256)) * 3
    assert b"".join(decompress(pieces_of(b"".join(members), size), "zstd", "x")) == expected
    assert b"".join(part for part, _ in cut_zstd_frames(members, OUTPUT_BYTES)) == b"".join(
        member for member in members if not member.startswith(b"\x53")
    )


def test_zstd_cut_anywhere_is_truncated() -> None:
    stored = zstd_members()[4]
    for length in range(1, len(stored)):
        with pytest.raises(CorruptInputError, match="x is truncated"):
            list(decompress([stored[:length]], "zstd", "x"))


@names
def test_errors_of_the_storage_pass(name: str) -> None:
    def gone() -> Iterator[bytes]:
        raise PathNotFoundError("gone")
        yield b""

    with pytest.raises(PathNotFoundError, match="gone"):
        list(decompress(gone(), name.split()[0], "x"))


def test_what_others_wrote_can_be_read() -> None:
    assert b"".join(decompress([bz2.compress(b"a") + bz2.compress(b"b")], "bz2", "x")) == b"ab"
    alone = lzma.compress(b"ab", lzma.FORMAT_ALONE)
    assert b"".join(decompress([alone], "xz", "x")) == b"ab"
    raw = zlib.compressobj(9, zlib.DEFLATED, 31)
    assert b"".join(decompress([raw.compress(b"ab") + raw.flush()], "gzip", "x")) == b"ab"


def test_zstd_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match=r"aflint\[zstd\]"):
        compressor("zstd")
    with pytest.raises(ConfigError, match=r"aflint\[zstd\]"):
        list(decompress([b"x"], "zstd", "x"))


def test_an_unknown_compression_names_those_that_work() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'lzo'.*gzip, bz2, zstd"):
        compressor("lzo")
