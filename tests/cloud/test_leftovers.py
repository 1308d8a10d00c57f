"""What jobs leave in the cloud, in whichever way they end: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import add
from pathlib import Path

import pytest

from aflint.deploy.clean import clean
from aflint.errors import JobCancelledError, TaskError
from aflint.limits import MIB
from tests.cloud.clouds import Deployed
from tests.cloud.test_sizes import noise
from tests.localcloud.helpers import eventually, settled

ROOT = Path(__file__).parents[2]

DRIVER = """
import asyncio
from operator import add
import aflint

async def main():
    async with aflint.connect(backend="aws", {settings}) as session:
        numbers = session.range(10_000_000_000, num_slices=4).map(lambda n: (n % 7, n))
        print(session.id, flush=True)
        await numbers.reduce_by_key(add).collect()

asyncio.run(main())
"""


@pytest.mark.parametrize("transport", ["sqs", "s3", "hybrid"])
async def test_after_success_and_after_an_error_of_the_users(
    transport: str, deployed: Deployed
) -> None:
    async with deployed.connect(transport=transport) as session:
        pairs = session.range(1000, num_slices=4).map(lambda n: (n % 7, n)).persist()
        assert len(await pairs.reduce_by_key(add).collect()) == 7
        with pytest.raises(TaskError, match="ZeroDivisionError"):
            await pairs.map(lambda pair: (pair[0], 1 // pair[0])).group_by_key().collect()
        with pytest.raises(TaskError, match="ZeroDivisionError"):
            await pairs.reduce_by_key(add).map(lambda pair: 1 // pair[0]).collect()
        await eventually(lambda: not shuffles_of(deployed))
    deployed.assert_empty()


def shuffles_of(deployed: Deployed) -> list[str]:
    """Return the queues and objects of shuffles, those that garbage reads not counted."""
    gc.collect()
    left = deployed.cloud.snapshot()
    objects = [key for keys in left.buckets.values() for key in keys if "/shuffles/" in key]
    return [*left.queues, *objects]


@pytest.mark.parametrize("transport", ["s3", "hybrid"])
async def test_after_a_cancellation(transport: str, deployed: Deployed) -> None:
    async with deployed.connect(transport=transport) as session:
        endless = session.range(10_000_000_000, num_slices=4).map(lambda n: (n % 7, n))
        job = asyncio.create_task(endless.reduce_by_key(add).collect())
        await eventually(lambda: any(each.busy for each in deployed.cloud.snapshot().environments))
        await settled(lambda: session.cancel())
        with pytest.raises(JobCancelledError):
            await job
        assert not deployed.cloud.snapshot().queues
    deployed.assert_empty()


def fail_or_go_on(n: int) -> tuple[int, int]:
    """Fail in the first partition while the second one is at work."""
    if n == 0:
        raise ValueError(n)
    time.sleep(1)
    return n, n


@pytest.mark.parametrize("transport", ["s3", "hybrid"])
async def test_what_a_task_writes_when_its_job_has_failed(
    transport: str, deployed: Deployed
) -> None:
    async with deployed.connect(transport=transport) as session:
        pairs = session.parallelize([0, 1], 2).map(fail_or_go_on)
        large = pairs.map(lambda pair: (pair[0], noise(1, 2 * MIB)))
        with pytest.raises(TaskError, match="ValueError"):
            await large.group_by_key(2).collect()
    assert any(each.busy for each in deployed.cloud.snapshot().environments)
    puts = deployed.cloud.snapshot().calls["s3:PutObject"]
    await eventually(lambda: not any(e.busy for e in deployed.cloud.snapshot().environments))
    assert deployed.cloud.snapshot().calls["s3:PutObject"] == puts + 1
    deployed.assert_empty()


@asynccontextmanager
async def driver(deployed: Deployed) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a driver of its own in the middle of a job."""
    config = deployed.config
    settings = {
        name: getattr(config, name)
        for name in ("endpoint_url", "scratch_dir", "memory_mb", "concurrency", "progress")
    }
    program = DRIVER.format(settings=", ".join(f"{k}={v!r}" for k, v in settings.items()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert await process.stdout.readline()
        await eventually(lambda: bool(deployed.cloud.snapshot().queues))
        await eventually(lambda: any(each.busy for each in deployed.cloud.snapshot().environments))
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_after_a_signal_that_ends_the_driver(
    deployed: Deployed, number: signal.Signals
) -> None:
    async with driver(deployed) as process:
        process.send_signal(number)
        _, said = await process.communicate()
    assert (b"KeyboardInterrupt" in said) == (number == signal.SIGINT)
    deployed.assert_empty()


async def test_what_a_killed_driver_left_is_removed_by_clean(deployed: Deployed) -> None:
    async with driver(deployed) as process:
        process.kill()
        await process.wait()
    assert deployed.cloud.snapshot().queues
    removed: list[str] = []
    await clean(deployed.config, on_removed=removed.append)
    assert any("aflint-" in each for each in removed)
    deployed.assert_empty()


async def test_clean_spares_a_job_that_runs(deployed: Deployed) -> None:
    async with driver(deployed):
        before = deployed.cloud.snapshot().queues.keys()
        await clean(deployed.config)
        assert deployed.cloud.snapshot().queues.keys() == before
    await clean(deployed.config)
    deployed.assert_empty()
