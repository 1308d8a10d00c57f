from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import InvalidArgumentError, UnportableKeyError
from aflint.executor import in_tasks
from aflint.executor.operators import sample, sample_with_replacement
from aflint.rdd import histograms, sampling
from aflint.statistics import Stats

numbers = st.lists(st.floats(-1e6, 1e6), max_size=30)


@given(numbers, numbers)
def test_statistics_merge_as_if_they_were_one(left: list[float], right: list[float]) -> None:
    merged, whole = Stats.of(left).merge(Stats.of(right)), Stats.of(left + right)
    assert merged.count == whole.count
    if merged.count:
        assert math.isclose(merged.mean, whole.mean, abs_tol=1e-6)
        assert math.isclose(merged.variance, whole.variance, rel_tol=1e-6, abs_tol=1e-3)
        assert (merged.min, merged.max) == (whole.min, whole.max)


@given(
    st.lists(st.one_of(st.integers(-20, 20), st.none(), st.just(math.nan)), max_size=30),
    st.lists(st.integers(-15, 15), min_size=2, max_size=6, unique=True).map(sorted),
)
def test_buckets_count_what_lies_between_borders(values: list[Any], borders: list[int]) -> None:
    counts = in_tasks.bucket_counts(borders, False, 0, iter(values))
    known = [v for v in values if v is not None and v == v]
    expected = [sum(low <= v < high for v in known) for low, high in pairwise(borders)]
    expected[-1] += sum(v == borders[-1] for v in known)
    assert counts == expected


def test_counting_names_the_culprit() -> None:
    values: list[Any] = [1, 1, "a"]
    assert in_tasks.count_values(0, iter(values)) == {1: 2, "a": 1}
    with pytest.raises(UnportableKeyError, match=r"count_by_value .* \{'b': 1\} \(type dict\)"):
        in_tasks.count_values(0, iter([*values * 5000, {"b": 1}]))


@pytest.mark.parametrize("borders", [[1], 5.5, "ab", [2, 1], [1, 1], [1, None], [math.nan, 1]])
def test_borders_of_no_sense(borders: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="histogram"):
        histograms._given_borders(borders)


def test_samples_have_about_the_size_asked_for() -> None:
    for fraction in (0.0, 0.05, 0.5, 1.0):
        found = list(sample(fraction, 3, 1, iter(range(20_000))))
        assert abs(len(found) - fraction * 20_000) < 400
    for mean in (0.0, 0.3, 2.0, 5.0):
        found = list(sample_with_replacement(mean, 3, 1, iter(range(20_000))))
        assert abs(len(found) - mean * 20_000) < 1500
    assert list(sample(0.5, 1, 0, iter(range(99)))) != list(sample(0.5, 1, 1, iter(range(99))))


def test_generous_fractions_are_enough() -> None:
    chance = random.Random(4)
    for num, total in ((1, 10), (5, 100), (50, 100), (99, 100)):
        fraction = sampling._generous_fraction(num, total, False)
        assert num / total <= fraction <= 1
        drawn = [sum(chance.random() < fraction for _ in range(total)) for _ in range(100)]
        assert sum(count < num for count in drawn) <= 1


def test_a_shared_zero_is_never_changed() -> None:
    zero: list[int] = []

    def add(values: list[int], value: int) -> list[int]:
        values.append(value)
        return values

    begin = in_tasks.begin_from(zero, add)
    assert (begin(1), begin(2)) == ([1], [2])
    assert in_tasks.fold_part(zero, add, 0, iter([3])) == [3]
    assert zero == []
