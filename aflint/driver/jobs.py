"""Runs an action as a job: resolves its lineage, plans it, ships its programs, and schedules it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from aflint.aio import to_the_end
from aflint.codec import closure, frame, records
from aflint.codec.digest import checked_blob
from aflint.cost import US_EAST_1, Usage
from aflint.cost.forecast import Setup
from aflint.cost.prediction import Prediction
from aflint.driver import commit
from aflint.driver.adapting import Adapting
from aflint.driver.failed import FailedTasks
from aflint.driver.foreseen import Foreseen, Predictions
from aflint.driver.programs import Programs
from aflint.driver.recording import JobRecord, identity_of
from aflint.driver.resolve import Choose, Resolver, nodes_to_cache
from aflint.driver.sampling import SAMPLING, Calibration, Sampling
from aflint.driver.shuffles import JobShuffles, KeptShuffles, Outputs
from aflint.errors import (
    AflintError,
    ConfigError,
    RunInUseError,
    SessionError,
)
from aflint.events import Event, PlanInfo, Predicted, QueryEnded, QueryStarted
from aflint.journal import JobIdentity, Journal, Past, PastJob, Unjournaled
from aflint.map_outputs import sizes_of
from aflint.plan.adaptive import Sizes
from aflint.plan.lineage import Node, Shuffled, Union, deep_recursion
from aflint.plan.planner import (
    Exchange,
    Job,
    Plan,
    Stage,
    TaskSettings,
    plan,
    shared_cached,
    shuffled_side,
)
from aflint.plan.program import Count, Program, Sink
from aflint.scheduler.jobs import statuses_of
from aflint.scheduler.loop import RunningJob
from aflint.scheduler.messages import Recovery
from aflint.storage.base import Storage
from aflint.task import Blob, ShuffleHandle, StagedPart, TaskResult
from aflint.variables import apply_updates, noticing_broadcasts


class Answers(Protocol):
    """What an action asks of its job: see `RunningJob`."""

    @property
    def partitions(self) -> int:
        """How many partitions there are to ask for."""
        ...

    async def values(self, partitions: Sequence[int]) -> list[Any]:
        """Compute partitions and return their values, in the order asked."""
        ...

    def stream(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Any]]:
        """Compute partitions and give (partition, value) as each finishes."""
        ...


RunJob = Callable[..., AbstractAsyncContextManager[RunningJob]]
"""`Scheduler.run`."""

_query: ContextVar[int | None] = ContextVar("query", default=None)
"""The query for which lineage is resolved now: jobs that this takes run for it, too."""

_DECODED_ON_THE_LOOP = 1 << 20
_MOST_PREDICTED = 1000


@dataclass(slots=True)
class JobRunner:
    """Runs the jobs of one session.

    `folder`: where in storage the session keeps things. `concurrent_readers`: several tasks may
    read one partition of a shuffle at once. `runs_on_s`: how long attempts may outlive their
    driver. `survives` says whether a shuffle of an earlier driver can still be read.
    `before_pickling` is called before functions are pickled, and `drop` with the files of cached
    partitions that are no longer read. `setup` tells on what jobs run, and `asked` what the driver
    itself has asked of AWS; where `estimated`, nothing is billed. `tuned` gives the settings for a
    job's tasks, and `choose` the partitions of shuffles, where these are left to aflint.
    """

    session: str
    run_job: RunJob
    storage: Storage
    folder: str
    settings: TaskSettings
    programs: Programs
    kept: KeptShuffles
    journal: Journal
    past: Past
    survives: Callable[[ShuffleHandle], Awaitable[bool]]
    before_pickling: Callable[[], None]
    drop: Callable[[Sequence[str]], None]
    emit: Callable[[Event], None]
    concurrent_readers: bool
    runs_on_s: float
    default_parallelism: int | None
    checkpoint_dir: str | None
    estimated: bool
    setup: Callable[[], Setup]
    asked: Callable[[], Usage]
    tuned: Callable[[Sequence[Stage], TaskSettings], AbstractContextManager[TaskSettings]]
    exchange: Exchange = lambda maps, partitions: 1
    choose: Choose | None = None
    failed: FailedTasks | None = None
    """Where a task that failed a job is kept, if it is."""
    closed: bool = False
    region: str = US_EAST_1.region
    """The one at whose prices dollars are told."""
    sampling: Sampling | None = None
    """By which every job is sampled, and not run: see `aflint explain`."""
    # What a trial job found out about the backend, once one was needed.
    calibration: Calibration | None = None
    calibrating: asyncio.Lock = field(default_factory=asyncio.Lock)
    executors: set[str] = field(default_factory=set)
    """The workers, or the functions' environments, that have run tasks."""
    _resolver: Resolver = field(init=False)
    foreseen: Predictions = field(default_factory=Predictions)
    # What was predicted of the jobs over a node, by its id.
    _predicted: dict[int, Predicted] = field(default_factory=dict)
    # The queries whose shuffles are made by jobs of their own.
    _adapted: set[int | None] = field(default_factory=set)
    adapting: Adapting = field(init=False)
    _numbers: itertools.count[int] = field(init=False)
    _queries: itertools.count[int] = field(default_factory=itertools.count)
    # The inputs, by their digests, whose files stand in the journal.
    _listed: set[str] = field(init=False)
    # When a driver that goes on with another one's run began its first job.
    _began: float | None = None
    # How many jobs each asyncio task has under way.
    _asking: Counter[asyncio.Task[Any] | None] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(self.past.numbers + 1)
        self._listed = set(self.past.inputs)
        self._resolver = Resolver(self._values, self.default_parallelism, self.choose)
        self.adapting = Adapting(self._made, self.concurrent_readers)

    @property
    def resolver(self) -> Resolver:
        """What resolves the lineage of jobs: of those that are sampled, apart from the others."""
        sampling = SAMPLING.get() or self.sampling
        return self._resolver if sampling is None else sampling.resolver

    def next_id(self) -> str:
        """Return an id for a job."""
        return f"{self.session}-{next(self._numbers)}"

    @asynccontextmanager
    async def job(
        self, node: Node, sink: Sink, name: str, query: int | None = None
    ) -> AsyncIterator[Answers]:
        """Run a job, for a query or not, for as long as the context is open.

        Raises SessionError in a closed session, and a JournalError where the run is another
        driver's, or another program's.
        """
        if (sampling := SAMPLING.get() or self.sampling) is not None:
            self._check_open()
            async with sampling.job(node, sink, name) as sampled:
                yield sampled
            return
        async with self._started(node, sink, name, query) as (running, *_):
            yield running

    async def adapted(self, node: Node) -> Node:
        """Return lineage whose adaptive shuffles have been made, and are read in portions that fit
        what they hold. Only whole lineage is to be adapted: what an action runs over.
        """
        resolved = await self.resolver.resolve(node)
        if (SAMPLING.get() or self.sampling) is not None:
            return resolved  # nothing is made for what is only predicted
        return await self.adapting.adapted(resolved)

    async def _made(self, shuffles: Sequence[Shuffled]) -> list[Sizes]:
        """Run the map stages of shuffles, as a job of their own, and return what they hold.

        They are kept for the job that reads them, whatever their size.
        """
        name = f"{shuffles[0].name} (shuffling)"
        root = Union(name=name, members=tuple(shuffles))
        async with self._started(root, Count(), name, shuffling=True) as started:
            running, _, known, plan = started
            made = _made_before(known, plan) if known is not None else None
            if made is None:
                made = await running.shuffles()
        return [_sizes(node, made[_number(node, plan)]) for node in shuffles]

    @asynccontextmanager
    async def _started(
        self,
        node: Node,
        sink: Sink,
        name: str,
        query: int | None = None,
        *,
        shuffling: bool = False,
    ) -> AsyncIterator[tuple[RunningJob, JobRecord, PastJob | None, Plan]]:
        """Run a job; the PastJob is what the run had come to in it under an earlier driver.

        One that is `shuffling` has no tasks of its own: it makes what its result stage would read.
        """
        if self.past.refused is not None:
            raise self.past.refused
        self._check_open()
        with self._asked():
            query = _query.get() if query is None else query
            token = _query.set(query)
            try:
                resolved = await self._prepare(node)
            finally:
                _query.reset(token)
            plan, identity = self._plan(resolved, sink, name, shuffling)
            known = self.past.meet(identity, name, alone=len(self._asking) == 1)
            # A job that is met again keeps its id, by which its frames' key and its objects are
            # found.
            id = known.id if known else self.next_id()
            record = JobRecord(self.journal, id, plan.writers, self._listed)
            record.begin(name, identity)
            cached = nodes_to_cache(resolved)
            with (
                self.kept.lent(plan, shuffling) as shuffles,
                self.tuned(plan.stages, self.settings) as settings,
            ):
                # What an earlier driver counted is counted here before any task can run again.
                for links in known.counted.values() if known else ():
                    for each in links:
                        self._accept(each, cached, counts=shuffles.accepted(each))
                recovery = await self._recovery(known, shuffles, plan.stages)
                await self.programs.upload()

                def accept(result: TaskResult, first: bool) -> None:
                    counts = shuffles.accepted(result) and first
                    # Written down first: what counted here must not count again after a resume.
                    record.accepted(result, counts)
                    if first:
                        self._accept(result, cached, counts=counts)

                predicted = self._predicted_of(node, name, query, shuffling)
                try:
                    async with self.run_job(
                        Job(id, name, plan.stages, settings, predicted, query),
                        on_accept=accept,
                        on_open=record.opened,
                        on_left=shuffles.left,
                        recovery=recovery,
                        read=self._read,
                    ) as running:
                        error_type = ""
                        try:
                            yield running, record, known, plan
                        except BaseException as error:
                            error_type = type(error).__name__
                            raise
                        finally:
                            record.closed(error_type)
                            if known is not None:
                                self.past.ended(known, error_type)
                except AflintError as error:
                    if self.failed is not None:
                        await self.failed.keep(error, self.storage)
                    await self._check_own(error)
                    raise

    def _predicted_of(
        self, node: Node, name: str, query: int | None, shuffling: bool
    ) -> Predicted | None:
        """Return what was predicted of a job that begins."""
        if shuffling:
            self._adapted.add(query)
            return None
        found = self._predicted.get(node.id) or self.foreseen.take(name, self.setup())
        # What was predicted of a query includes the shuffles that were jobs of their own.
        return None if query is not None and query in self._adapted else found

    def _check_open(self) -> None:
        if self.closed:
            raise SessionError(
                "the session of this RDD is closed; connect() again and make a new RDD"
            )

    @contextmanager
    def query(self, name: str, plan: PlanInfo) -> Iterator[int]:
        """Tell listeners of a query for as long as the context is open; give its number, for the
        jobs that run for it.
        """
        number, error = next(self._queries), ""
        if SAMPLING.get() or self.sampling:  # nothing of it runs
            yield number
            return
        self.emit(QueryStarted(number, name, plan))
        try:
            yield number
        except GeneratorExit:  # whoever reads its rows wants no more
            raise
        except BaseException as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            self.emit(QueryEnded(number, error))

    async def _check_own(self, error: AflintError) -> None:
        """Raise RunInUseError where a job failed because the run is another driver's now, who
        may have removed what it had.
        """
        try:
            await self.journal.check()
        except RunInUseError as taken_over:
            raise taken_over from error
        except AflintError:
            return  # the journal cannot be read either: the job's own error stands

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Count the jobs under way of each asyncio task. With one task they have an order, by which
        a resumed program meets its jobs again.
        """
        task = asyncio.current_task()
        self._asking[task] += 1
        try:
            yield
        finally:
            self._asking[task] -= 1
            if not self._asking[task]:
                del self._asking[task]

    async def _recovery(
        self, known: PastJob | None, shuffles: JobShuffles, stages: Sequence[Stage]
    ) -> Recovery:
        """Return what there is of a job already: the shuffles that earlier jobs left, and what is
        left of the job itself where a driver before this one had begun it.
        """
        if known is None:
            return Recovery(
                self.past.generation, readers_s=self._dead_readers_s(), kept=shuffles.kept
            )
        handles = {}
        for shuffle, handle in known.handles.items():
            if shuffle not in shuffles.kept and await self.survives(handle):
                handles[shuffle] = handle
        # What a later attempt of a map replaced must not be read: its frames may be gone.
        # Nor are shares of skewed partitions: what is a share is decided anew.
        usable = {
            p: links
            for p, links in known.results.items()
            if p not in known.outdated and p[1] < stages[p[0]].tasks
        }
        return Recovery(
            self.past.generation,
            handles,
            usable,
            frozenset(known.counted),
            self._dead_readers_s(),
            shuffles.kept,
        )

    def _dead_readers_s(self) -> float:
        """Return for how long attempts of a dead driver may still read what it left."""
        if not self.past.generation:
            return 0.0
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        return max(0.0, self._began + self.runs_on_s - now)

    async def _prepare(self, node: Node) -> Node:
        """Return lineage to plan.

        Each partition of a product's sides is read by many tasks. Where only one task at a time can
        read a shuffle, a side that comes out of one is computed and cached first. So is what is to
        be cached and more than one stage needs: each would compute it, as all of a job's stages are
        planned before any has run.
        """
        resolved = await self.resolver.resolve(node)
        while not self.concurrent_readers and (side := shuffled_side(resolved)) is not None:
            resolved = await self._cache(replace(side, persisted=True, in_memory=False), resolved)
        done: set[int] = set()
        while nodes_to_cache(resolved) and (shared := shared_cached(resolved, done)) is not None:
            done.add(shared.id)
            resolved = await self._cache(shared, resolved)
        return resolved

    async def _cache(self, node: Node, lineage: Node) -> Node:
        """Compute a node that is to be cached, and return lineage that reads what was cached."""
        async with self.job(node, Count(), f"{node.name} (caching)") as job:
            await job.values(range(job.partitions))
        return await self.resolver.resolve(lineage)

    def _plan(
        self, resolved: Node, sink: Sink, name: str, shuffling: bool
    ) -> tuple[Plan, JobIdentity]:
        """Return the plan of a job, and what it computes, where a journal is kept."""
        fingerprints: dict[str, str] = {}

        def pack(program: Program, name: str, tasks: int) -> Blob:
            blob = self.programs.pack(program, name, tasks)
            fingerprints[blob.digest] = self.programs.fingerprint(program, blob)
            return blob

        # User modules that were imported since are to travel by value.
        self.before_pickling()
        with noticing_broadcasts(), deep_recursion():
            planned = plan(
                resolved,
                sink,
                name,
                pack=pack,
                store_folder=f"{self.folder}/stored",
                checkpoint_folder=f"{self.checkpoint_dir}/{self.session}",
                exchange=self.exchange,
            )
        if shuffling:
            planned = planned.without_result()
        if isinstance(self.journal, Unjournaled):
            return planned, JobIdentity()
        return planned, identity_of(planned.stages, fingerprints)

    def _accept(self, result: TaskResult, cached: dict[int, Node], *, counts: bool) -> None:
        if counts and result.accumulators is not None:
            apply_updates(closure.loads(result.accumulators))
        self.resolver.take_in(result, cached)
        self.executors.add(result.executor)

    async def _read(self, result: TaskResult) -> Any:
        """Return the value that a task of the result stage came to."""
        blob = result.value
        if blob is None:
            raise SessionError(f"task {result.id} of the result stage returned no value")
        data = blob.data
        if data is None:
            assert blob.location is not None
            data = await self.storage.read(blob.location)
        if len(data) > _DECODED_ON_THE_LOOP:  # the loop would stand still meanwhile
            return await asyncio.to_thread(_decode, data, blob)
        return _decode(data, blob)

    # ---- what RDDs ask

    async def _values(self, node: Node, sink: Any) -> list[Any]:
        async with self.job(node, sink, f"{node.name} (counting)") as job:
            return await job.values(range(job.partitions))

    async def explain(self, node: Node) -> str:
        """Describe the stages of a job that counts the records of a node, and which it skips."""
        resolved = await self.resolver.resolve(node)
        with noticing_broadcasts(), deep_recursion():
            planned = plan(
                resolved,
                Count(),
                node.name,
                pack=lambda program, name, tasks: Blob("", 0, b""),
                store_folder="",
                checkpoint_folder="",
                exchange=self.exchange,
            )
        skipped = self.kept.skipped(planned)
        return "\n".join(_describe(stage, stage.id in skipped) for stage in planned.stages)

    async def predict(self, node: Node) -> Prediction:
        """Return what a job that counts the records of a node would cost and take, by a sample run
        over a part of each input. Raises what a run would.
        """

        async def count() -> None:
            async with self.job(node, Count(), node.name) as job:
                await job.values(range(job.partitions))

        found = await self._sampled(count)
        last = found.jobs[-1]
        while len(self._predicted) >= _MOST_PREDICTED:
            del self._predicted[next(iter(self._predicted))]
        self._predicted[node.id] = Predicted(last.dollars.likely, last.seconds.likely)
        return found

    async def sample(self, program: Callable[[], Awaitable[Any]]) -> Prediction:
        """Return what the jobs of a program would cost and take, which run over a sample.

        It is told beside their bills, should they be run.
        """
        found = await self._sampled(program)
        self.foreseen.add(map(Foreseen.of, found.jobs))
        return found

    async def _sampled(self, program: Callable[[], Awaitable[Any]]) -> Prediction:
        sampling = Sampling(self, counts=False)
        token = SAMPLING.set(sampling)
        try:
            await program()
        finally:
            SAMPLING.reset(token)
        return Prediction(tuple(sampling.predicted))

    async def save(
        self,
        node: Node,
        sink: Sink,
        target: str,
        mode: commit.Mode = "new",
        query: int | None = None,
        within: str = "",
    ) -> None:
        """Run a saving job, each of whose tasks comes to a StagedPart or a list of them, and move
        what its accepted attempts wrote into place. An overwrite replaces what is `within` a folder
        of the target.

        Where the run had begun it, but as a job that is not met again (what is cached may be other
        than it was, with several jobs at once), what that left is removed; if it was committed, it
        stays.
        """
        if (sampling := SAMPLING.get() or self.sampling) is not None:
            await sampling.save(node, sink, target, mode)
            return
        name = f"save to {target}"
        begun = self.past.saving(name)
        if not begun and mode == "new":
            await commit.prepare(self.storage, target)
        record: JobRecord | None = None
        parts: list[StagedPart] = []
        try:
            async with self._started(node, sink, name, query) as (job, record, known, _):
                if known is not None and known.committed:
                    return
                if begun and known is None:
                    if begun.committed:
                        return
                    await commit.abort(self.storage, target, mode, begun.id)
                # A driver that resumes must know of the save before anything of it lies there.
                await self.journal.flush()
                for value in await job.values(range(job.partitions)):
                    parts += value if isinstance(value, list) else [value]
                await commit.commit(self.storage, target, parts, mode, record.job, within)
                record.committed()
        except BaseException:
            if self.past.refused is None:  # else what is there is another driver's, or program's
                await to_the_end(self._abort(record, target, mode, parts))
            raise

    async def _abort(
        self, record: JobRecord | None, target: str, mode: commit.Mode, parts: list[StagedPart]
    ) -> None:
        """Remove what a save left, once the journal says so: a driver that resumes the run must not
        count on it.
        """
        if record is not None:
            record.aborted()
            await self.journal.flush()
            await commit.abort(self.storage, target, mode, record.job, parts)
        elif mode == "new":
            await commit.abort(self.storage, target)

    def forget(self, node: Node) -> None:
        """Drop the cached partitions of a node, but for a checkpoint, and the shuffles that only it
        reads.
        """
        if not self.resolver.is_checkpointed(node):
            for lifetime, files in self.resolver.forget(node):
                self.kept.give_up_read_by(lifetime)
                self.drop(files)

    def check_checkpoint_dir(self) -> None:
        """Raise ConfigError where there is no place for checkpoints."""
        if self.checkpoint_dir is None:
            raise ConfigError(
                "checkpoint() needs a place to write to: set `checkpoint_dir` in the "
                "configuration, or connect(checkpoint_dir=...)"
            )


def _made_before(known: PastJob, plan: Plan) -> Mapping[int, Outputs] | None:
    """Return what an earlier driver found shuffles to hold that are gone by now: what read them may
    have its answer, and then they are not made again.
    """
    made: dict[int, Outputs] = {}
    for parent in plan.stages[-1].parents:
        stage = plan.stages[parent]
        places = [(stage.id, partition) for partition in range(stage.tasks)]
        assert stage.writes is not None
        if stage.writes.shuffle in known.handles or not all(p in known.results for p in places):
            return None
        made[stage.writes.shuffle] = {p[1]: statuses_of(known.results[p]) for p in places}
    return made


def _number(node: Node, plan: Plan) -> int:
    """Return the number of the shuffle that a node reads."""
    return next(number for number, readers in plan.readers.items() if node.lifetime in readers)


def _sizes(node: Shuffled, outputs: Outputs) -> Sizes:
    by_map = []
    for map in sorted(outputs):
        links = [sizes_of(status) for status in outputs[map]]
        # Of a chained task each link has written some.
        one = links[0] if len(links) == 1 else [sum(each) for each in zip(*links, strict=True)]
        by_map.append(one)
    return Sizes(node.target.partitions, tuple(by_map))


def _decode(data: bytes, blob: Blob) -> Any:
    if blob.data is None:
        checked_blob(data, blob)
    return records.decode(frame.decompress(data))[0]


def _describe(stage: Stage, skipped: bool) -> str:
    role = "result" if stage.writes is None else f"shuffle {stage.writes.shuffle}"
    after = f", after stage {', '.join(map(str, stage.parents))}" if stage.parents else ""
    into = "" if stage.writes is None else f" into {stage.writes.partitions} partitions"
    skip = ", skipped: its output is kept" if skipped else ""
    return f"stage {stage.id} ({role}): {stage.info.name}: {stage.tasks} tasks{into}{after}{skip}"
