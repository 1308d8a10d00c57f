"""Queries over more than their tasks' memory, in which no task is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.sql_memory import MAPPED_MB, joined, limited, make, sorted_

LIMIT_MB = 384
ROWS = 900_000  # of 212 bytes, in each of two tables


@pytest.mark.slow
@pytest.mark.parametrize("ask", [joined, sorted_])
async def test_a_join_and_a_sort_of_more_than_their_tasks_memory_keep_to_it(
    tmp_path: Path, ask: Any
) -> None:
    make(tmp_path / "tables", ROWS)
    async with limited(LIMIT_MB, workers=1, scratch_dir=str(tmp_path / "scratch")) as session:
        await ask(session, tmp_path / "tables", ROWS)
        job = session.last_job
    assert job is not None
    assert job.failed_attempts == 0
    assert job.metrics.peak_memory_bytes <= (LIMIT_MB + MAPPED_MB) << 20
    assert not list((tmp_path / "scratch").rglob("*"))
