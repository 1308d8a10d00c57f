"""Jobs to which something happens: errors, cancellations, deadlines, stragglers, deaths."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import aflint
from aflint.errors import DeadlineExceededError, JobCancelledError, TaskError
from aflint.events import Event, TaskStarted
from bench.soak.answers import remove
from bench.soak.kit import Kit, WrongAnswerError, check

T = TypeVar("T")


async def fail(kit: Kit) -> None:
    """Divide by zero, in map tasks and after a shuffle."""
    rdd = kit.session.range(1, 100, num_slices=kit.slices())
    for failing in (
        rdd.map(lambda n: 1 // (n - 50)),
        rdd.map(lambda n: (n % 3, n)).group_by_key().map(lambda pair: 1 // pair[0]),
    ):
        try:
            await failing.collect()
        except TaskError as error:
            check("the error", error.__cause__.__class__, ZeroDivisionError)
        else:
            raise WrongAnswerError("a division by zero came to an answer")


async def cancel(kit: Kit) -> None:
    """Cancel a job once a task of it runs: by the session, or as any other awaitable."""
    pairs = kit.session.range(10**10, num_slices=2).map(lambda n: (n % 7, n))
    job = asyncio.create_task(pairs.reduce_by_key(max).collect())
    name = await _started(kit.session)
    by_session = kit.alone and kit.chance.random() < 0.5
    if by_session:
        kit.session.cancel(name)
    else:
        job.cancel()
    try:
        await job
    except JobCancelledError:
        check("cancelled by the session", by_session, True)
    except asyncio.CancelledError:
        check("cancelled by the session", by_session, False)
    else:
        raise WrongAnswerError("an endless job came to an answer")


async def _started(session: aflint.Session) -> str:
    """Wait for a task of the job that starts next; return the job."""
    known = {report.id for report in session.jobs}
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def listen(event: Event) -> None:
        if isinstance(event, TaskStarted) and event.id.job not in known and not started.done():
            started.set_result(event.id.job)

    session.add_listener(listen)
    try:
        return await started
    finally:
        session._listeners.remove(listen)


async def deadline(kit: Kit) -> None:
    """Let the time run out, in a session of its own."""
    settings = {**kit.settings, "deadline_s": 0.3}
    async with aflint.connect(**settings) as session:
        try:
            await session.range(10**10, num_slices=2).map(lambda n: n + 1).count()
        except DeadlineExceededError:
            return
    raise WrongAnswerError("an endless job kept its deadline")


async def straggle(kit: Kit) -> None:
    """Have one task hold its stage up: where the session speculates, it is started again."""
    flag = kit.path("straggler")
    numbers = kit.session.range(40, num_slices=8)
    try:
        slow = numbers.map(partial(_once, flag, partial(time.sleep, 1.0)))
        check("with a straggler", await slow.collect(), list(range(40)))
    finally:
        flag.unlink(missing_ok=True)


async def die(kit: Kit) -> None:
    """Have a worker die, in a map and in a reduce task."""
    flags = [kit.path("killed"), kit.path("killed")]
    pairs = kit.session.range(200, num_slices=4)
    try:
        mapped = pairs.map(partial(_once, flags[0], _kill)).map(lambda n: (n % 10, n))
        reduced = mapped.reduce_by_key(max, 3).map(partial(_once, flags[1], _kill))
        check("with deaths", await reduced.collect_as_map(), {n: 190 + n for n in range(10)})
    finally:
        for flag in flags:
            flag.unlink(missing_ok=True)


def _once(flag: Path, act: Callable[[], object], record: T) -> T:
    """Act the first time that any task comes here."""
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return record
    act()
    return record


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def abandon(kit: Kit) -> None:
    """Stop iterating in the middle, and leave half of the output unread."""
    results = kit.session.as_completed(lambda n: n * n, range(6))
    async for square in results:
        check("a square", square in {0, 1, 4, 9, 16, 25}, True)
        break
    await results.aclose()  # type: ignore[attr-defined]
    failing = kit.session.parallelize([1, 0], 2).map(lambda n: str(1 // n))
    path = kit.path("unfinished")
    try:
        await failing.save_as_text_file(str(path))
    except TaskError:
        check("finished output", (path / "_SUCCESS").exists(), False)
    finally:
        await asyncio.to_thread(remove, path)


JOBS = (fail, cancel, straggle, die, abandon)
