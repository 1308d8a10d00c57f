"""Programs on which killing drivers once came to a wrong end."""

from __future__ import annotations

from aflint.testing.simulation import Fault, run_seed
from aflint.testing.simulation.workloads import Step, Workload

KILLED = {Fault.DRIVER_KILL: 1.0, Fault.STRAGGLER: 0.2}


def test_a_save_beside_what_fills_a_checkpoint_is_resumed() -> None:
    """Where the checkpoint is there already, the save is not met again, and finds what it left."""
    source = Step("parallelize", "numbers", (tuple(range(40)), 3))
    kept = Step("checkpoint", "numbers", (3,), (source,))
    actions = (("collect", 0), ("save_records", 0), ("save", 0))
    program = Workload(kept, actions, together=True)
    outcomes = [run_seed(seed, KILLED, workload=program) for seed in range(60)]
    assert not [(each.seed, each.failure) for each in outcomes if each.failure]
    assert sum(each.counts["driver-kill"] for each in outcomes) > 60
