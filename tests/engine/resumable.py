"""A program for tests: it notes each task that runs, and kills itself after so many accepted ones,
or at the `end`, while what the run had is removed.

    python -m tests.engine.resumable PROGRAM FOLDER [KILL_AFTER|end [STAGE]]

What it answers, and what it was told of tasks, goes as JSON to standard output.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aflint
from aflint import Session
from aflint.events import Event, TaskEnded, TaskRecovered
from aflint.journal import Journal
from aflint.journal.writing import StoredJournal
from examples.taxi.queries import QUERIES

Program = Callable[[Session, Path], Awaitable[Any]]
WORDS = {"the", "of", "and"}


def noting(folder: Path, step: str) -> Callable[[int, Any], Any]:
    """Return a function that leaves a file for each partition that it is run for."""

    def note(partition: int, records: Any) -> Any:
        name = f"{step}.{partition}.{os.getpid()}.{os.urandom(4).hex()}"
        (folder / "ran" / name).touch()
        return records

    return note


async def counts(session: Session, folder: Path) -> Any:
    """Count by key, then sort the counts: two jobs and those that a sort needs."""
    total = session.accumulator(0)

    def pair(number: int) -> tuple[int, int]:
        total.add(1)
        return number % 7, number

    numbers = session.parallelize(range(60), 12).map_partitions_with_index(noting(folder, "map"))
    sums = numbers.map(pair).reduce_by_key(lambda a, b: a + b, 4)
    first = sorted(await sums.collect())
    after = total.value
    return [first, after, await sums.sort_by_key(ascending=False).collect(), total.value]


async def changed(session: Session, folder: Path) -> Any:
    """Be another program than `counts`, by one number."""
    numbers = session.parallelize(range(60), 12).map_partitions_with_index(noting(folder, "map"))
    sums = numbers.map(lambda number: (number % 8, number)).reduce_by_key(lambda a, b: a + b, 4)
    return sorted(await sums.collect())


async def lines(session: Session, folder: Path) -> Any:
    """Count the words of a file, or of what the environment names."""
    path = os.environ.get("RESUMABLE_INPUT", str(folder / "input.txt"))
    words = session.text_file(path, 10).flat_map(str.split)
    noted = words.map_partitions_with_index(noting(folder, "map"))
    return sorted((await noted.count_by_value()).items())


async def joined(session: Session, folder: Path) -> Any:
    """Join two shuffles, with closures over sets and strings, whose order differs by process."""
    note = noting(folder, "map")
    known = session.broadcast({"stop", "words", *WORDS})
    left = session.parallelize([f"w{n % 5}" for n in range(40)], 6).map_partitions_with_index(note)
    pairs = left.filter(lambda word: word not in known.value and word not in WORDS)
    right = session.parallelize([(f"w{n}", n) for n in range(5)], 3)
    found = pairs.map(lambda word: (word, 1)).reduce_by_key(lambda a, b: a + b, 3).join(right, 3)
    return sorted(await found.collect())


async def saved(session: Session, folder: Path) -> Any:
    """Save, and read back."""
    numbers = session.parallelize(range(50), 10).map_partitions_with_index(noting(folder, "map"))
    keyed = numbers.map(lambda number: (number % 5, number)).group_by_key(5)
    target = folder / "out"
    await keyed.map(lambda pair: f"{pair[0]} {sorted(pair[1])}").save_as_text_file(str(target))
    lines = await session.text_file(str(target)).collect()
    return [sorted(lines), sorted(path.name for path in target.iterdir())]


async def cached(session: Session, folder: Path) -> Any:
    """Use what was kept for a second job."""
    note = noting(folder, "map")
    kept = session.parallelize(range(30), 6).map_partitions_with_index(note).cache()
    first = await kept.sum()
    return [first, await kept.map(lambda number: number * 2).sum(), await kept.count()]


async def side_by_side(session: Session, folder: Path) -> Any:
    """Run jobs at once, so that their order is not said."""

    async def one(by: int) -> Any:
        note = noting(folder, f"map{by}")
        numbers = session.parallelize(range(40), 5).map_partitions_with_index(note)
        pairs = numbers.map(lambda number: (number % by, number))
        return sorted(await pairs.reduce_by_key(lambda a, b: a + b, 2).collect())

    return await asyncio.gather(*(one(by) for by in (3, 4, 5)))


async def queries(session: Session, folder: Path) -> Any:
    """Ask the paper's queries of the trips in the folder."""
    taxi = folder / "taxi"
    trips = session.text_file(str(taxi / "*_tripdata_*.csv"), 6)
    weather = session.text_file(str(taxi / "central_park_weather.csv"), 1)
    return {query.name: repr(await query.answer(trips, weather)) for query in QUERIES}


PROGRAMS: dict[str, Program] = {
    each.__name__: each
    for each in (counts, changed, lines, joined, saved, cached, side_by_side, queries)
}


class Watcher:
    """Counts what is told of tasks, and kills the driver once that is written down."""

    def __init__(self, session: Session, folder: Path, kill_after: int, stage: int | None) -> None:
        self._folder = folder
        self.accepted: list[str] = []
        self.recovered: list[str] = []
        self._session = session
        self._killing: asyncio.Task[None] | None = None
        self._kill_after = kill_after
        self._stage = stage

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskRecovered):
            self.recovered.append(f"{event.id.job}.{event.id.stage}.{event.id.partition}")
        if isinstance(event, TaskEnded) and event.accepted:
            self.accepted.append(f"{event.id.job}.{event.id.stage}.{event.id.partition}")
            counted = self._stage is None or event.id.stage == self._stage
            self._kill_after -= counted
            if counted and self._kill_after == 0:
                self._killing = asyncio.create_task(self._kill_later())

    async def _kill_later(self) -> None:
        """Let what was accepted be written, which takes a moment, so as to be looked for."""
        with (self._folder / "accepted").open("a") as kept:
            kept.writelines(f"{task}\n" for task in self.accepted)
        await self._session._opened().jobs.journal.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def kill_at_the_end() -> None:
    """Have this process killed as soon as all that the run had is removed but the journal."""

    async def kill(journal: Journal) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    StoredJournal.remove = kill  # type: ignore[method-assign, assignment]


async def main(name: str, folder: Path, kill_after: int = -1, stage: int | None = None) -> None:
    """Run one of the programs."""
    async with aflint.connect(
        run_id="run", workers=2, progress=False, scratch_dir=str(folder / "scratch")
    ) as session:
        watcher = Watcher(session, folder, kill_after, stage)
        session.add_listener(watcher)
        answer = await PROGRAMS[name](session, folder)
    told = {"answer": answer, "accepted": watcher.accepted, "recovered": watcher.recovered}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    if sys.argv[3:] == ["end"]:
        kill_at_the_end()
        del sys.argv[3]
    kill, stage = (int(word) if word else None for word in (*sys.argv[3:], "", "")[:2])
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), -1 if kill is None else kill, stage))
