"""Turns actions into jobs: resolves lineage, plans it, ships programs, runs it on a scheduler."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from aflint.aio import to_the_end, together
from aflint.codec import closure, frame, records
from aflint.codec.digest import checked_blob, digest_of
from aflint.driver import commit
from aflint.driver.branches import separated
from aflint.driver.deep import deep_recursion
from aflint.driver.kept import JobShuffles, KeptShuffles
from aflint.driver.recording import JobRecord, identity_of
from aflint.driver.resolve import Resolver
from aflint.driver.runner import Runner
from aflint.errors import (
    AflintError,
    ConfigError,
    RunInUseError,
    SessionError,
)
from aflint.journal import JobIdentity, Journal, Past, PastJob, Unjournaled
from aflint.journal.fingerprint import fingerprint
from aflint.plan.lineage import Lifetime, Node, Source, Unresolved
from aflint.plan.planner import (
    Job,
    Plan,
    Stage,
    TaskSettings,
    partition_count,
    plan,
    shuffled_side,
)
from aflint.plan.program import Count, Program, Sink
from aflint.scheduler.loop import RunningJob
from aflint.scheduler.recovery import Recovery
from aflint.storage.base import Storage
from aflint.task import Blob, ShuffleHandle, TaskResult
from aflint.variables import apply_updates, noticing_broadcasts

RunJob = Callable[..., AbstractAsyncContextManager[RunningJob]]
"""`Scheduler.run`."""

_DECODED_ON_THE_LOOP = 1 << 20


@dataclass(frozen=True, slots=True)
class JobDefaults:
    """What all jobs of a session have in common.

    `inline_bytes`: larger programs and data go through storage. `concurrent_readers`: several tasks
    may read one partition of a shuffle at once. `folder`: where in storage the session keeps
    things. `before_pickling` is called before functions are pickled. `runs_on_s`: for so long
    attempts may outlive their driver.
    """

    settings: TaskSettings
    folder: str
    inline_bytes: int
    concurrent_readers: bool
    default_parallelism: int | None
    checkpoint_dir: str | None
    before_pickling: Callable[[], None]
    runs_on_s: float = 0.0


@dataclass(slots=True)
class JobRunner(Runner):
    """Runs the jobs of one session."""

    session: str
    run_job: RunJob
    storage: Storage
    defaults: JobDefaults
    survives: Callable[[ShuffleHandle], Awaitable[bool]]
    kept: KeptShuffles
    journal: Journal = field(default_factory=Unjournaled)
    past: Past = field(default_factory=lambda: Past(""))
    closed: bool = False
    wrap: Callable[[Program, Program, int], Any] | None = None
    """Given a stage's program, the program as it is packed, and how many tasks run it, returns what
    travels in place of the packed one, and is unpickled as it.
    """
    _numbers: itertools.count[int] = field(init=False)
    _listed: set[str] = field(init=False)
    _began: float | None = None
    _asking: Counter[asyncio.Task[Any] | None] = field(default_factory=Counter)
    _stored: dict[int, Source] = field(default_factory=dict)
    _collecting: dict[int, dict[int, Any]] = field(default_factory=dict)
    # What unresolved nodes resolved to, for as long as those live.
    _answers: WeakKeyDictionary[Lifetime, Node] = field(default_factory=WeakKeyDictionary)
    _answering: WeakKeyDictionary[Lifetime, asyncio.Lock] = field(default_factory=WeakKeyDictionary)
    _uploads: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    _uploaded: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(self.past.numbers + 1)
        self._listed = set(self.past.inputs)

    # ---- jobs

    @asynccontextmanager
    async def job(self, node: Node, sink: Sink, name: str) -> AsyncIterator[_Job]:
        """Run a job for as long as the context is open.

        Raises SessionError in a closed session, and a JournalError where the run is another
        driver's, or another program's.
        """
        if self.past.refused is not None:
            raise self.past.refused
        if self.closed:
            raise SessionError(
                "the session of this RDD is closed; connect() again and make the RDD anew"
            )
        with self._asked():
            resolved = await self._prepare(node)
            plan, identity = self._plan(resolved, sink, name)
            known = self.past.meet(identity, name, alone=len(self._asking) == 1)
            id = known.id if known else f"{self.session}-{next(self._numbers)}"
            record = JobRecord(self.journal, id, plan.writers, self._listed)
            record.begin(name, identity)
            cached = _cached_nodes(resolved)
            with self.kept.lent(plan) as shuffles:
                for links in known.counted.values() if known else ():
                    for each in links:
                        self._accept(each, cached, counts=shuffles.accepted(each))
                recovery = await self._recovery(known, shuffles)
                await self._upload()

                def accept(result: TaskResult, first: bool) -> None:
                    counts = shuffles.accepted(result) and first
                    record.accepted(result, counts)
                    if first:
                        self._accept(result, cached, counts=counts)

                try:
                    async with self.run_job(
                        Job(id, name, plan.stages, self.defaults.settings),
                        on_accept=accept,
                        on_open=record.opened,
                        on_left=shuffles.left,
                        recovery=recovery,
                    ) as running:
                        try:
                            yield _Job(running, self.storage, record, known)
                        finally:
                            record.closed()
                except AflintError as error:
                    await self._check_own(error)
                    raise

    async def _check_own(self, error: AflintError) -> None:
        """Raise RunInUseError where a job failed because the run is another driver's now, who
        may have removed what it had.
        """
        try:
            await self.journal.check()
        except RunInUseError as taken_over:
            raise taken_over from error
        except AflintError:
            return  # nobody knows: the job failed as it did

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Count who has a job under way: those of one asyncio task come one after the other."""
        task = asyncio.current_task()
        self._asking[task] += 1
        try:
            yield
        finally:
            self._asking[task] -= 1
            if not self._asking[task]:
                del self._asking[task]

    async def _recovery(self, known: PastJob | None, shuffles: JobShuffles) -> Recovery:
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
        usable = {p: links for p, links in known.results.items() if p not in known.outdated}
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
        return max(0.0, self._began + self.defaults.runs_on_s - now)

    async def _prepare(self, node: Node) -> Node:
        """Return lineage to plan.

        Each partition of a product's sides is read by many tasks. Where only one task at a time can
        read a shuffle, a side that comes out of one is computed and cached first.
        """
        resolved = await self.resolve(node)
        while (
            not self.defaults.concurrent_readers and (side := shuffled_side(resolved)) is not None
        ):
            kept = replace(side, persisted=True)
            async with self.job(kept, Count(), f"{side.name} (caching)") as job:
                await job.values(range(job.partitions))
            resolved = await self.resolve(resolved)
        return resolved

    def _plan(self, resolved: Node, sink: Sink, name: str) -> tuple[Plan, JobIdentity]:
        """Return the plan of a job, and what it computes, where a journal is kept."""
        folder = self.defaults.folder
        programs: dict[str, str] = {}

        def pack(program: Program, name: str, tasks: int) -> Blob:
            blob = self._pack(program, name, tasks)
            programs[blob.digest] = self.fingerprint(program, blob)
            return blob

        self.defaults.before_pickling()
        with noticing_broadcasts(), deep_recursion():
            planned = plan(
                resolved,
                sink,
                name,
                pack=pack,
                store_folder=f"{folder}/stored",
                checkpoint_folder=f"{self.defaults.checkpoint_dir}/{self.session}",
            )
        if isinstance(self.journal, Unjournaled):
            return planned, JobIdentity()
        return planned, identity_of(planned.stages, programs)

    def fingerprint(self, value: Any, blob: Blob) -> str:
        """Return the fingerprint of a program or a broadcast that is packed in a blob; empty where
        no journal is kept.
        """
        if isinstance(self.journal, Unjournaled):
            return ""
        try:
            return fingerprint(value)
        except Exception:  # taking an object apart runs the user's code; pickling it went well
            return blob.digest

    def _pack(self, program: Program, name: str, tasks: int) -> Blob:
        carried: Any = separated(program, name)
        if self.wrap is not None:
            carried = self.wrap(program, carried, tasks)
        data = frame.compress(closure.dumps(carried, name))
        return self.blob(data)

    def blob(self, data: bytes) -> Blob:
        """Return bytes as a blob, to be uploaded with the next job where they are many."""
        digest = digest_of(data)
        if len(data) <= self.defaults.inline_bytes:
            return Blob(digest, len(data), data)
        return self.stored_blob(data)

    def stored_blob(self, data: bytes) -> Blob:
        """Return bytes as a blob that lies in storage from the next job on."""
        digest = digest_of(data)
        location = f"{self.defaults.folder}/blobs/{digest}"
        if digest not in self._uploaded:
            self._uploads[digest] = (location, data)
        return Blob(digest, len(data), location=location)

    async def _upload(self) -> None:
        waiting, self._uploads = self._uploads, {}
        try:
            writes = (self.storage.write(location, data) for location, data in waiting.values())
            await together(writes)
        except BaseException:
            self._uploads.update(waiting)
            raise
        self._uploaded.update(waiting)

    def _accept(self, result: TaskResult, cached: dict[int, Node], *, counts: bool) -> None:
        if counts and result.accumulators is not None:
            apply_updates(closure.loads(result.accumulators))
        for id, partition, split in result.stored:
            parts = self._collecting.setdefault(id, {})
            parts[partition] = split
            node = cached.get(id)
            if node is not None and len(parts) == partition_count(node):
                splits = tuple(parts[place] for place in range(len(parts)))
                self._stored[id] = Source(
                    id=id, name=node.name, splits=splits, placed_by=node.partitioner
                )
                del self._collecting[id]

    # ---- what RDDs ask

    async def resolve(self, node: Node) -> Node:
        """Return lineage that can be planned."""
        return await Resolver(
            self._values,
            self.defaults.default_parallelism,
            self._stored,
            self._answers,
            self._answering,
        ).resolve(node)

    async def _values(self, node: Node, sink: Any) -> list[Any]:
        async with self.job(node, sink, f"{node.name} (counting)") as job:
            return await job.values(range(job.partitions))

    async def partition_count(self, node: Node) -> int:
        """Return how many partitions a node has."""
        return partition_count(await self.resolve(node))

    async def default_partitions(self, node: Node) -> int:
        """Return how many partitions a shuffle of a node gets where none are asked for."""
        resolved = await self.resolve(node)
        parallelism = self.defaults.default_parallelism
        return parallelism or max(1, partition_count(resolved))

    async def explain(self, node: Node) -> str:
        """Describe the stages of a job that counts the records of a node, and which it skips."""
        resolved = await self.resolve(node)
        with noticing_broadcasts(), deep_recursion():
            planned = plan(
                resolved,
                Count(),
                node.name,
                pack=lambda program, name, tasks: Blob("", 0, b""),
                store_folder="",
                checkpoint_folder="",
            )
        skipped = self.kept.skipped(planned)
        return "\n".join(_describe(stage, stage.id in skipped) for stage in planned.stages)

    async def save(self, node: Node, sink: Sink, target: str) -> None:
        """Run a saving job and move what its accepted attempts wrote into place.

        Where the run had begun it, but as a job that is not met again (what is cached may be other
        than it was, with several jobs at once), what that left is removed; if it was committed, it
        stays.
        """
        name = f"save to {target}"
        begun = self.past.saving(name)
        if not begun:
            await commit.prepare(self.storage, target)
        record: JobRecord | None = None
        try:
            async with self.job(node, sink, name) as job:
                record = job.record
                if job.committed:
                    return
                if begun and not job.resumed:
                    if begun.committed:
                        return
                    await commit.abort(self.storage, target)
                await self.journal.flush()
                parts = await job.values(range(job.partitions))
                await commit.commit(self.storage, target, parts)
                job.record.committed()
        except BaseException:
            if self.past.refused is None:  # else what is there is another driver's, or program's
                await to_the_end(self._abort(record, target))
            raise

    async def _abort(self, record: JobRecord | None, target: str) -> None:
        """Remove what a save left, once nobody who resumes the run will count on it."""
        if record is not None:
            record.aborted()
            await self.journal.flush()
        await commit.abort(self.storage, target)

    def forget(self, node: Node) -> None:
        """Drop the cached partitions of a node, but for a checkpoint, and the shuffles that only it
        reads.
        """
        if self.is_checkpointed(node):
            return
        for each in filter(None, (node, self._answers.get(node.lifetime))):
            self._stored.pop(each.id, None)
            self._collecting.pop(each.id, None)
            self.kept.give_up_read_by(each.lifetime)

    def check_checkpoint_dir(self) -> None:
        """Raise ConfigError where there is no place for checkpoints."""
        if self.defaults.checkpoint_dir is None:
            raise ConfigError(
                "checkpoint() needs a place to write to: set `checkpoint_dir` in the "
                "configuration, or connect(checkpoint_dir=...)"
            )

    def is_checkpointed(self, node: Node) -> bool:
        """Say whether the checkpoint of a node has been written."""
        if isinstance(node, Unresolved) and node.lifetime in self._answers:
            node = self._answers[node.lifetime]
        return node.checkpointed and node.id in self._stored


