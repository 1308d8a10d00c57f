from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aflint.codec.pairs import Pairs
from aflint.errors import UnportableKeyError
from aflint.executor import aggregate
from aflint.executor.aggregate import (
    Spiller,
    cogroup,
    combine,
    combine_partially,
    group,
    identity,
    sort,
)
from aflint.executor.fusion import Flow
from aflint.executor.memory import MemoryWatch
from aflint.executor.spill import SpillFolder
from aflint.plan.lineage import Aggregator, Ordering, PerRecord, RecordStep


class EagerWatch(MemoryWatch):
    """Asks for a spill at every look."""

    def __init__(self) -> None:
        super().__init__(0)

    def over(self, held: int) -> bool:
        return held > 0

    def pressed(self) -> bool:
        return True


@pytest.fixture(params=["memory", "disk"])
def spiller(request: pytest.FixtureRequest, tmp_path: Path) -> Spiller:
    watch = EagerWatch() if request.param == "disk" else MemoryWatch(0)
    return Spiller(watch, SpillFolder(tmp_path))


def some_pairs(count: int = 3000) -> Iterator[tuple[Any, int]]:
    names = ["a", None, ("x", None), 1, 1.5, "b"]
    return ((names[n % 6], n) for n in range(count))


def test_combining(spiller: Spiller) -> None:
    for add in (operator.add, lambda a, b: a + b):
        found = dict(combine(Flow.of(some_pairs()), identity, add, add, spiller))
        assert len(found) == 6
        assert found["a"] == sum(range(0, 3000, 6))
    listed = dict(
        combine(
            Flow.of(some_pairs(600)), lambda v: [v], lambda c, v: [*c, v], operator.add, spiller
        )
    )
    assert listed[None] == list(range(1, 600, 6))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.lists(st.tuples(st.integers(-3, 3) | st.booleans(), st.integers())), max_size=3),
    st.sampled_from([None, abs, str]),
    st.booleans(),
    st.lists(st.booleans()),
)
def test_pairs_are_sorted_alike_in_columns_and_in_rows(
    spiller: Spiller, blocks: list[list[Any]], key: Any, ascending: bool, in_rows: list[bool]
) -> None:
    def flow() -> Flow:
        rows = iter(in_rows)
        return Flow.of_blocks(
            block if next(rows, False) else Pairs.of(block) or block for block in blocks
        )

    expected = sorted(
        (pair for block in blocks for pair in block),
        key=lambda pair: pair[0] if key is None else key(pair[0]),
        reverse=not ascending,
    )
    ordering = Ordering(ascending, key)
    assert repr(list(sort(flow(), ordering, spiller))) == repr(expected)
    values = [value for _, value in expected]
    assert list(sort(flow(), ordering, spiller, only_values=True)) == values


def test_steps_are_done_before_a_sort(spiller: Spiller) -> None:
    swap = PerRecord(RecordStep.MAP, lambda pair: (pair[1], pair[0]))
    flow = Flow.of_blocks([Pairs([1, 2, 3], ["c", "b", "a"])]).then([swap])
    assert list(sort(flow, Ordering(), spiller)) == [("a", 3), ("b", 2), ("c", 1)]


@pytest.mark.parametrize("merge", [min, max])
def test_the_least_and_the_greatest_are_what_the_built_ins_keep(
    merge: Any, spiller: Spiller
) -> None:
    # 1, 1.0 and True are equal: the first stays. NaN is neither less nor greater.
    values = [2, 1, 1.0, True, math.nan, 0.0, -0.0, 3, 3.0, math.nan, 2]
    pairs = [(n % 7, values[n * 5 % 11]) for n in range(2000)]
    ours = dict(combine(Flow.of(iter(pairs)), identity, merge, merge, spiller))
    plain = dict(combine(Flow.of(iter(pairs)), identity, lambda a, b: merge(a, b), merge, spiller))
    assert repr(ours) == repr(plain)
    with pytest.raises(TypeError, match="not supported between instances of 'str' and 'int'"):
        list(combine(Flow.of(iter([(1, 1), (1, "a")])), identity, merge, merge, spiller))


def test_grouping_keeps_the_order_of_values(spiller: Spiller) -> None:
    found = dict(group(Flow.of(some_pairs()), spiller))
    assert found["b"] == list(range(5, 3000, 6))
    assert found[1][-1] == 2997
    assert found[None][2:4] == [13, 19]
    assert len(found) == 6
    assert all(list(values) == list(values) for values in found.values())


@pytest.mark.parametrize("bare", [False, True])
def test_cogrouping(spiller: Spiller, bare: bool) -> None:
    members = [some_pairs(300), iter([("a", "A"), ("z", "Z")]), iter(())]
    found = dict(cogroup(map(Flow.of, members), 3, spiller, bare))
    assert [list(part) for part in found["a"]] == [list(range(0, 300, 6)), ["A"], []]
    assert [list(part) for part in found["z"]] == [[], ["Z"], []]
    assert len(found) == 7


