"""What several jobs cache together fits together."""

from __future__ import annotations

from random import Random

import pytest

from aflint.testing.simulation import Fault, run_seed
from aflint.testing.simulation.workloads import NUMBERS, PAIRS, Step, Workload

ACTIONS = (("collect", 0), ("sum", 0), ("take", 5), ("iterate", 0))


def sorted_after_a_shuffle(seed: int) -> Step:
    random = Random(seed)
    numbers = tuple(random.randrange(10_000) for _ in range(300))
    keyed = Step("key_by", PAIRS, (5,), (Step("text_file", NUMBERS, (numbers, 5)),))
    shuffled = Step("partition_by", PAIRS, (4,), (keyed,))
    return Step("sort_numbers", NUMBERS, (4,), (Step("values", NUMBERS, (1,), (shuffled,)),))


def test_jobs_that_sort_at_once_cut_at_the_same_bounds() -> None:
    rates = {Fault.STRAGGLER: 0.2, Fault.LOST_RESPONSE: 0.2}
    for seed in range(25):
        root = Step("cache", NUMBERS, (1,), (sorted_after_a_shuffle(seed),))
        workload = Workload(root, ACTIONS, together=True)
        outcome = run_seed(seed, rates, workload=workload)
        assert not outcome.failure


@pytest.mark.parametrize("kept", ["cache", "checkpoint"])
def test_records_are_dealt_out_of_what_is_kept_as_out_of_its_lineage(kept: str) -> None:
    """The first job deals out what arrives from a shuffle, and keeps it; when a part of the deal is
    lost for the next job, it is made again from what was kept.
    """
    rates = {Fault.LOST_KEPT: 0.5}
    for seed in range(6):
        numbers = tuple(Random(seed).sample(range(10_000), 30))
        lines = Step("text_file", NUMBERS, (numbers, 2))
        root = Step("distinct", NUMBERS, (2,), (lines,))
        root = Step("repartition", NUMBERS, (3,), (Step(kept, NUMBERS, (1,), (root,)),))
        assert not run_seed(seed, rates, workload=Workload(root, (("sum", 0), ("sum", 0)))).failure
