"""Cached partitions in the memory of the workers that made them."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import aflint
from aflint import RDD, Session
from aflint.errors import AflintError
from aflint.events import Event, TaskEnded

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Tasks:
    """A listener: what each task of the last job read, and where it ran."""

    def __init__(self, session: Session) -> None:
        self.read: dict[int, int] = {}
        self.where: dict[int, str] = {}
        session.add_listener(self)

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskEnded) and event.accepted:
            self.read[event.id.partition] = event.metrics.input_bytes
            self.where[event.id.partition] = event.executor


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Session]:
    """A session of one worker, which holds all that is held."""
    folder = str(tmp_path_factory.mktemp("alone"))
    async with aflint.connect(workers=1, progress=False, scratch_dir=folder) as session:
        yield session


def numbers(session: Session) -> RDD[int]:
    return session.range(0, 4000, 1, 8)


async def test_a_task_reads_no_file_where_its_partition_is_held(session: Session) -> None:
    made, again = Tasks(session), Tasks(session)
    cached = numbers(session).map(lambda x: (x, str(x))).cache()
    assert await cached.count() == 4000
    makers = dict(made.where)
    for _ in range(3):
        assert await cached.keys().sum() == sum(range(4000))
        # Whoever takes over a task from its holder reads the file, and nobody else does.
        at_home = {p for p in range(8) if again.where[p] == makers[p]}
        assert at_home
        assert {p for p in at_home if again.read[p]} == set()


def spoil(record: Any) -> int:
    """Change all that can be changed of a record."""
    for part in record if isinstance(record, tuple) else [record]:
        if isinstance(part, list | dict | bytearray):
            part.clear()
    return 1


RECORDS: list[Any] = [
    lambda x: [x, str(x)],
    lambda x: (x, [x, x]),
    lambda x: (x, [[x]]),
    lambda x: (x, {x: x}),
    lambda x: {"a": [x]},
    lambda x: bytearray(str(x).encode()),
    lambda x: (str(x), (x, None)),
]


async def test_a_record_that_one_task_changes_is_as_it_was_for_the_next(alone: Session) -> None:
    for make in RECORDS:
        cached = numbers(alone).map(make).cache()
        expected = [make(x) for x in range(4000)]
        assert await cached.map(spoil).sum() == 4000
        assert await cached.collect() == expected
        assert await cached.map(spoil).sum() == 4000
        assert await cached.collect() == expected
        cached.unpersist()


def kept_files(session: Session, cached: RDD[Any]) -> list[Path]:
    source = session._opened().jobs.resolver.stored[cached._node.id]
    return [Path(split.path) for split in source.splits]


async def test_unpersisted_partitions_are_dropped(alone: Session) -> None:
    cached = numbers(alone).map(str).cache()
    await cached.count()
    files = kept_files(alone, cached)
    for file in files:
        file.write_bytes(b"not what was cached")
    assert await cached.map(int).sum() == sum(range(4000))  # out of memory
    alone._opened().scheduler.forget([str(file) for file in files])
    with pytest.raises(AflintError):
        await cached.map(int).sum()
    cached.unpersist()
    assert await cached.map(int).sum() == sum(range(4000))  # anew
    assert not alone._opened().scheduler._machine._state.holders


async def test_a_worker_that_died_is_not_missed(alone: Session) -> None:
    tasks = Tasks(alone)
    cached = numbers(alone).map(lambda x: (x % 10, x)).cache()
    before = await cached.values().sum()
    worker = next(iter(alone._opened().backend.invoker._all))  # type: ignore[attr-defined]
    os.kill(worker.process.pid, signal.SIGKILL)
    await worker.ended
    assert await cached.values().sum() == before
    assert all(tasks.read.values())
    assert await cached.values().sum() == before
    assert not any(tasks.read.values())


async def test_files_alone_where_memory_is_not_asked_for(alone: Session) -> None:
    tasks = Tasks(alone)
    cached = numbers(alone).map(str).cache()
    cached._node.in_memory = False
    for _ in range(3):
        assert await cached.map(len).sum() == 14_890
    assert all(tasks.read.values())


async def test_what_take_has_read_of_a_partition_is_not_held(alone: Session) -> None:
    cached = numbers(alone).map(str).cache()
    await cached.count()
    alone._opened().scheduler.forget(list(map(str, kept_files(alone, cached))))
    assert await cached.take(3) == ["0", "1", "2"]
    assert await cached.map(int).sum() == sum(range(4000))
    cached.unpersist()
