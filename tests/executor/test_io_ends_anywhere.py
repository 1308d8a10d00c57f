"""An iterator over the loop's results may be ended by the garbage collector, on any thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from aflint.codec import frame, records
from aflint.codec.frame import FrameHeader
from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import Completeness, ReadCounts, read_blocks
from aflint.executor.spill import Runs, SpillFolder
from aflint.storage.local import LocalStorage
from aflint.task import Manifest, MapOutput, ShuffleHandle


async def endless(ended: asyncio.Event) -> AsyncIterator[int]:
    try:
        while True:
            yield 1
    finally:
        ended.set()


def test_an_iterator_that_ends_on_the_loops_own_thread_holds_up_nobody() -> None:
    ended = asyncio.Event()
    with IOLoop() as io:
        items = cast("Generator[int, Any, None]", io.iterate(endless(ended)))
        assert next(items) == 1

        async def close_there() -> None:
            items.close()
            async with asyncio.timeout(30):
                await ended.wait()

        io.run(close_there())


def end_on_its_thread(io: IOLoop, items: Iterator[Any], ended: asyncio.Event) -> None:
    """End an iterator where the garbage collector may, wait until it has cleaned up, end the loop.

    The loop is no context manager here: one that waits for itself could never be left.
    """

    async def close_there() -> None:
        cast("Generator[Any, Any, None]", items).close()
        async with asyncio.timeout(15):
            await ended.wait()

    io.submit(close_there()).result(20)
    io.__exit__(None, None, None)


def test_reading_a_shuffle_may_end_on_the_loops_own_thread() -> None:
    closed = asyncio.Event()
    data = frame.encode_frame(FrameHeader("j", 0, 0, 0, 0, 0, 0, 1), records.encode([1]), b"key")

    class Reader:
        async def frames(self) -> AsyncIterator[bytes]:
            yield data
            await asyncio.Event().wait()

        async def close(self) -> None:
            closed.set()

    class OneReader:
        def reader(self, manifest: Manifest) -> Reader:
            return Reader()

    manifest = Manifest(ShuffleHandle("j", 0, 1), 0, (MapOutput(0, 0, 0, 2, 100),))
    transport: Any = OneReader()
    io = IOLoop().__enter__()
    blocks = read_blocks(Completeness(manifest), b"key", transport, io, 60.0, ReadCounts())
    assert next(blocks) == ((0, 0, 0, 0), [1])
    end_on_its_thread(io, blocks, closed)


def test_merging_spilled_runs_may_end_on_the_loops_own_thread(tmp_path: Path) -> None:
    removed = asyncio.Event()
    there: set[str] = set()

    class Storage(LocalStorage):
        async def write(self, path: str, data: bytes) -> None:
            there.add(path)
            await super().write(path, data)

        async def delete_files(self, paths: Sequence[str]) -> None:
            await super().delete_files(paths)
            there.difference_update(paths)
            if not there:
                removed.set()

    io = IOLoop().__enter__()
    runs = Runs(SpillFolder(tmp_path / "disk", 0, Storage(), io, str(tmp_path / "stored")))
    for run in range(2):
        runs.add((key, key, run) for key in range(5000))
        runs._files[run]._put()
    merged = runs.merged()
    assert next(merged) == (0, 0, 0)
    assert len(there) == 2
    end_on_its_thread(io, merged, removed)
