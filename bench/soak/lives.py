"""Lives of sessions, one after the other: what each is given, and the batches of jobs it runs."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aflint
from aflint.localcloud import Faults, LocalCloud
from bench.soak import answers, trouble
from bench.soak.kit import Kind, Kit, Taxi

Job = Callable[[Kit], Awaitable[None]]

FAULTS: Final = Faults(
    duplicate=0.05,
    reorder=0.1,
    delay=0.05,
    delay_seconds=0.2,
    throttle=0.05,
    s3_503=0.03,
    drop_response=0.01,
    kill=0.02,
    batch_entry=0.05,
)
"""What goes wrong in the emulator during half of the batches."""

_PATIENCE_S: Final = 180.0
_TIME_LIMIT_S: Final = 30
"""Of functions: a cancelled invocation runs on until then, and keeps its environment busy."""

_BATCH: Final = 6
_BESIDE: Final = 3


@dataclass
class Tally:
    """What was done so far."""

    sessions: int = 0
    jobs: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Lives:
    """Runs sessions and jobs by a seed; `on_idle` is called when a session has no job to run, and
    `on_end` with its emulator when it has ended.
    """

    def __init__(
        self,
        backend: Kind,
        seed: int,
        folder: Path,
        taxi: Taxi,
        pause: Callable[[float], AbstractAsyncContextManager[None]],
        on_idle: Callable[[aflint.Session], Awaitable[None]],
        on_end: Callable[[LocalCloud], Awaitable[None]],
    ) -> None:
        self.tally = Tally()
        self._backend: Kind = backend
        self._chance = random.Random(seed)
        self._folder = folder
        self._taxi = taxi
        self._duty = pause
        self._on_idle = on_idle
        self._on_end = on_end
        self._deck: list[Job] = []

    async def short(self) -> None:
        """One session for one batch."""
        await self._live(lambda: False)

    async def long(self, seconds: float) -> None:
        """One session for so long."""
        end = time.monotonic() + seconds
        await self._live(lambda: time.monotonic() < end)

    async def pair(self) -> None:
        """Two sessions at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(self.short())

    async def _live(self, goes_on: Callable[[], bool]) -> None:
        self.tally.sessions += 1
        folder = self._folder / f"session-{self.tally.sessions}"
        folder.mkdir()
        settings = self._settings(folder)
        cloud: LocalCloud | None = None
        async with aflint.connect(**settings) as session:
            cloud = session.localcloud if self._backend == "localcloud" else None
            kit = Kit(session, self._backend, self._chance, self._taxi, folder, settings)
            while True:
                await self._batch(kit)
                if not goes_on():
                    break
        if cloud is not None:
            await self._on_end(cloud)
        await asyncio.to_thread(answers.remove, folder)

    def _settings(self, folder: Path) -> dict[str, Any]:
        chance = self._chance
        common: dict[str, Any] = {
            "backend": self._backend,
            "workers": 2,
            "progress": False,
            "scratch_dir": str(self._folder / "scratch"),
            "checkpoint_dir": str(folder / "checkpoints"),
            "max_attempts": 8,
            "speculation": chance.random() < 0.5,
            "task_logs": False,
        }
        if self._backend == "local":
            return {**common, "worker_memory_mb": chance.choice((64, 1024))}
        return {
            **common,
            "memory_mb": 512,
            "transport": chance.choice(("sqs", "s3", "hybrid")),
            "message_limit_kib": chance.choice((256, 1024)),
            "fetch_timeout_s": 8.0,
            "function_timeout_s": _TIME_LIMIT_S,
        }

    async def _batch(self, kit: Kit) -> None:
        session = kit.session
        faulty = self._backend == "localcloud" and self._chance.random() < 0.5
        if faulty:
            seed = self._chance.randrange(10**6)
            session.localcloud.set_faults(replace(FAULTS, seed=seed))
        jobs = [*(self._draw() for _ in range(_BATCH)), answers.look_again]
        if self._backend == "local" and kit.settings["worker_memory_mb"] == 64:
            jobs.append(answers.spill)
        if self._chance.random() < 0.2:
            jobs.append(trouble.deadline)
        if self._chance.random() < 0.5:
            together, jobs = jobs[:_BESIDE], jobs[_BESIDE:]
            await self._together(together, replace(kit, alone=False))
        for job in jobs:
            async with self._duty(time.monotonic()):
                await self._do(job, kit)
        if faulty:
            self.tally.struck.update(session.localcloud.snapshot().faults)
            session.localcloud.set_faults(Faults())
        await self._on_idle(session)

    async def _together(self, jobs: Sequence[Job], kit: Kit) -> None:
        async with self._duty(time.monotonic()), asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(self._do(job, kit))

    def _draw(self) -> Job:
        """Return the next job of a deck that is shuffled anew when it is used up."""
        deck = self._deck
        if not deck:
            deck.extend((*answers.JOBS, *trouble.JOBS))
            self._chance.shuffle(deck)
        return deck.pop()

    async def _do(self, job: Job, kit: Kit) -> None:
        name = job.__name__
        self.tally.jobs[name] += 1
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await job(kit)
        except Exception:
            about = f"{name} in session {self.tally.sessions}, {kit.settings}"
            self.tally.failures.append(f"{about}\n{traceback.format_exc()}")
