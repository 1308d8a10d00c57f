"""A sort by each transport on localcloud, at a size that shows that it runs."""

from __future__ import annotations

import os

from bench import transports
from bench.workload import TINY, Options


async def test_each_transport_sorts_and_is_billed() -> None:
    before = os.environ["XDG_STATE_HOME"]
    report = await transports.run(Options(size=TINY), lambda text: None)
    assert report.peers == ["hybrid", "sqs", "s3"]
    assert all(sample.seconds[0] > 0 and sample.cpu[0] > 0 for sample in report.samples)
    assert [goal.what.partition(" ")[0] for goal in report.goals] == ["dollars", "seconds"]
    assert sum(", of which" in note and "$0.0000" in note for note in report.notes) == 3
    assert os.environ["XDG_STATE_HOME"] == before
