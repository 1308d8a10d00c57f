from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aflint.executor.fusion import fuse
from aflint.executor.pipeline import transform
from aflint.plan.lineage import PerPartition, PerRecord, RecordStep


def step(kind: RecordStep, function: Any = None) -> PerRecord:
    return PerRecord(kind, function)


def test_each_step_means_what_it_says() -> None:
    pairs = [("a", 1), ("b", 2)]
    for kind, function, expected in [
        (RecordStep.MAP, len, [2, 2]),
        (RecordStep.FILTER, lambda pair: pair[1] > 1, [("b", 2)]),
        (RecordStep.FLAT_MAP, lambda pair: pair, ["a", 1, "b", 2]),
        (RecordStep.MAP_VALUES, str, [("a", "1"), ("b", "2")]),
        (RecordStep.FLAT_MAP_VALUES, range, [("a", 0), ("b", 0), ("b", 1)]),
        (RecordStep.KEY_BY, lambda pair: pair[1], [(1, ("a", 1)), (2, ("b", 2))]),
        (RecordStep.KEYS, None, ["a", "b"]),
        (RecordStep.VALUES, None, [1, 2]),
    ]:
        assert list(fuse([step(kind, function)])(iter(pairs))) == expected, kind


def test_steps_run_record_by_record() -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        def function(x: int) -> int:
            seen.append(f"{name}{x}")
            return x

        return function

    fused = fuse([step(RecordStep.MAP, note("a")), step(RecordStep.MAP, note("b"))])
    records = fused(iter([1, 2]))
    assert next(records) == 1
    assert seen == ["a1", "b1"]


@pytest.mark.parametrize("count", [12, 13, 25, 60, 250])
def test_any_number_of_steps(count: int) -> None:
    steps = [step(RecordStep.FLAT_MAP, lambda x: [x + 1]) for _ in range(count)]
    assert list(fuse(steps)(iter([0, 1]))) == [count, count + 1]
    mixed = [step(RecordStep.MAP, lambda x: x + 1) for _ in range(count)]
    assert list(fuse(steps + mixed)(iter([0]))) == [2 * count]


def test_stop_iteration_is_not_the_end() -> None:
    def stop(x: int) -> int:
        raise StopIteration

    for kind in (RecordStep.MAP, RecordStep.FILTER, RecordStep.FLAT_MAP, RecordStep.KEY_BY):
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(fuse([step(kind, stop)])(iter([1])))


def test_steps_on_partitions_lie_between_loops() -> None:
    def total(partition: int, records: Iterator[int]) -> Iterator[int]:
        yield sum(records) * partition

    add = step(RecordStep.MAP, lambda x: x + 1)
    found = transform(iter([1, 2]), [add, PerPartition(total), add, add], 3)
    assert list(found) == [5 * 3 + 2]
