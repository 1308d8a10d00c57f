"""One soak from start to end: sessions until the time is up, and samples all along."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Final

import aflint
from aflint.localcloud import LocalCloud
from bench.soak import held
from bench.soak.kit import Kind, Taxi
from bench.soak.lives import Lives, Tally
from bench.soak.verdict import Sample, Where, over_kept
from examples.taxi import oracle
from examples.taxi.generate import WEATHER, generate

_TRIPS: Final = 4_000
_SAMPLE_S: Final = 10.0
_LONGEST_S: Final = 480.0
_THREADS: Final = 4
_SETTLE_S: Final = 0.05
"""In which asyncio closes what was let go of, by callbacks that come after those of the session."""

_REMOVED_S: Final = 20.0
"""In which the shuffles of RDDs that are garbage are removed, when no job runs."""

_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Options:
    """How long and how hard: `duty` is the share of time in which jobs run, and `sessions` ends it
    earlier, after so many lives.
    """

    backend: Kind = "local"
    minutes: float = 60.0
    seed: int = 1
    duty: float = 0.5
    sessions: int | None = None


@dataclass(frozen=True)
class Record:
    """What a soak did and saw; `seconds` is how long it took."""

    seconds: float
    tally: Tally
    samples: tuple[Sample, ...]


async def soak(options: Options, folder: Path, say: Callable[[str], None]) -> Record:
    """Run it in a folder that it may fill; scratch and temporary files go there, too."""
    say("making up trips")
    taxi = _taxi(folder / "taxi", options.seed)
    work = folder / "work"
    (work / "scratch").mkdir(parents=True)
    before, tempfile.tempdir = tempfile.tempdir, str(work)
    try:
        return await _Soak(options, work, taxi, say).run()
    finally:
        tempfile.tempdir = before


def _taxi(folder: Path, seed: int) -> Taxi:
    generate(folder, _TRIPS, seed, jobs=1)
    paths = sorted(folder.glob("*_tripdata_*.csv"))
    return Taxi(folder, oracle.answers(paths, folder / WEATHER))


class _Soak:
    def __init__(
        self, options: Options, work: Path, taxi: Taxi, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._work = work
        self._say = say
        self._samples: list[Sample] = []
        self._lives = Lives(
            options.backend,
            options.seed,
            work,
            taxi,
            self._rested,
            self._sample_idle,
            self._sample_ended,
        )
        self._started = time.monotonic()

    async def run(self) -> Record:
        """Run lives until the time is up. The first is not counted: it imports and fills caches."""
        _fill_the_thread_pool()
        await self._lives.short()
        self._samples.clear()
        self._started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            sampling = group.create_task(self._sample_within())
            try:
                await self._sample("between")
                await self._live()
            finally:
                sampling.cancel()
        return Record(self._elapsed(), self._lives.tally, tuple(self._samples))

    async def _live(self) -> None:
        seconds = self._options.minutes * 60
        longest = min(_LONGEST_S, seconds / 6)
        chance = random.Random(self._options.seed)
        lives = 0
        while self._elapsed() < seconds and lives != self._options.sessions:
            kind = "long" if lives % 8 == 5 else chance.choice(("short", "short", "short", "pair"))
            self._say(self._told(kind))
            match kind:
                case "long":
                    await self._lives.long(min(longest, seconds - self._elapsed()))
                case "pair":
                    await self._lives.pair()
                case _:
                    await self._lives.short()
            lives += 1
            await self._sample("between")

    def _told(self, kind: str) -> str:
        tally = self._lives.tally
        return (
            f"{self._elapsed() / 60:.1f} min, {tally.sessions} sessions, "
            f"{tally.jobs.total()} jobs, {len(tally.failures)} failures: a {kind} session"
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    @asynccontextmanager
    async def _rested(self, since: float) -> AsyncIterator[None]:
        """Rest after what is done inside, in proportion to how long it took."""
        yield
        duty = self._options.duty
        await asyncio.sleep((time.monotonic() - since) * (1 - duty) / duty)

    async def _sample(self, where: Where) -> None:
        if where == "between":
            await asyncio.sleep(_SETTLE_S)
        self._note(where, held.of_the_driver(self._work))

    async def _sample_idle(self, session: aflint.Session) -> None:
        held.of_the_driver(self._work)  # collects garbage
        end = time.monotonic() + _REMOVED_S
        # The session tells nobody when it has removed a shuffle.
        while list(over_kept(found := held.of_the_session(session))) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        self._note("idle", held.of_the_driver(self._work) | found)

    async def _sample_ended(self, cloud: LocalCloud) -> None:
        self._note("ended", held.of_the_emulator(cloud))

    async def _sample_within(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_S)
            await self._sample("within")

    def _note(self, where: Where, found: dict[str, float]) -> None:
        self._samples.append(Sample(round(self._elapsed(), 1), where, found))


def _fill_the_thread_pool() -> None:
    """Give asyncio.to_thread all its threads now, as they come one by one and stay."""
    pool = ThreadPoolExecutor(_THREADS, "soak")
    barrier = Barrier(_THREADS)
    for waiting in [pool.submit(barrier.wait) for _ in range(_THREADS)]:
        waiting.result()
    asyncio.get_running_loop().set_default_executor(pool)