def test_sorting_is_stable(spiller: Spiller) -> None:
    pairs = [(n * 7919 % 50, n) for n in range(3000)]
    assert list(sort(Flow.of(iter(pairs)), Ordering(), spiller)) == sorted(
        pairs, key=lambda p: p[0]
    )
    down = list(sort(Flow.of(iter(pairs)), Ordering(ascending=False), spiller))
    assert down == sorted(pairs, key=lambda p: p[0], reverse=True)
    by_text = list(sort(Flow.of(iter(pairs)), Ordering(key=str), spiller))
    assert by_text == sorted(pairs, key=lambda p: str(p[0]))


def test_keys_of_one_hash_are_told_apart(spiller: Spiller) -> None:
    class Key:
        def __init__(self, name: int) -> None:
            self.name = name

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and other.name == self.name

    pairs = ((Key(n % 5), 1) for n in range(500))
    found = {
        key.name: total
        for key, total in combine(Flow.of(pairs), identity, operator.add, operator.add, spiller)
    }
    assert found == dict.fromkeys(range(5), 100)


def test_combining_on_the_map_side_may_hand_a_key_over_twice(spiller: Spiller) -> None:
    handed: list[tuple[Any, int]] = []
    aggregator = Aggregator(identity, operator.add, operator.add)
    combine_partially(
        Flow.of(some_pairs()), aggregator, spiller, lambda flow: handed.extend(flow.records)
    )
    assert sum(value for _, value in handed) == sum(range(3000))
    assert {key for key, _ in handed} == {"a", None, ("x", None), 1, 1.5, "b"}


def combined(
    records: list[Any], folder: Path, aggregator: Aggregator, *steps: PerRecord
) -> list[tuple[Any, Any]]:
    handed: list[tuple[Any, Any]] = []
    flow = Flow.of_blocks(records[at : at + 64] for at in range(0, len(records), 64)).then(steps)
    watch = Spiller(MemoryWatch(0), SpillFolder(folder))
    combine_partially(flow, aggregator, watch, lambda flow: handed.extend(flow.records))
    return handed


@given(
    records=st.lists(st.tuples(st.integers(0, 400), st.integers()), max_size=600),
    many=st.sampled_from([64, 256]),
    passed=st.sampled_from([1, 64, 300]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_totals_are_the_same_whether_or_not_combining_was_given_up(
    records: list[tuple[int, int]], many: int, passed: int, tmp_path: Path
) -> None:
    expected: Counter[int] = Counter()
    for key, value in records:
        expected[key] += value
    totals: Counter[int] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregate, "_TRIAL", 128)
        patch.setattr(aggregate, "_MANY_KEYS", many)
        patch.setattr(aggregate, "_PASSED", passed)
        for key, value in combined(records, tmp_path, SUM):
            totals[key] += value
    assert {**totals} == {**expected}


SUM = Aggregator(identity, operator.add, operator.add)
TWICE = PerRecord(RecordStep.FLAT_MAP, lambda pair: [pair, pair])
LISTS = Aggregator(lambda v: [v], lambda c, v: [*c, v], operator.add)


def test_combining_is_given_up_only_where_it_does_not_shrink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "_TRIAL", 128)
    monkeypatch.setattr(aggregate, "_MANY_KEYS", 1000)
    monkeypatch.setattr(aggregate, "_PASSED", 1000)
    once = [(n, 1) for n in range(1000)]
    some = [(n % 100, 1) for n in range(1000)]
    assert len(combined(once * 2, tmp_path, SUM)) == 2000
    assert len(combined(some, tmp_path, SUM)) == 100
    # How many records a flat_map makes is not known, nor is `create` called more often than before.
    assert len(combined(once, tmp_path, SUM, TWICE)) == 1000
    assert len(combined(once * 2, tmp_path, LISTS)) == 1000


def test_combining_is_tried_again_as_one_key_may_come_after_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "_TRIAL", 128)
    monkeypatch.setattr(aggregate, "_MANY_KEYS", 1000)
    monkeypatch.setattr(aggregate, "_PASSED", 256)
    handed = combined([*((n, 1) for n in range(1000)), *[("hot", 1)] * 5000], tmp_path, SUM)
    assert len(handed) < 1400
    assert sum(value for key, value in handed if key == "hot") == 5000


def test_nothing(spiller: Spiller) -> None:
    assert list(combine(Flow.of(iter(())), identity, operator.add, operator.add, spiller)) == []
    assert list(group(Flow.of(iter(())), spiller)) == []
    assert list(cogroup([Flow.of(iter(())), Flow.of(iter(()))], 2, spiller)) == []
    assert list(sort(Flow.of(iter(())), Ordering(), spiller)) == []


def test_no_spill_file_is_left(tmp_path: Path) -> None:
    spiller = Spiller(EagerWatch(), SpillFolder(tmp_path))
    assert len(list(group(Flow.of(some_pairs()), spiller))) == 6
    assert spiller.folder.bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_whose_fault_it_is_that_something_cannot_be_hashed(spiller: Spiller) -> None:
    with pytest.raises(UnportableKeyError, match=r"\[1\] \(type list\) cannot be used as a key"):
        list(group(Flow.of(iter([([1], 2)])), spiller))

    def bad(a: int, b: int) -> Any:
        return {[]: a}

    with pytest.raises(TypeError, match="unhashable") as caught:
        list(combine(Flow.of(iter([(1, 1), (1, 2)])), identity, bad, bad, spiller))
    assert not isinstance(caught.value, UnportableKeyError)
