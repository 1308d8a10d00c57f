"""A driver of functions that is killed outright, and another one that goes on where it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session

from aflint.config import Config
from aflint.deploy.options import DeployOptions
from aflint.deploy.up import deploy
from aflint.errors import RunInUseError
from aflint.localcloud import Faults, LocalCloud
from tests.cloud.clouds import MEMORY_MB, Deployed
from tests.cloud.test_faults import EVERYTHING

ROOT = Path(__file__).parents[2]


async def drive(deployed: Deployed, folder: Path, *words: str, **variables: str) -> Any:
    """Run a program in a process of its own; return its status, what it told, and its errors."""
    scratch = {"AFLINT_SCRATCH_DIR": str(folder / "scratch")}
    settings = {
        "AFLINT_BACKEND": "aws",
        "AFLINT_ENDPOINT_URL": deployed.config.endpoint_url or "",
        "AFLINT_MEMORY_MB": str(MEMORY_MB),
        "AFLINT_CONCURRENCY": "2",
        "AFLINT_FETCH_TIMEOUT_S": "4",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *words),
        cwd=ROOT,
        env={**os.environ, **settings, **scratch, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return process.returncode, json.loads(out) if out.startswith(b"{") else {}, errors.decode()


def program(folder: Path, name: str, *more: object) -> tuple[str, ...]:
    return ("-m", "tests.engine.resumable", name, str(folder), *map(str, more))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ran", "scratch"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("transport", "kill_after", "stage"),
    [
        ("hybrid", 2, 1),
        pytest.param("hybrid", 12, "", marks=pytest.mark.slow),
        pytest.param("sqs", 8, "", marks=pytest.mark.slow),
        pytest.param("s3", 2, 1, marks=pytest.mark.slow),
    ],
)
async def test_a_killed_driver_is_resumed(
    transport: str, kill_after: int, stage: object, deployed: Deployed, folder: Path
) -> None:
    settings = {"AFLINT_TRANSPORT": transport}
    words = program(folder, "counts", kill_after, stage)
    status, _, errors = await drive(deployed, folder, *words, **settings)
    assert status == -signal.SIGKILL, errors
    assert deployed.cloud.snapshot().buckets  # its journal, at least
    status, told, errors = await drive(deployed, folder, *program(folder, "counts"), **settings)
    assert status == 0, errors
    sums = [[key, sum(range(key, 60, 7))] for key in range(7)]
    assert told["answer"] == [sums, 60, sums[::-1], 60]
    assert told["recovered"]
    assert not set(told["recovered"]) & set(told["accepted"])
    deployed.assert_empty()


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["sqs", "s3", "hybrid"])
async def test_the_queries_when_drivers_are_killed_under_every_fault(
    transport: str, deployed: Deployed, folder: Path, taxi: Path, answers: Mapping[str, object]
) -> None:
    (folder / "taxi").symlink_to(taxi)
    patient = {"AFLINT_TRANSPORT": transport, "AFLINT_MAX_ATTEMPTS": "10"}
    deployed.cloud.set_faults(replace(EVERYTHING, seed=7))
    for kill_after in (3, 9, 15):  # in the first queries, and further on each time
        words = program(folder, "queries", kill_after)
        status, _, errors = await drive(deployed, folder, *words, **patient)
        assert status == -signal.SIGKILL, errors
    status, told, errors = await drive(deployed, folder, *program(folder, "queries"), **patient)
    assert status == 0, errors
    assert told["answer"] == {name: repr(answer) for name, answer in answers.items()}
    assert told["recovered"]
    deployed.cloud.set_faults(Faults())
    deployed.assert_empty()


@pytest.mark.slow  # what may still be removed is waited for
async def test_a_run_that_is_over_is_not_resumed(deployed: Deployed, folder: Path) -> None:
    status, _, errors = await drive(deployed, folder, *program(folder, "counts", "end"))
    assert status == -signal.SIGKILL, errors
    assert deployed.cloud.snapshot().buckets
    status, told, errors = await drive(deployed, folder, *program(folder, "counts"))
    assert status == 0, errors
    assert told["answer"][1] == 60
    assert told["recovered"] == []
    deployed.assert_empty()


async def test_the_command_finds_runs_in_s3(deployed: Deployed, folder: Path) -> None:
    await drive(deployed, folder, *program(folder, "saved", 6))
    (scratch,) = (folder / "scratch").iterdir()
    (scratch / "owner.lock").unlink()  # as on another machine
    status, _, errors = await drive(deployed, folder, "-m", "aflint", "resume", "other")
    assert status == 1
    assert "Runs that can be resumed: run" in errors
    status, _, errors = await drive(deployed, folder, "-m", "aflint", "resume", "run")
    assert status == -signal.SIGKILL  # by its own command, six tasks later
    assert "resuming run run: 1 jobs had begun" in errors
    status, told, errors = await drive(deployed, folder, *program(folder, "saved"))
    assert status == 0, errors
    assert told["answer"][1] == ["_SUCCESS", *(f"part-{n:05}" for n in range(5))]
    assert told["answer"][0] == [f"{key} {list(range(key, 50, 5))}" for key in range(5)]


async def test_another_program_destroys_nothing(deployed: Deployed, folder: Path) -> None:
    await drive(deployed, folder, *program(folder, "counts", 6))
    before = deployed.cloud.snapshot()
    status, _, errors = await drive(deployed, folder, *program(folder, "changed"))
    assert status == 1
    assert "ProgramChangedError" in errors
    after = deployed.cloud.snapshot()
    assert set(after.queues) == set(before.queues)
    for bucket, keys in before.buckets.items():
        assert set(keys) <= set(after.buckets[bucket])
    status, _, errors = await drive(deployed, folder, *program(folder, "counts"))
    assert status == 0, errors
    deployed.assert_empty()


async def test_a_run_whose_object_was_overwritten_is_refused(
    cloud: LocalCloud, config: Config, folder: Path
) -> None:
    async with get_session().create_client("s3") as s3:
        await s3.create_bucket(Bucket="mine")
        options = DeployOptions(reads=["s3://mine/"])
        deployed = Deployed(cloud, config, await deploy(config, options))
        lines, variables = program(folder, "lines"), {"RESUMABLE_INPUT": "s3://mine/in/*"}
        await s3.put_object(Bucket="mine", Key="in/a.txt", Body=b"to be or not\n" * 100)
        status, _, errors = await drive(deployed, folder, *lines, "3", **variables)
        assert status == -signal.SIGKILL, errors
        await s3.put_object(Bucket="mine", Key="in/a.txt", Body=b"or not to be\n" * 100)
        status, _, errors = await drive(deployed, folder, *lines, **variables)
        assert status == 1
        assert "InputChangedError: run run cannot be resumed" in errors
        assert "s3://mine/in/a.txt was changed or replaced since run-1 (" in errors
        await s3.put_object(Bucket="mine", Key="in/a.txt", Body=b"to be or not\n" * 100)
        status, told, errors = await drive(deployed, folder, *lines, **variables)
        assert status == 0, errors
        assert told["answer"] == [["be", 100], ["not", 100], ["or", 100], ["to", 100]]
        assert told["recovered"]


async def test_a_driver_that_was_taken_over_stops_and_removes_nothing(
    deployed: Deployed, tmp_path: Path
) -> None:
    async with (
        deployed.connect(run_id="run", scratch_dir=str(tmp_path / "first")) as first,
        deployed.connect(run_id="run", scratch_dir=str(tmp_path / "later")) as later,
    ):
        assert await later.range(10, num_slices=2).sum() == 45
        pairs = first.range(40, num_slices=4).key_by(lambda n: n % 3)
        with pytest.raises(RunInUseError, match="resumed by another driver"):
            await pairs.group_by_key(2).count()
        assert await later.range(10, num_slices=2).sum() == 45
    deployed.assert_empty()
