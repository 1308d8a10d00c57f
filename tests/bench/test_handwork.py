from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import handwork
from bench.handwork import Chunk, chunks, combine, lines


@given(
    text=st.lists(st.text("ab", max_size=6), max_size=20).map("\n".join),
    cuts=st.lists(st.integers(0, 120), max_size=5),
    block=st.integers(1, 9),
)
def test_every_line_is_in_exactly_one_chunk(
    tmp_path_factory: pytest.TempPathFactory, text: str, cuts: list[int], block: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_text(text)
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [Chunk(str(path), low, high) for low, high in pairwise(ends)]
    with patch.object(handwork, "BLOCK", block):
        found = [line for part in parts for lot in lines(part) for line in lot]
    expected = text.split("\n")
    assert found == (expected[:-1] if expected[-1] == "" else expected)


def test_bins_cover_all_files_in_equal_parts(tmp_path: Path) -> None:
    for name, size in (("a", 1000), ("b", 0), ("c", 601)):
        (tmp_path / name).write_bytes(b"x" * size)
    bins = chunks([str(tmp_path / name) for name in "abc"], 16)
    assert len(bins) == 16
    assert {sum(c.stop - c.start for c in pieces) for pieces in bins} == {100, 101}
    assert sum(c.stop - c.start for pieces in bins for c in pieces) == 1601


def test_combine_reduces_values_in_order() -> None:
    assert combine(lambda a, b: a + b, [("x", "1"), ("y", "2"), ("x", "3")]) == {
        "x": "13",
        "y": "2",
    }
