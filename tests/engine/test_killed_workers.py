"""A third of the worker processes is killed in the middle of map and of reduce tasks."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from operator import add
from pathlib import Path

import pytest

import aflint
from aflint.events import Event, TaskEnded
from aflint.executor.context import task_context
from examples.taxi import oracle
from examples.taxi.generate import WEATHER, generate
from examples.taxi.queries import QUERIES
from tests.engine.test_faults import processes_of
from tests.hostages import Hostages

WORKERS = 6
THIRD = WORKERS // 3


@asynccontextmanager
async def killing(tmp_path: Path) -> AsyncIterator[tuple[aflint.Session, Hostages]]:
    """Give a session that loses a third of its workers in each stage that is held."""
    hostages, lost = Hostages(tmp_path, THIRD), list[str]()

    def listen(event: Event) -> None:
        if isinstance(event, TaskEnded) and event.error:
            lost.append(event.error)

    scratch = tmp_path / "scratch"
    async with (
        aflint.connect(workers=WORKERS, progress=False, scratch_dir=str(scratch)) as session,
        hostages.taken(),
    ):
        session.add_listener(listen)
        yield session, hostages
    assert len(lost) == len(hostages.killed) > 0
    assert all("SIGKILL" in error for error in lost)
    assert not scratch.exists()
    assert processes_of(scratch) == []


async def test_in_the_middle_of_map_and_of_reduce_tasks(tmp_path: Path) -> None:
    async with killing(tmp_path) as (session, hostages):
        pairs = session.range(6_000, num_slices=12).map_partitions(hostages.hold)
        reduced = pairs.map(lambda n: (n % 1_000, n)).reduce_by_key(add, 8)
        sums = await reduced.map_partitions(hostages.hold).collect_as_map()
        assert sums == {n: 15_000 + 6 * n for n in range(1_000)}
        assert len(hostages.killed) == 2 * THIRD


async def test_while_two_shuffles_are_joined_and_sorted(tmp_path: Path) -> None:
    async with killing(tmp_path) as (session, hostages):
        numbers = session.range(3_000, num_slices=6)
        squares = numbers.map(lambda n: (n, n * n)).map_partitions(hostages.hold)
        joined = squares.join(numbers.map(lambda n: (n, -n)), 6).map_partitions(hostages.hold)
        largest_first = joined.sort_by_key(ascending=False).map_partitions(hostages.hold)
        assert await largest_first.collect() == [(n, (n * n, -n)) for n in range(2_999, -1, -1)]
        assert len(hostages.killed) >= 3 * THIRD


async def test_a_stopped_worker_does_not_hang_the_job(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)

    def hold(numbers: Iterator[int]) -> Iterator[int]:
        if task_context().partition == task_context().attempt == 0:
            with open(pipe, "w") as file:
                file.write(str(os.getpid()))
            time.sleep(600)
        return numbers

    lost = list[str]()

    def listen(event: Event) -> None:
        if isinstance(event, TaskEnded) and event.error:
            lost.append(event.error)

    async def stop_it() -> None:
        os.kill(int(await asyncio.to_thread(Path(pipe).read_text)), signal.SIGSTOP)

    async with (
        aflint.connect(workers=2, progress=False, worker_stopped_s=0.2) as session,
        asyncio.TaskGroup() as group,
    ):
        session.add_listener(listen)
        group.create_task(stop_it())
        assert await session.range(100, num_slices=4).map_partitions(hold).sum() == 4950
    assert len(lost) == 1
    assert "stopped by a signal" in lost[0]


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taxi")
    generate(folder, trips=12_000, seed=7, jobs=1)
    return folder


@pytest.fixture(scope="module")
def answers(taxi: Path) -> Mapping[str, object]:
    return oracle.answers(sorted(taxi.glob("*_tripdata_*.csv")), taxi / WEATHER)


@pytest.mark.slow
async def test_the_seven_queries(tmp_path: Path, taxi: Path, answers: Mapping[str, object]) -> None:
    async with killing(tmp_path) as (session, hostages):
        lines = session.text_file(str(taxi / "*_tripdata_*.csv"))
        weather = session.text_file(str(taxi / WEATHER), 1)
        trips = lines.map_partitions(hostages.hold)
        assert {q.name: await q.answer(trips, weather) for q in QUERIES} == answers
        assert len(hostages.killed) == THIRD * len(QUERIES)
