from __future__ import annotations

import random
from collections import Counter

import pytest

from aflint.executor.in_tasks import sample_ranks


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 500, 20_000])
def test_a_sample_says_how_many_records_there_are_and_ranks_only_those_it_takes(
    count: int,
) -> None:
    asked: list[int] = []

    def rank(record: int) -> int:
        asked.append(record)
        return -record

    counted, ranks = sample_ranks(rank, 20, 3, iter(range(count)))
    assert counted == count
    assert len(ranks) == min(count, 20)
    assert len({*ranks}) == len(ranks)
    assert ranks == [-record for record in asked]


def test_every_record_is_as_likely_to_be_taken() -> None:
    taken: Counter[int] = Counter()
    for partition in range(2_000):
        taken.update(sample_ranks(abs, 10, partition, iter(range(100)))[1])
    # 200 times each; five deviations of a binomial distribution are 67.
    assert all(abs(taken[record] - 200) < 67 for record in range(100))


def test_a_chance_of_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random.Random, "random", lambda self: 0.0)
    assert sample_ranks(abs, 2, 0, iter(range(9)))[0] == 9
