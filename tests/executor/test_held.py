"""Partitions that a process holds in memory: bounded, never shared, and never needed."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytest

from aflint.codec.pairs import Pairs
from aflint.executor.held import Gathered, HeldPartitions
from aflint.executor.memory import MemoryWatch

MB = 1 << 20
Couple = namedtuple("Couple", "a b")


class File:
    """A partition's file, of which it is counted how often it was read."""

    def __init__(self, *blocks: Any) -> None:
        self.position = 0
        self.reads = 0
        self._blocks = blocks

    def blocks(self) -> Iterator[Sequence[Any]]:
        self.reads += 1
        for block in self._blocks:
            self.position += 1
            yield deepcopy(block)

    def count(self) -> int:
        return sum(map(len, self._blocks))


def holding(most: int = 100 * MB) -> HeldPartitions:
    held = HeldPartitions()
    held.allow(most)
    return held


def read(held: HeldPartitions, file: File, path: str = "f/1-0-x") -> list[Any]:
    return [list(block) for block in held.open(path, file).blocks()]


IMMUTABLE: list[Any] = [
    list(range(100)),
    ["a", b"b", None, True, 1.5, 1j],
    [(1, "a", None), (2, "b", 2.5)],
    [[1, 2], [], ["a"]],
    Pairs([1, 2], ["a", "b"]),
    Pairs([1, 2], [[1, 2], [3]]),
    Pairs([(1, 2), (3, 4)], [None, None]),
]
MUTABLE: list[Any] = [
    [{"a": 1}],
    [[1, [2]]],
    [(1, [2])],
    [[1], (1,)],
    [bytearray(b"x")],
    [{1, 2}],
    [Couple(1, 2)],
    [type("S", (str,), {})("x")],
    [range(3)],
    Pairs([1], [{}]),
]


@pytest.mark.parametrize("block", IMMUTABLE, ids=lambda block: type(block[0]).__name__)
def test_a_partition_is_read_once_and_each_reader_has_its_own(block: Any) -> None:
    held, file = holding(), File(block, block)
    expected = repr([list(block)] * 2)
    for _ in range(3):
        source = held.open("f/1-0-x", file)
        assert source.count() == 2 * len(block)
        blocks = list(source.blocks())
        assert source.position == 2
        assert repr([list(each) for each in blocks]) == expected
        for each in blocks:  # changed in every way that a task could
            for record in each:
                for part in record if isinstance(record, tuple) else [record]:
                    if isinstance(part, list):
                        part.append("changed")
            if isinstance(each, Pairs):
                each.clear()
            elif isinstance(each, list):
                each[:] = ["changed"]
    assert file.reads == 1


@pytest.mark.parametrize("block", MUTABLE, ids=lambda block: type(block).__name__)
def test_records_that_could_be_changed_are_read_from_the_file(block: Any) -> None:
    held, file = holding(), File([1], block, [2])
    for _ in range(2):
        assert read(held, file) == [[1], list(block), [2]]
    assert file.reads == 2
    assert not held.bytes


def test_half_a_partition_is_not_held() -> None:
    held, file = holding(), File([1], [2])
    blocks = held.open("f/1-0-x", file).blocks()
    assert list(next(blocks)) == [1]
    del blocks
    assert read(held, file) == [[1], [2]]
    assert file.reads == 2


def test_what_was_used_least_recently_goes_first() -> None:
    held = holding(3 * MB)
    files = [File(list(range(1000, 21_000))) for _ in range(4)]  # 0.7 MB each
    for number in (0, 1, 2, 0, 3, 0):
        read(held, files[number], f"f/{number}-0-x")
        assert held.bytes <= 3 * MB
    read(held, File(list(range(1000, 41_000))), "f/9-0-x")
    read(held, files[0], "f/0-0-x")
    assert [file.reads for file in files] == [1, 1, 1, 1]
    read(held, files[1], "f/1-0-x")
    assert files[1].reads == 2


def test_a_scan_of_more_than_is_held_keeps_what_it_has() -> None:
    held = holding(2 * MB)
    files = [File(list(range(1000, 21_000))) for _ in range(5)]
    for _ in range(3):
        for number, file in enumerate(files):
            read(held, file, f"f/1-{number}-x")
    assert [file.reads for file in files] == [1, 1, 3, 3, 3]


def test_everything_is_let_go_before_a_task_spills(monkeypatch: pytest.MonkeyPatch) -> None:
    held, resident = holding(), 100 * MB
    read(held, File(["a" * 1000] * 1000))
    monkeypatch.setattr("aflint.executor.memory.resident_bytes", lambda: resident)
    monkeypatch.setattr("aflint.executor.memory.give_back", lambda: None)
    watch = MemoryWatch(1000, held.release)
    assert not watch.over(5)
    assert held.bytes
    resident = 700 * MB
    assert watch.over(5)
    assert not held.bytes
    file = File([1])
    read(held, file)
    assert not held.bytes  # the task is short of memory
    held.allow_share_of(1000)
    read(held, file)
    assert held.bytes


def test_partitions_are_dropped_by_their_files() -> None:
    held, file = holding(), File([1])
    read(held, file)
    held.drop(["f/1-0-x", "f/2-0-x"])
    read(held, file)
    assert file.reads == 2


def test_a_partition_is_gathered_on_its_way_to_its_file() -> None:
    held, file = holding(), File([1, 2])
    gathered = Gathered(held, "f/1-0-x")
    gathered.add([1, 2])
    assert not held.bytes
    gathered.keep()
    assert read(held, file) == [[1, 2]]
    assert not file.reads
