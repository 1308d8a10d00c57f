"""The shuffles of a run: which are kept for later jobs, for as long as an RDD may read them.

A job that is done with a shuffle offers it to the session (`JobShuffles.left`), which keeps it or
not (`KeptShuffles`). Either way `OwnShuffles` removes it in the end, unless another driver has
taken the run over.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from aflint.aio import to_the_end
from aflint.cost import Usage, storage_usage
from aflint.errors import AflintError, RunInUseError
from aflint.journal import Journal, Past
from aflint.journal.entries import ShuffleClosed, ShuffleMade
from aflint.map_outputs import object_bytes
from aflint.plan.lineage import Lifetime
from aflint.plan.planner import Plan, ShuffleContent, skipped_stages
from aflint.scheduler.loop import ShuffleService
from aflint.scheduler.messages import MOST_LOANS, KeptOutput
from aflint.task import MapStatus, ShuffleHandle, TaskResult

_log = logging.getLogger("aflint.driver")

_CLOSES: Final = 8
"""Shuffles removed at once."""

_LOOK_S: Final = 2.0
"""How often is looked for RDDs that are gone, while there are shuffles that they read. Jobs look as
they begin, too."""

Outputs = Mapping[int, tuple[MapStatus, ...]]
"""By map partition: the statuses of all links of the attempt whose output is to be read."""


@dataclass(slots=True, eq=False)
class KeptShuffle:
    """A shuffle that is whole: every map partition has its output."""

    known: KnownShuffle
    handle: ShuffleHandle
    outputs: Outputs
    # What it takes anywhere, how much of that lies in S3, and since when.
    bytes: int
    s3_bytes: int
    since: float
    # Made ahead for a job that has not read it yet: it stays, whatever its size.
    awaited: bool = False
    # Jobs that hold it now: until they have ended, nothing of it is removed.
    jobs: int = 0
    # All jobs that held it. Each numbers its attempts by this, as no two attempts that write one
    # shuffle may share a number.
    loans: int = 0

    @property
    def given_up(self) -> bool:
        """Whether no other job is lent it, and it goes when no job holds it."""
        return self.known.kept is not self


@dataclass(slots=True, eq=False)
class KnownShuffle:
    """What the session knows of the shuffles of one content, as long as a node may read them."""

    content: ShuffleContent
    # The nodes that may read it, as long as they live.
    readers: set[_Reader] = field(default_factory=set)
    # By map partition, the job in which its accumulators count. They count once, however often jobs
    # have to run the task: side by side, after a loss, or after the shuffle was removed.
    counted: dict[int, str] = field(default_factory=dict)
    # Where it is, if it is kept.
    kept: KeptShuffle | None = None


class _Reader(weakref.ref[Lifetime]):
    """A node that may read a shuffle."""

    __slots__ = ("known",)
    known: KnownShuffle


class KeptShuffles:
    """The kept shuffles of a session. An async context manager: leaving it removes them all.

    At most `most_bytes` are kept; past that, those used least recently go first, but none that a
    job holds. Everything here is called on the event loop. `close` removes a shuffle.
    """

    def __init__(
        self,
        most_bytes: int,
        close: Callable[[ShuffleHandle], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        self._close_shuffle = close
        self._clock = clock
        # By the node whose records they hold.
        self._known: dict[int, list[KnownShuffle]] = {}
        # All that take space, the one used least recently first.
        self._recent: dict[KeptShuffle, None] = {}
        # Readers that were garbage collected, in any thread and at any moment. Nothing but this C
        # function is called then: in a callback in Python a signal's exception would be lost.
        self._gone: deque[_Reader] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._open = False
        self._group = asyncio.TaskGroup()
        self._slots = asyncio.Semaphore(_CLOSES)
        self._removing = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stored = Usage()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        for kept in list(self._recent):
            self.give_up(kept)
        try:
            # A cancellation would cancel the group's tasks, so it waits until they are done.
            await to_the_end(self._idle.wait())
        finally:
            await self._group.__aexit__(None, None, None)

    # ---- jobs

    @contextmanager
    def lent(self, plan: Plan, shuffling: bool = False) -> Iterator[JobShuffles]:
        """Hold the shuffles of a plan that are there already, for as long as its job runs.

        What a job leaves that is `shuffling` is awaited by another, which reads it.
        """
        self._forget_unread()
        held = self._there(plan)
        for kept in held.values():
            kept.jobs += 1
            kept.loans += 1
            # To the end of the dict, which keeps its order: used last, given up last.
            self._recent[kept] = self._recent.pop(kept)
        try:
            yield JobShuffles(self, plan, held, shuffling)
        finally:
            for kept in held.values():
                kept.jobs -= 1
                kept.awaited &= shuffling
                self._remove_unless_used(kept)
            self._shrink()

    def skipped(self, plan: Plan) -> set[int]:
        """Return the stages that a job of this plan would not run."""
        return skipped_stages(plan.stages, self._there(plan))

    def _there(self, plan: Plan) -> dict[int, KeptShuffle]:
        found = {}
        for shuffle, stage in plan.writers.items():
            assert stage.writes is not None
            known = self._find(stage.writes.content)
            if known is not None and known.kept is not None:
                self._add_readers(known, plan.readers[shuffle])
                if len(known.kept.outputs) != stage.tasks:
                    # Its map stage was cut into other tasks, whose output is not to be mixed.
                    self.give_up(known.kept)
                elif known.kept.loans < MOST_LOANS:
                    found[shuffle] = known.kept
                else:  # there are no numbers left for the attempts of another job
                    self.give_up(known.kept)
        return found

    def know(self, content: ShuffleContent, readers: Iterable[Lifetime]) -> KnownShuffle:
        """Return what is known of a shuffle that nodes read, from now on if nothing was."""
        known = self._find(content)
        if known is None:
            known = KnownShuffle(content)
            self._known.setdefault(content.parent, []).append(known)
            if self._timer is None and self._open:
                self._look_again()
        self._add_readers(known, readers)
        return known

    def keep(
        self,
        known: KnownShuffle,
        handle: ShuffleHandle,
        outputs: Outputs,
        size: int,
        awaited: bool = False,
    ) -> bool:
        """Keep a whole shuffle of a job that has ended; returns whether it was taken.

        It is not if it is too large, unless it is `awaited`, or if an equal one is kept already: of
        two jobs that ran side by side, each may have made its own.
        """
        fits = awaited or size <= self._most_bytes
        if not self._open or not fits or known.kept is not None:
            return False
        since = self._clock()
        kept = KeptShuffle(known, handle, outputs, size, _s3_bytes(outputs), since, awaited)
        known.kept = kept
        self._recent[kept] = None
        _log.debug("%s shuffle %d is kept: %d bytes", handle.job, handle.shuffle, size)
        self._shrink()
        return True

    def give_up(self, kept: KeptShuffle) -> None:
        """Lend a shuffle to no other job, and remove it once no job holds it."""
        if not kept.given_up:
            kept.known.kept = None
        self._remove_unless_used(kept)

    def give_up_read_by(self, lifetime: Lifetime) -> None:
        """Give up the shuffles that nothing but this node reads."""
        for kept in list(self._recent):
            # Copies: the garbage collector may take a reader away in the middle.
            if {ref() for ref in list(kept.known.readers)} == {lifetime}:
                self.give_up(kept)

    @property
    def usage(self) -> Usage:
        """The storage that was used in S3 so far."""
        return sum((self._storage(kept) for kept in self._recent), self._stored)

    def _storage(self, kept: KeptShuffle) -> Usage:
        return storage_usage(kept.s3_bytes, self._clock() - kept.since)

    def _find(self, content: ShuffleContent | None) -> KnownShuffle | None:
        if content is None:
            return None
        several = self._known.get(content.parent, ())
        return next((each for each in several if each.content.same_as(content)), None)

    # ---- readers

    def _add_readers(self, known: KnownShuffle, readers: Iterable[Lifetime]) -> None:
        for lifetime in readers:
            reader = _Reader(lifetime, self._gone.append)
            reader.known = known
            known.readers.add(reader)

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._timer = None
        self._forget_unread()
        if self._known:
            self._look_again()

    def _forget_unread(self) -> None:
        """Forget the shuffles whose last reader was garbage collected."""
        while self._gone:
            reader = self._gone.popleft()
            reader.known.readers.discard(reader)
            if not reader.known.readers:  # else a job has come with another reader
                self._forget(reader.known)

    def _forget(self, known: KnownShuffle) -> None:
        several = self._known.get(known.content.parent, [])
        if known in several:
            several.remove(known)
            if not several:
                del self._known[known.content.parent]
            if known.kept is not None:
                self.give_up(known.kept)

    # ---- removal

    def _shrink(self) -> None:
        total = sum(kept.bytes for kept in self._recent)
        for kept in list(self._recent):
            if total <= self._most_bytes:
                return
            # What a job reads, or is about to, stays, even past the bound.
            if not kept.jobs and not kept.awaited:
                total -= kept.bytes
                self.give_up(kept)

    def _remove_unless_used(self, kept: KeptShuffle) -> None:
        if kept.jobs or not kept.given_up or kept not in self._recent:
            return
        # Counted to this moment, and no longer from now on.
        self._stored += self._storage(kept)
        del self._recent[kept]
        self._removing += 1
        self._idle.clear()
        self._group.create_task(self._remove(kept.handle))

    async def _remove(self, handle: ShuffleHandle) -> None:
        try:
            async with self._slots:
                await self._close_shuffle(handle)
            _log.debug("%s shuffle %d is removed", handle.job, handle.shuffle)
        except Exception:  # no job waits for this, and the others' removal must go on
            _log.exception(
                "shuffle %d of job %s was not removed; `aflint clean` removes what it left",
                handle.shuffle,
                handle.job,
            )
        finally:
            self._removing -= 1
            if not self._removing:
                self._idle.set()


@dataclass(slots=True)
class JobShuffles:
    """The shuffles of one job: those that were there before it, and what becomes of its own."""

    session: KeptShuffles
    plan: Plan
    held: Mapping[int, KeptShuffle]
    shuffling: bool = False
    # What the job need not compute again, by the number of the shuffle in its plan.
    kept: dict[int, KeptOutput] = field(init=False)
    _bytes: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.kept = {
            shuffle: KeptOutput(kept.handle, kept.outputs, kept.loans)
            for shuffle, kept in self.held.items()
        }

    def accepted(self, result: TaskResult) -> bool:
        """Take in what an accepted task wrote; returns whether its accumulators count, if they do
        in this job.
        """
        id = result.id
        writes = self.plan.stages[id.stage].writes
        if writes is None or writes.content is None:
            return True
        self._bytes[writes.shuffle] += result.metrics.shuffle_write_bytes
        known = self.session.know(writes.content, self.plan.readers[writes.shuffle])
        return known.counted.setdefault(id.partition, id.job) == id.job

    def left(self, shuffle: int, handle: ShuffleHandle, outputs: Outputs | None) -> bool:
        """Take over a shuffle that the job is done with. False: it is to be removed.

        `outputs` is None if the shuffle is not whole, or may still be read by an attempt that could
        not be stopped: then it is of no use to later jobs.
        """
        held = self.held.get(shuffle)
        if held is not None:
            if outputs is None:
                self.session.give_up(held)
            else:
                held.outputs = _latest(held.outputs, outputs)
            return True
        writes = self.plan.writers[shuffle].writes
        if outputs is None or writes is None or writes.content is None or writes.passing:
            return False
        known = self.session.know(writes.content, self.plan.readers[shuffle])
        size = self._bytes[shuffle]
        return self.session.keep(known, handle, outputs, size, self.shuffling)


def _latest(known: Outputs, others: Outputs) -> Outputs:
    """Return for each map partition the output of the later attempt: another job may have computed
    some of it again in the meantime, because the earlier output was lost.
    """
    return {map: max(known[map], others[map], key=lambda links: links[-1].attempt) for map in known}


def _s3_bytes(outputs: Outputs) -> int:
    """Return how many bytes of a shuffle lie in S3; what is in queues or on disk costs nothing."""
    return sum(
        object_bytes(status)
        for statuses in outputs.values()
        for status in statuses
        if status.object.startswith("s3://")
    )


@dataclass(slots=True)
class Left:
    """What a run could not remove."""

    errors: list[AflintError] = field(default_factory=list)
    shuffles: list[ShuffleHandle] = field(default_factory=list)
    """To be closed again when the session ends: credentials that had expired may be good then."""


@dataclass(frozen=True, slots=True)
class OwnShuffles:
    """Closes the shuffles of a run, but none once another driver has taken the run over.

    What cannot be removed is noted in `left`, and not raised: the jobs of these shuffles have an
    answer, or an error of their own.
    """

    shuffles: ShuffleService
    past: Past
    journal: Journal
    left: Left = field(default_factory=Left)

    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere.

        The journal says so first: a driver that resumes the run from then on does not look for the
        shuffle. If another driver has resumed the run already, the shuffle belongs to that one,
        unless the journal never named it.
        """
        self.journal.record(ShuffleClosed(handle))
        if await self._is_own(handle):
            await self._try_to_close(handle)

    async def close_left(self) -> None:
        """Try once more to close the shuffles that could not be closed."""
        waiting, self.left.shuffles = self.left.shuffles, []
        self.left.errors.clear()
        for handle in waiting:
            await self._try_to_close(handle)

    async def _try_to_close(self, handle: ShuffleHandle) -> None:
        try:
            await self.shuffles.close(handle)
        except AflintError as error:
            self.left.errors.append(error)
            self.left.shuffles.append(handle)

    async def _is_own(self, handle: ShuffleHandle) -> bool:
        if self.past.refused is None:
            with suppress(RunInUseError):
                await self.journal.flush()
                return True
        # An entry that was never written names a shuffle that the other driver cannot know of.
        unwritten = (each for each in self.journal.unwritten if isinstance(each, ShuffleMade))
        return any(each.handle == handle for each in unwritten)
