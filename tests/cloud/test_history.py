"""The history in the bucket of a deployment: what runs on aws left, read on another machine."""

from __future__ import annotations

import asyncio
import json
from operator import add
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aflint.cli import main
from aflint.cli.history import bucket_history
from aflint.deploy.clean import clean
from aflint.observe.bucket import remote_logs
from aflint.observe.history import history_folder
from aflint.observe.page import Runs
from tests.cloud.clouds import Deployed


def say(n: int) -> tuple[int, int]:
    """Print a number."""
    print(f"it was {n}")
    return n % 2, n


async def test_jobs_logs_and_the_page_show_what_another_machine_ran_on_aws(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "laptop"))
    monkeypatch.delenv("AFLINT_HISTORY_MB")
    settings = {"history_mb": 1, "task_logs": True, "progress": False}
    async with deployed.connect(**settings):
        pass  # a run without a job leaves nothing
    async with deployed.connect(**settings) as session:
        numbers = session.parallelize([5, 6], 2).map(say)
        assert sorted(await numbers.reduce_by_key(add, 1).collect()) == [(0, 6), (1, 5)]
        dollars = session.jobs[0].cost.total
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "desktop"))
    config = deployed.config
    given = ["--backend", "aws", "--bucket", deployed.deployment.bucket]

    async def asked(*words: str) -> Result:
        found = await asyncio.to_thread(
            CliRunner().invoke, main.app, [words[0], *given, *words[1:]]
        )
        assert found.exit_code == 0, found.output
        return found

    (job,) = json.loads((await asked("jobs", "--json")).stdout)
    assert job["job"] == f"{session.id}-1"
    assert (job["state"], job["backend"]) == ("done", "aws")
    assert job["dollars"] == pytest.approx(dollars)
    assert "it was 5" in (await asked("logs", job["job"])).stdout
    (runs := Runs(history_folder())).refresh()
    assert [row["id"] for row in runs.jobs()] == [job["job"]]
    # Neither is it taken for what a job has left behind.
    await clean(config)
    async with bucket_history(config) as (storage, remote):
        assert len(await remote_logs(storage, remote)) == 1


async def test_a_bucket_that_cannot_be_read_leaves_this_machines_runs_to_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("AFLINT_HISTORY_MB")
    words = ["jobs", "--backend", "aws", "--region", "us-east-1"]
    found = await asyncio.to_thread(CliRunner().invoke, main.app, words)
    assert found.exit_code == 0
    assert "The bucket's runs are not shown" in found.output
    assert "No run has left a history yet." in found.output
