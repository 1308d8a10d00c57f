"""Records dealt out alike, in whichever order they come."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.codec.pairs import Block
from aflint.executor.aggregate import Spiller
from aflint.executor.fusion import Flow
from aflint.executor.memory import MemoryWatch
from aflint.executor.order import by_content, comes_in_any_order
from aflint.executor.partition import place
from aflint.executor.spill import SpillFolder
from aflint.plan.lineage import PerPartition, RoundRobinPartitioner
from aflint.plan.program import (
    CoGroup,
    Concatenate,
    Merge,
    Product,
    ReadShuffle,
    ReadSplit,
    Step,
    Store,
    Transform,
    Zip,
)

SPLIT = ReadSplit(0)
SHUFFLE = ReadShuffle(1, None, None, False)


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    name: str


RECORDS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.lists(inner, max_size=3),
    max_leaves=6,
)


def spiller(folder: Path, limit_mb: int = 0) -> Spiller:
    return Spiller(MemoryWatch(limit_mb), SpillFolder(folder))


def dealt(records: list[Any], folder: Path, limit_mb: int = 0) -> list[Counter[str]]:
    parts: list[list[Any]] = [[], [], []]
    ordered = by_content(iter(records), spiller(folder, limit_mb))
    place(
        RoundRobinPartitioner(3), Flow.of(ordered), lambda part, block: parts[part].extend(block), 1
    )
    return [Counter(map(repr, part)) for part in parts]


@given(records=st.lists(RECORDS, max_size=30), seed=st.integers())
def test_the_order_of_arrival_does_not_matter(
    records: list[Any], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    shuffled = list(records)
    Random(seed).shuffle(shuffled)
    assert dealt(records, folder) == dealt(shuffled, folder)


def test_spilling_does_not_matter(tmp_path: Path) -> None:
    records = [Random(number).randrange(10**9) for number in range(3000)]
    assert dealt(records, tmp_path) == dealt(records[::-1], tmp_path, limit_mb=1)


def test_shared_objects_do_not_matter(tmp_path: Path) -> None:
    word = "".join(["a", "b"])
    shared = [(word, word), (1, "z"), Point(1, word)]
    apart = [("".join(["a", "b"]), "ab"), (1, "z"), Point(1, "".join(["a", "b"]))]
    assert dealt(shared, tmp_path) == dealt(apart[::-1], tmp_path)


def test_records_are_dealt_evenly(tmp_path: Path) -> None:
    assert [part.total() for part in dealt([7] * 300, tmp_path)] == [100, 100, 100]


def test_whose_turn_is_next() -> None:
    taken: list[int] = []

    def add(part: int, block: Block) -> None:
        taken.append(part)

    assert place(RoundRobinPartitioner(3), Flow.of(iter(range(5))), add, 2) == (2 + 5) % 3


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (SPLIT, False),
        (SHUFFLE, True),
        (Transform(SHUFFLE, (PerPartition(lambda _, records: records),)), True),
        (Transform(SPLIT, ()), False),
        (Concatenate((SPLIT, SHUFFLE), (0, 3)), True),
        (Merge(SPLIT, ((0, 1),)), False),
        (Zip(SPLIT, SPLIT), False),
        (Product(SPLIT, SHUFFLE, 2), True),
        (CoGroup((SPLIT, SPLIT)), True),
        (Store(SHUFFLE, 1, "folder"), True),
        (ReadSplit(0, any_order=True), True),
    ],
)
def test_which_steps_come_in_any_order(step: Step, expected: bool) -> None:
    assert comes_in_any_order(step) is expected
