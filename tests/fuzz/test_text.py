"""The text splitter on any bytes, cut anywhere: each line once, or a typed error."""

from __future__ import annotations

import bz2
import gzip
import re
from collections.abc import Callable, Iterable
from itertools import islice, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import InputError
from aflint.task import TextSplit
from tests.fuzz.damage import damaged
from tests.fuzz.memory import blocks

BOM = b"\xef\xbb\xbf"
PIECES = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"\n\r", b"a", b"line", b"", b"\xc3", b"\xa9", b"\xff", BOM, b"\x00",
     b"\xe2\x80\xa8", b"\x0b", b"\x1c", b"\xc2\x85", b"x" * 70],
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=40).map(b"".join)


def lines_of(data: bytes) -> list[str]:
    """Split bytes at line ends by a regular expression."""
    lines = re.split(rb"\r\n|\n|\r", data.removeprefix(BOM))
    if not lines[-1]:
        lines.pop()
    return [line.decode("utf-8", "replace") for line in lines]


def splits_of(data: bytes, cuts: Iterable[int]) -> list[TextSplit]:
    """Cut a file at some bytes."""
    borders = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    return [
        TextSplit("f", start, end, len(data), errors="replace") for start, end in pairwise(borders)
    ]


@given(data=TEXT, cuts=st.lists(st.integers(0, 300), max_size=6))
def test_each_line_once(data: bytes, cuts: list[int]) -> None:
    found = [
        line
        for split in splits_of(data, cuts)
        for block, _ in blocks(data, split)
        for line in block
    ]
    assert found == lines_of(data)


@given(data=TEXT, cut=st.integers(0, 200), after=st.integers(0, 3))
def test_another_link_goes_on_where_one_stopped(data: bytes, cut: int, after: int) -> None:
    found = []
    for split in splits_of(data, [cut]):
        begun = list(islice(blocks(data, split), after))
        found += [line for block, _ in begun for line in block]
        position = begun[-1][1] if begun else None
        found += [line for block, _ in blocks(data, split, position) for line in block]
    assert found == lines_of(data)


@given(data=TEXT)
def test_strict_decoding_fails_by_its_own_error(data: bytes) -> None:
    split = TextSplit("f", 0, len(data), len(data))
    try:
        found = [line for block, _ in blocks(data, split) for line in block]
    except InputError:
        with pytest.raises(UnicodeDecodeError):
            data.decode()
    else:
        assert found == lines_of(data)


@pytest.mark.parametrize(("kind", "pack"), [("gzip", gzip.compress), ("bz2", bz2.compress)])
def test_damaged_compressed_files(kind: str, pack: Callable[[bytes], bytes]) -> None:
    good = pack(b"".join(b"line %d\n" % number for number in range(300)))
    random = Random(kind)
    for _ in range(400):
        data = damaged(good, random)
        split = TextSplit("f", 0, len(data), len(data), kind, errors="replace")
        try:
            for _block in blocks(data, split):
                pass
        except InputError:
            continue
