from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

import aflint
from aflint import Session


@pytest.fixture(scope="session", autouse=True)
def _rdds_that_are_gone_are_seen_at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aflint.driver.shuffles._LOOK_S", 0.02)
        yield


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(scratch: Path) -> AsyncIterator[Session]:
    """One session for a module: starting workers takes longer than most tests."""
    checkpoints = str(scratch / "checkpoints")
    async with aflint.connect(
        workers=2, progress=False, scratch_dir=str(scratch), checkpoint_dir=checkpoints
    ) as session:
        yield session


class Flag:
    """Raised by a task, by writing to `path`; waited for by the driver without polling."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "flag")
        os.mkfifo(self.path)
        self._reading = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    async def wait(self) -> None:
        """Wait for one byte."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._reading, ready.set)
        try:
            async with asyncio.timeout(60):
                await ready.wait()
        finally:
            loop.remove_reader(self._reading)
        os.read(self._reading, 1)

    def close(self) -> None:
        os.close(self._reading)


@pytest.fixture
def flag(tmp_path: Path) -> Iterator[Flag]:
    flag = Flag(tmp_path)
    yield flag
    flag.close()
