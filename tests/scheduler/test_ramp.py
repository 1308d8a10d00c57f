from __future__ import annotations

from aflint.scheduler.messages import Tick, WakeAt
from aflint.scheduler.policy import Policy
from tests.scheduler.builders import Machine, flat_job, launched


def test_a_stage_of_ten_thousand_tasks_ramps_up() -> None:
    machine = Machine(Policy(ramp_burst=1000), slots=10_000)
    first = machine.submit(flat_job(3000))
    assert len(launched(first)) == 1000
    assert isinstance(first[-1], WakeAt)
    total, wake = 1000, first[-1].time
    while total < 3000:
        machine.now = wake
        found = machine.feed(Tick())
        total += len(launched(found))
        if isinstance(found[-1], WakeAt):
            wake = found[-1].time
    assert 19 < machine.now < 21
