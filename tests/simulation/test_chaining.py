"""Tasks that are continued by other invocations, in all the ways in which they can be cut."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from aflint.testing.simulation import Fault, Outcome, run_seed
from aflint.testing.simulation.workloads import NUMBERS, PAIRS, Step, Workload

_random = Random(5)
MANY = Step("parallelize", NUMBERS, (tuple(_random.randrange(5000) for _ in range(1500)), 12))
PAIRED = Step("key_by", PAIRS, (60,), (MANY,))
OTHER = Step("key_by", PAIRS, (60,), (Step("range", NUMBERS, (700, 9)),))

LINEAGES = {
    "split": Step("add", NUMBERS, (1,), (Step("range", NUMBERS, (2000, 2)),)),
    "lines": Step("text_file", NUMBERS, (MANY.args[0], 2)),
    "stream": Step("partition_by", PAIRS, (2,), (PAIRED,)),
    "dealt": Step("repartition", NUMBERS, (3,), (Step("range", NUMBERS, (1500, 2)),)),
    "aggregated": Step("reduce_by_key", PAIRS, (2,), (PAIRED,)),
    "combined": Step("combine_by_key", PAIRS, (2,), (PAIRED,)),
    "grouped": Step("group_by_key", PAIRS, (2,), (PAIRED,)),
    "sorted": Step("sort_by_key", PAIRS, (2,), (PAIRED,)),
    "sorted within": Step("sort_within", PAIRS, (2,), (PAIRED,)),
    "cogrouped": Step("cogroup", PAIRS, (2,), (PAIRED, OTHER)),
    "joined": Step("left_outer_join", PAIRS, (2,), (PAIRED, OTHER)),
    "union": Step("union", PAIRS, (2,), (Step("partition_by", PAIRS, (2,), (PAIRED,)), OTHER)),
    "twice": Step("group_by_key", PAIRS, (2,), (Step("sort_within", PAIRS, (3,), (PAIRED,)),)),
}  # fmt: skip

SHORT = {Fault.TIME_LIMIT: 1.0}
ROUGH = SHORT | {
    Fault.KILL: 0.1,
    Fault.LOST_RESPONSE: 0.1,
    Fault.DUPLICATE: 0.2,
    Fault.HIDDEN: 0.05,
    Fault.TRUNCATED_READ: 0.1,
    Fault.SPILL: 0.3,
}


def run(name: str, action: str, rates: dict[Fault, float], seeds: range) -> list[Outcome]:
    workload = Workload(LINEAGES[name], ((action, 3),))
    return [run_seed(seed, rates, workload=workload) for seed in seeds]


@pytest.mark.parametrize("name", LINEAGES)
def test_nothing_is_lost_or_repeated(name: str) -> None:
    outcomes = run(name, "collect", SHORT, range(3)) + run(name, "count", SHORT, range(3, 5))
    assert not [(o.seed, o.failure) for o in outcomes if o.failure]
    assert sum(outcome.links for outcome in outcomes) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAGES)
def test_nothing_is_lost_or_repeated_when_links_are_lost(name: str) -> None:
    outcomes = run(name, "collect", ROUGH, range(10, 14))
    assert not [(o.seed, o.failure) for o in outcomes if o.failure]
    assert sum((Counter(o.counts) for o in outcomes), Counter()).total() > 4
