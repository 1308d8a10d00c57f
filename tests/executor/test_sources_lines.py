from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aflint.executor.lines import (
    Run,
    chunks,
    count_lines,
    count_newlines,
    place,
    runs,
    skip_line,
    split_text,
)

texts = st.lists(st.sampled_from(["", "a", "bc", "é", "\n", "\r\n", "\r", "xyz" * 5])).map("".join)


def hadoop_lines(data: bytes) -> list[tuple[int, bytes]]:
    """Each line with the byte it begins at."""
    found, at = [], 0
    for match in re.finditer(rb"\r\n|\r|\n", data):
        found.append((at, data[at : match.start()]))
        at = match.end()
    return found + [(at, data[at:])] * (at < len(data))


def read_split(data: bytes, start: int, end: int, block: int) -> list[Run]:
    """Read the lines of one split in blocks of a fixed size."""
    placed = place((data[at : at + block] for at in range(start, len(data), block)), start)
    return list(runs(skip_line(placed, end) if start else placed, end))


def lines_of(found: list[Run], chunk: int) -> list[bytes]:
    lines: list[str] = []
    for run in found:
        for piece in chunks(run, chunk):
            text = piece.data[piece.begin : piece.stop].decode("latin-1")
            lines += split_text(text, piece.ended)
    return [line.encode("latin-1") for line in lines]


@given(texts, st.lists(st.integers(0, 60), max_size=4), st.integers(1, 20), st.integers(1, 20))
def test_a_line_is_read_by_the_split_it_begins_in_or_behind(
    text: str, cuts: list[int], block: int, chunk: int
) -> None:
    data = text.encode()
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(borders):
        expected = [
            line for at, line in hadoop_lines(data) if start < at <= end or at == start == 0
        ]
        found = read_split(data, start, end, block)
        assert lines_of(found, chunk) == expected
        assert sum(map(count_lines, found)) == len(expected)


@given(texts, st.integers(1, 20))
def test_runs_cover_a_stream_in_order(text: str, block: int) -> None:
    data = text.encode()
    found = list(runs(place((data[at : at + block] for at in range(0, len(data), block)), 0), None))
    assert b"".join(run.data[run.begin : run.stop] for run in found) == data
    assert [run.offset for run in found] == [0, *(run.end for run in found)][: len(found)]


@given(texts, st.integers(1, 10))
def test_each_run_begins_where_a_line_does(text: str, block: int) -> None:
    data = text.encode()
    begins = {at for at, _ in hadoop_lines(data)}
    for run in runs(place((data[at : at + block] for at in range(0, len(data), block)), 0), None):
        assert {piece.offset for piece in chunks(run, 3)} <= begins


def test_a_run_after_a_prefix() -> None:
    run = Run(0, b"abcd", 0, 4)
    assert run.without(b"ab") == Run(2, b"abcd", 2, 4)
    assert run.without(b"b") == run


def test_newlines_are_counted_alike_in_long_and_short_lines() -> None:
    for line in (b"x\n", b"y" * 50 + b"\n", b"z" * 200 + b"\n", b"w" * 300_000 + b"\n"):
        data = line * (400_000 // len(line) + 2) + b"end"
        assert count_newlines(data, 0, len(data)) == data.count(b"\n")
        assert count_newlines(data, 3, len(data) - 3) == data.count(b"\n", 3, len(data) - 3)
        assert count_newlines(data, 5, 5) == 0
