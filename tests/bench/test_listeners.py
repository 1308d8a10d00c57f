from __future__ import annotations

from pathlib import Path

import pytest

from bench.listeners import run
from bench.workload import TINY, Options


@pytest.mark.slow
async def test_a_tiny_run_measures_each_set_of_listeners(tmp_path: Path) -> None:
    report = await run(Options(size=TINY, data=tmp_path), lambda said: None)
    assert report.cases == ["50 tasks replayed", "Q1", "Q4"]
    replayed = {"report", "report, log", "all", "all, with an SDK"}
    assert {s.peer for s in report.samples} == {*replayed, "unseen"}
    assert all(goal.measured > 0 for goal in report.goals)
