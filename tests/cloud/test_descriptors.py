"""Tasks that close descriptors: more than their own, and only their own."""

from __future__ import annotations

import os
import tempfile
from operator import add
from typing import Any

import pytest

from aflint.errors import AttemptsExhaustedError
from tests.cloud.clouds import Ended, localcloud


def close_all(pair: Any) -> Any:
    os.closerange(3, 256)
    return pair


def close_the_runtimes(pair: Any) -> Any:
    """Those that were there before aflint was loaded."""
    os.closerange(3, 6)
    return pair


@pytest.mark.parametrize(
    ("close", "where"),
    [
        (close_the_runtimes, "a result"),
        (close_all, "a shuffle's writer"),
        (close_all, "a shuffle's reader"),
    ],
)
async def test_a_task_that_closes_what_its_process_needs_is_a_lost_worker(
    close: Any, where: str
) -> None:
    async with localcloud(transport="s3", max_attempts=2) as session:
        ended = Ended(session)
        pairs = session.range(40, num_slices=2).map(lambda n: (n, n))
        if where == "a result":
            job = pairs.map(close)
        elif where == "a shuffle's writer":
            job = pairs.map(close).reduce_by_key(add, 1)
        else:
            job = pairs.reduce_by_key(add, 1).map(close)
        with pytest.raises(AttemptsExhaustedError, match="closed"):
            await job.collect()
        lost = [event.error for event in ended.events if event.error]
        assert len(lost) >= 2
        assert all("WorkerLostError" in error for error in lost)
        assert session.localcloud is not None
        assert set(session.localcloud.snapshot().lambda_kills) == {"exit"}


async def test_a_task_may_close_what_another_one_left_open() -> None:
    def leave(_: int) -> int:
        file = os.open(os.path.join(tempfile.gettempdir(), "mine"), os.O_CREAT | os.O_RDWR)
        os.environ["MINE"] = str(file)
        return os.getpid()

    def close(_: int) -> int:
        os.close(int(os.environ["MINE"]))
        return os.getpid()

    async with localcloud() as session:
        one = await session.range(1, num_slices=1).map(leave).collect()
        assert await session.range(1, num_slices=1).map(close).collect() == one
        assert await session.range(1, num_slices=1).map(lambda _: os.getpid()).collect() == one