@dataclass(slots=True)
class _Job:
    """An ActionJob over a scheduler's job."""

    running: RunningJob
    storage: Storage
    record: JobRecord
    known: PastJob | None = None

    @property
    def resumed(self) -> bool:
        """Whether a driver before this one had begun the job."""
        return self.known is not None

    @property
    def committed(self) -> bool:
        """Whether a driver before this one had put all that the job saves into its place."""
        return self.known is not None and self.known.committed

    @property
    def partitions(self) -> int:
        """How many partitions there are to ask for."""
        return self.running.job.result_stage.tasks

    async def values(self, partitions: Sequence[int]) -> list[Any]:
        """Compute partitions and return their values, in the order asked."""
        found = {partition: value async for partition, value in self.stream(partitions)}
        return [found[partition] for partition in partitions]

    async def stream(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Any]]:
        """Compute partitions and give (partition, value) as each finishes."""
        async for partition, result in self.running.results(partitions):
            yield partition, await self._value(result)

    async def _value(self, result: TaskResult) -> Any:
        blob = result.value
        if blob is None:
            raise SessionError(f"task {result.id} of the result stage returned no value")
        data = blob.data
        if data is None:
            assert blob.location is not None
            data = await self.storage.read(blob.location)
        if len(data) > _DECODED_ON_THE_LOOP:
            return await asyncio.to_thread(_decode, data, blob)
        return _decode(data, blob)


def _decode(data: bytes, blob: Blob) -> Any:
    if blob.data is None:
        checked_blob(data, blob)
    return records.decode(frame.decompress(data))[0]


def _cached_nodes(root: Node) -> dict[int, Node]:
    """Return the nodes of a resolved lineage whose partitions are to be cached."""
    cached: dict[int, Node] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.id not in seen:
            seen.add(node.id)
            if node.persisted or node.checkpointed:
                cached[node.id] = node
            waiting.extend(node.parents)
    return cached


def _describe(stage: Stage, skipped: bool) -> str:
    role = "result" if stage.writes is None else f"shuffle {stage.writes.shuffle}"
    after = f", after stage {', '.join(map(str, stage.parents))}" if stage.parents else ""
    into = "" if stage.writes is None else f" into {stage.writes.partitions} partitions"
    skip = ", skipped: its output is kept" if skipped else ""
    return f"stage {stage.id} ({role}): {stage.name}: {stage.tasks} tasks{into}{after}{skip}"
