"""Runs jobs over a part of their input, to predict what the whole of it would cost and take.

A sampled job is a job like any other: the same program, planned over a lineage that has fewer
partitions: one of each source, and as many of each shuffle as the whole has, up to a bound. What a
job comes to is the sample's own answer, as often as there are partitions: a program that goes on
with it meets about what it will meet.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from aflint.cost import Usage, prices_of
from aflint.cost.forecast import Setup, StageSample
from aflint.cost.prediction import PredictedJob
from aflint.cost.rates import RATES
from aflint.driver import commit
from aflint.driver.report import sum_metrics, task_dollars
from aflint.driver.resolve import Resolver, nodes_to_cache
from aflint.driver.weights import FILES, size_of, weight
from aflint.errors import InvalidArgumentError
from aflint.plan.lineage import (
    AlignedUnion,
    Cartesian,
    Coalesced,
    CoGrouped,
    HashPartitioner,
    Lifetime,
    Mapped,
    Node,
    Partitioner,
    PerRecord,
    RangePartitioner,
    RecordStep,
    Shuffled,
    Source,
    Union,
    Zipped,
    deep_recursion,
)
from aflint.plan.planner import Job, Stage, partition_count, plan
from aflint.plan.program import Count, Program, Sink, WriteShuffle
from aflint.scheduler.loop import RunningJob
from aflint.scheduler.messages import Recovery
from aflint.task import (
    Blob,
    RangeSplit,
    TaskMetrics,
    TaskResult,
    TextSplit,
)
from aflint.variables import noticing_broadcasts

if TYPE_CHECKING:
    from aflint.driver.jobs import JobRunner

Metrics = dict[int, list[TaskMetrics]]
"""Of the tasks of each stage."""

_LONG_S: Final = 2.0
_MOST_REPEATS: Final = 4
"""A sample is run again, so often at most, until all runs together took so long."""

_TRIALS: Final = 3
"""Of each trial job, whose median counts."""
_TRIAL_RECORDS: Final = 64
_TRIAL_PARTITIONS: Final = 16

_MOST_PARTITIONS: Final = 32
"""Of a shuffle in a sample: the time for further ones is taken from the trial."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a backend takes whatever its tasks do, found out by trial jobs.

    `cold_s` is what a new environment is billed before its first task, `fixed_cpu_s` what a task
    of next to nothing computes, and `latency_s` how much longer it takes than is billed. For each
    request to write or read a shuffle, a task is billed `write_s` or `read_s`.
    """

    cold_s: float
    fixed_cpu_s: float
    latency_s: float
    write_s: float
    read_s: float


class Sampling:
    """What a program, or one question, has sampled so far.

    `counts`: whether accumulators count. `tell` is called with each job that is predicted.
    """

    def __init__(
        self,
        runner: JobRunner,
        *,
        counts: bool,
        tell: Callable[[PredictedJob], None] | None = None,
    ) -> None:
        prices_of(runner.region)  # raises where what is predicted could not be told
        self.resolver = Resolver(runner._values, runner.default_parallelism, runner.choose)
        self.resolver.know(runner.resolver)
        self.predicted: list[PredictedJob] = []
        self._runner = runner
        self._counts = counts
        self._tell = tell
        # For each node its cut one, as long as this lives: what a sampled job caches, and the
        # shuffles that it leaves, are there for the next one, as they will be in the run.
        self._cut: dict[tuple[int, bool], Node] = {}
        self._whole: dict[int, Node] = {}
        self._parts: dict[int, int] = {}
        # Of shuffles that an earlier job wrote, by the node that they hold.
        self._written: dict[int, StageSample] = {}

    @asynccontextmanager
    async def job(self, node: Node, sink: Sink, name: str) -> AsyncIterator[SampledJob]:
        """Run a job over a part of its input, and predict the whole one once it is over."""
        runner = self._runner
        calibration = await self._calibrated()
        whole = await runner._prepare(node)
        with deep_recursion():
            cut = self._small(whole)
        sinks: list[Sink] = []

        def note(program: Program, name: str, tasks: int) -> Blob:
            sinks.append(program.sink)
            return Blob("", 0, b"")

        with noticing_broadcasts(), deep_recursion():
            planned = plan(whole, sink, name, pack=note, store_folder="")
        runner.before_pickling()
        with noticing_broadcasts(), deep_recursion():
            small = plan(
                cut,
                sink,
                name,
                pack=runner.programs.pack,
                store_folder=f"{runner.folder}/stored",
            )
        if len(small.stages) != len(planned.stages):
            raise InvalidArgumentError(f"{name} cannot be sampled: it is planned otherwise so")
        cached = nodes_to_cache(cut)
        metrics: Metrics = {stage.id: [] for stage in small.stages}
        executors: set[str] = set()
        loop = asyncio.get_running_loop()
        asked_before = runner.asked()
        began = loop.time()
        with runner.kept.lent(small) as shuffles:
            skipped = runner.kept.skipped(small if self._counts else planned)
            await runner.programs.upload()

            def accept(result: TaskResult, first: bool) -> None:
                counts = shuffles.accepted(result) and first and self._counts
                metrics[result.id.stage].append(result.metrics)
                executors.add(result.executor)
                if first:
                    runner._accept(result, cached, counts=counts)
                    self._take_in(result)

            id = runner.next_id()
            async with runner.run_job(
                Job(id, f"{name} (sample)", small.stages, runner.settings),
                on_accept=accept,
                on_left=shuffles.left,
                recovery=Recovery(kept=shuffles.kept),
                read=runner._read,
            ) as running:
                sampled = SampledJob(running, planned.stages[-1].tasks)
                yield sampled
        took, asked = loop.time() - began, runner.asked() - asked_before
        runner.executors |= executors
        runs = [metrics, *await self._again(small.stages, name, sampled.computed, metrics)]
        combining = {
            stage.id
            for stage in small.stages
            if isinstance(written := sinks[stage.id], WriteShuffle)
            and written.aggregator is not None
            and not stage.parents
            and len(metrics[stage.id]) == 1
        }
        halves = await self._halved(small.stages, name, sampled.computed, combining)
        samples = [
            self._sample_of(
                stage,
                part,
                sinks[stage.id],
                _median_run([run[stage.id] for run in runs if metrics[stage.id]]),
                skipped,
                calibration,
                halves.get(stage.id),
            )
            for stage, part in zip(planned.stages, small.stages, strict=True)
        ]
        if len(sampled.asked) < sampled.partitions:  # as take() does
            samples[-1] = replace(samples[-1], tasks=len(sampled.asked))
        setup = replace(
            runner.setup(),
            warm=len(runner.executors),
            cold_s=calibration.cold_s,
            latency_s=calibration.latency_s,
            write_s=calibration.write_s,
            read_s=calibration.read_s,
        )
        here = PredictedJob(name, tuple(samples), setup)
        predicted = replace(
            here,
            beside_s=max(0.0, took - _busy(metrics.values(), setup)),
            asked=_driver_usage(asked, small.stages, setup),
            sample_usd=sum(
                task_dollars(each, setup.memory_mb, estimate=runner.estimated, prices=setup.prices)
                for run in runs
                for several in run.values()
                for each in several
            ),
        )
        self.predicted.append(predicted)
        if self._tell is not None:
            self._tell(predicted)

    async def _again(
        self, stages: tuple[Stage, ...], name: str, partitions: Sequence[int], first: Metrics
    ) -> list[Metrics]:
        """Run a sample that was short a few times more: one run of it says little."""
        runner, runs = self._runner, list[Metrics]()
        spent = _seconds_of(first)
        while partitions and spent < _LONG_S and len(runs) < _MOST_REPEATS:
            run: Metrics = {stage.id: [] for stage in stages}

            def accept(result: TaskResult, first: bool, run: Metrics = run) -> None:
                run[result.id.stage].append(result.metrics)
                runner.executors.add(result.executor)

            job = Job(runner.next_id(), f"{name} (sample again)", stages, runner.settings)
            async with runner.run_job(job, on_accept=accept) as running:
                async for _ in running.results(partitions):
                    pass
            spent += _seconds_of(run)
            runs.append(run)
        return runs

    async def _halved(
        self,
        stages: tuple[Stage, ...],
        name: str,
        partitions: Sequence[int],
        combining: set[int],
    ) -> dict[int, float]:
        """Return how many records map stages write that combine by key, out of half as much input:
        that tells whether there are as many for any input, one for each key.
        """
        halves = {
            stage.id: replace(
                stage,
                inputs=tuple(
                    tuple(replace(each, split=_half(each.split)) for each in inputs)
                    for inputs in stage.inputs
                ),
            )
            for stage in stages
            if stage.id in combining
        }
        cut = {id for id, half in halves.items() if weight(half) < 0.75 * weight(stages[id])}
        found: dict[int, float] = {}
        if not cut or not partitions:
            return found

        def accept(result: TaskResult, first: bool) -> None:
            self._runner.executors.add(result.executor)
            if first and result.id.stage in cut:
                found[result.id.stage] = float(result.metrics.shuffle_write_records)

        smaller = tuple(halves.get(stage.id, stage) for stage in stages)
        id = self._runner.next_id()
        job = Job(id, f"{name} (half the sample)", smaller, self._runner.settings)
        async with self._runner.run_job(job, on_accept=accept) as running:
            async for _ in running.results(partitions):
                pass
        return found

    async def save(self, node: Node, sink: Sink, target: str, mode: commit.Mode) -> None:
        """Run a saving job over a part of its input, and remove what it wrote."""
        storage = self._runner.storage
        if mode == "new":
            await commit.prepare(storage, target)
        id = ""
        try:
            async with self.job(node, sink, f"save to {target}") as job:
                id = job.running.job.id
                await job.values(range(job.partitions))
        finally:
            await commit.abort(storage, target, mode, id)

    # ---- a smaller lineage

    def _small(self, node: Node) -> Node:
        key = node.id, isinstance(node, Source)
        known = self._cut.get(key)
        if known is None:
            known = self._cut[key] = self._cut_node(node)
            self._whole[known.id] = node
        stored = self.resolver.stored.get(known.id)
        return known if stored is None else stored

    def _cut_node(self, node: Node) -> Node:
        # Another node than the whole one: what is kept of either is not taken for the other.
        return replace(
            self._fewer(node),
            id=Node().id,
            lifetime=Lifetime(),
            persisted=node.persisted or node.checkpointed,
            checkpointed=False,
        )

    def _fewer(self, node: Node) -> Node:
        match node:
            case Source(splits=splits):
                return replace(node, splits=_typical(splits))
            case Mapped(parent=parent):
                return replace(node, parent=self._small(parent))
            case Coalesced(parent=parent, partitions=count):
                small = self._small(parent)
                few = min(count, partition_count(small))
                return replace(node, parent=small, partitions=few, sizes=())
            case Union(members=members) | AlignedUnion(members=members):
                return replace(node, members=tuple(map(self._small, members)))
            case CoGrouped(members=members, target=target):
                sides = tuple(map(self._small, members))
                return replace(node, members=sides, target=self._place(target))
            case Shuffled(parent=parent, target=target):
                return replace(node, parent=self._small(parent), target=self._place(target))
            case Zipped(left=left, right=right):
                left, right = self._small(left), self._small(right)
                # A source has one partition now, and a shuffle several.
                few = min(partition_count(left), partition_count(right))
                return replace(node, left=_joined(left, few), right=_joined(right, few))
            case Cartesian(left=left, right=right):
                return replace(node, left=self._small(left), right=self._small(right))
            case _:
                raise InvalidArgumentError(f"{node.name} cannot be sampled")

    def _place(self, target: Partitioner) -> Partitioner:
        """Return a partitioner for the sample: two that differ still do, so that no shuffle is
        saved that the whole job needs.
        """
        count = target.partitions
        few = self._parts.get(count)
        if few is None:
            few = min(count, _MOST_PARTITIONS)
            while few in self._parts.values():
                few += 1
            self._parts[count] = few
        if isinstance(target, RangePartitioner):
            bounds = _pick(target.bounds, few - 1) if few > 1 and target.bounds else ()
            return replace(target, partitions=few, bounds=bounds)
        return replace(target, partitions=few)

    def _take_in(self, result: TaskResult) -> None:
        """Have a node that the sample has cached count as cached whole."""
        for id, _, _ in result.stored:
            small, whole = self.resolver.stored.get(id), self._whole.get(id)
            if small is not None and whole is not None and whole.id not in self.resolver.stored:
                count = partition_count(whole)
                splits = tuple(small.splits[i % len(small.splits)] for i in range(count))
                self.resolver.stored[whole.id] = Source(
                    id=whole.id, name=whole.name, splits=splits, placed_by=whole.partitioner
                )

    # ---- what a sample came to

    def _sample_of(
        self,
        stage: Stage,
        small: Stage,
        sink: Sink,
        metrics: Sequence[TaskMetrics],
        skipped: set[int],
        calibration: Calibration,
        half: float | None,
    ) -> StageSample:
        content = small.writes.content.parent if small.writes and small.writes.content else None
        if not metrics and content in self._written:
            # An earlier sample has left what this one would have written.
            return replace(self._written[content], id=stage.id, parents=stage.parents, skipped=True)
        summed = sum_metrics(metrics)
        warm = [_warm_seconds(each, calibration.cold_s) for each in metrics]
        reads = summed.shuffle_read_frames > 0
        found = StageSample(
            stage.id,
            stage.name,
            stage.tasks,
            len(metrics),
            stage.parents,
            partitions=_targets(stage),
            sampled_partitions=_targets(small),
            share=weight(stage) / (weight(small) or 1.0),
            listed_bytes=weight(stage, FILES),
            combines=isinstance(sink, WriteShuffle) and sink.aggregator is not None,
            skipped=stage.id in skipped,
            seconds=sum(warm),
            fixed_s=calibration.fixed_cpu_s,
            cpu_seconds=summed.computing_seconds,
            peak_bytes=summed.peak_memory_bytes,
            input_bytes=summed.input_bytes,
            records=summed.input_records + summed.shuffle_read_records,
            read_bytes=summed.shuffle_read_bytes,
            write_bytes=summed.shuffle_write_bytes,
            write_records=summed.shuffle_write_records,
            write_frames=summed.shuffle_write_frames,
            # A task that makes an object of a shuffle asks first whether that is still open.
            gets=0 if reads else summed.s3_gets - (summed.s3_puts if stage.writes else 0),
            puts=0 if stage.writes else summed.s3_puts,
            saved_bytes=summed.output_bytes if summed.s3_puts else 0,
            longest=_longest(stage),
            half_records=half,
            sizes=_sizes(stage, weight(small)) if len(metrics) == 1 and not reads else (),
        )
        if content is not None:
            self._written[content] = found
        return found

    async def _calibrated(self) -> Calibration:
        """Return what the backend takes for a task of nothing, tried out once in a session."""
        runner = self._runner
        if runner.calibration is None:
            async with runner.calibrating:
                if runner.calibration is None:
                    runner.calibration = await self._try()
        return runner.calibration

    async def _try(self) -> Calibration:
        source = Source(name="trial", splits=(RangeSplit(0, _TRIAL_RECORDS, 1),))
        pairs = Mapped(name="trial", parent=source, operator=PerRecord(RecordStep.KEY_BY, _itself))
        target = HashPartitioner(_TRIAL_PARTITIONS)
        first, _ = await self._trial(source)
        simple = [await self._trial(source) for _ in range(_TRIALS)]
        shuffled = [
            await self._trial(Shuffled(name="trial", parent=pairs, target=target))
            for _ in range(_TRIALS)
        ]
        fixed = median(_billed(found[0]) for found, _ in simple)
        fixed_cpu = median(found[0].computing_seconds for found, _ in simple)
        latency = median(took - _billed(found[0]) for found, took in simple)
        written = median(_billed(found[0]) for found, _ in shuffled) - fixed
        read = median(_billed(found[1]) for found, _ in shuffled) - fixed
        cold = first[0]
        cold_s = RATES.cold_start_s.likely
        if cold.cold_start:
            cold_s = max(cold.init_seconds, cold.billed_seconds - fixed)
        elif self._runner.estimated:  # a local worker: nothing starts
            cold_s = 0.0
        # One receive, and one call to give back what was received.
        return Calibration(
            cold_s,
            fixed_cpu,
            max(0.0, latency),
            max(0.0, written) / _TRIAL_PARTITIONS,
            max(0.0, read) / 2,
        )

    async def _trial(self, node: Node) -> tuple[list[TaskMetrics], float]:
        """Run a job over one partition; return what each of its tasks took, and it as a whole."""
        runner, found = self._runner, list[TaskMetrics]()
        planned = plan(node, Count(), "trial", pack=runner.programs.pack, store_folder="")

        def accept(result: TaskResult, first: bool) -> None:
            found.append(result.metrics)
            runner.executors.add(result.executor)

        job = Job(runner.next_id(), "trial of a function", planned.stages, runner.settings)
        began = asyncio.get_running_loop().time()
        async with runner.run_job(job, on_accept=accept) as running:
            async for _ in running.results([0]):
                pass
            took = asyncio.get_running_loop().time() - began
        return found, took


SAMPLING: ContextVar[Sampling | None] = ContextVar("sampling", default=None)
"""By which the jobs of one asyncio task are sampled, and not run."""


@dataclass(slots=True)
class SampledJob:
    """A job's answers, with the sample's own repeated for the partitions that it leaves out."""

    running: RunningJob
    partitions: int
    asked: set[int] = field(default_factory=set)
    _values: dict[int, Any] = field(default_factory=dict)

    @property
    def computed(self) -> list[int]:
        """The partitions of the sample that were asked for."""
        return sorted(self._values)

    async def values(self, partitions: Sequence[int]) -> list[Any]:
        """As RunningJob's."""
        return [value async for _, value in self.stream(partitions)]

    async def stream(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Any]]:
        """As RunningJob's; in the order asked."""
        self.asked.update(partitions)
        few = self.running.partitions
        wanted = sorted({partition % few for partition in partitions} - self._values.keys())
        if wanted:
            found = await self.running.values(wanted)
            self._values.update(zip(wanted, found, strict=True))
        for partition in partitions:
            value = self._values[partition % few]
            # Its own copy: a program may merge the values of partitions in place.
            yield partition, copy.deepcopy(value) if self.partitions > few else value


def _seconds_of(run: Metrics) -> float:
    return sum(_billed(each) for several in run.values() for each in several)


def _median_run(runs: Sequence[Sequence[TaskMetrics]]) -> Sequence[TaskMetrics]:
    """Return the run of a stage that took neither long nor short."""
    # A cold one is the first, and told from the others by its seconds alone.
    ordered = sorted(runs, key=lambda several: sum(map(_billed, several)))
    return ordered[(len(ordered) - 1) // 2] if ordered else ()


def _itself(record: Any) -> Any:
    return record


def _targets(stage: Stage) -> int:
    """Return for how many reduce partitions each of its tasks writes."""
    return (stage.writes.passing or stage.writes.partitions) if stage.writes else 0


def _billed(metrics: TaskMetrics) -> float:
    return metrics.billed_seconds or metrics.seconds


def _driver_usage(asked: Usage, stages: Sequence[Stage], setup: Setup) -> Usage:
    """Return what the driver asked beside queues, which are as many as there are partitions."""
    queues = sum(2 * s.writes.partitions + 1 for s in stages if s.writes)
    marks = 2 * sum(s.writes is not None for s in stages)
    in_queues, in_objects = setup.transport in ("sqs", "hybrid"), setup.transport != "sqs"
    return Usage(
        sqs_requests=max(0, asked.sqs_requests - queues * in_queues),
        s3_put=max(0, asked.s3_put - marks * in_objects),
        s3_get=asked.s3_get,
    )


def _busy(metrics: Iterable[Sequence[TaskMetrics]], setup: Setup) -> float:
    """Return how long the tasks of a job's stages took, one stage after the other."""
    took = 0.0
    for several in metrics:
        seconds = [_billed(each) + setup.latency_s for each in several]
        took += max(max(seconds, default=0.0), sum(seconds) / max(1, setup.slots))
    return took


def _warm_seconds(metrics: TaskMetrics, cold_s: float) -> float:
    seconds = _billed(metrics)
    return max(metrics.seconds * 0.5, seconds - cold_s) if metrics.cold_start else seconds


def _pick(things: Sequence[Any], few: int) -> tuple[Any, ...]:
    """Return a few, evenly spread: of one, that in the middle."""
    count = len(things)
    return tuple(things[((2 * i + 1) * count - 1) // (2 * few)] for i in range(min(few, count)))


def _typical(splits: Sequence[Any]) -> tuple[Any, ...]:
    """Return one split, as large as that in which half of all bytes lie, or in a larger one: the
    last one of a file is often small, and tells little of the others. Of equal ones it is that in
    the middle.
    """
    sizes = [size_of(split) for split in splits]
    passed, wanted = 0, 0
    for wanted in sorted(sizes):
        passed += wanted
        if 2 * passed >= sum(sizes):
            break
    found = [split for split, size in zip(splits, sizes, strict=True) if size == wanted]
    return _pick(found, 1)


def _half(split: Any) -> Any:
    """Return the first half of a split; all of one that cannot be cut."""
    match split:
        case TextSplit(start=start, end=end, compression=None):
            return replace(split, end=(start + end) // 2)
        case RangeSplit(start, stop, step):
            half = range(start, stop, step)[: len(range(start, stop, step)) // 2]
            return RangeSplit(half.start, half.stop, half.step)
    return split


_MOST_SIZES: Final = 32
"""Of tasks, so many sizes are told apart: the cost of a shuffle depends on the sizes of blocks."""


def _sizes(stage: Stage, sampled: float) -> tuple[tuple[int, float], ...]:
    """Return how many tasks of a stage have how many times as much input as the sample's."""
    weights = sorted(sum(size_of(each.split) for each in inputs) for inputs in stage.inputs)
    if not sampled or not weights:
        return ()
    each = max(1, -(-len(weights) // _MOST_SIZES))
    groups = [weights[start : start + each] for start in range(0, len(weights), each)]
    return tuple((len(group), sum(group) / len(group) / sampled) for group in groups)


def _joined(node: Node, few: int) -> Node:
    if partition_count(node) == few:
        return node
    return Coalesced(name=node.name, parent=node, partitions=few)


def _longest(stage: Stage) -> float:
    """Return how many times as much as the mean the task with most input has."""
    sizes = [sum(size_of(each.split) for each in inputs) for inputs in stage.inputs]
    total = sum(sizes)
    return max(sizes) * len(sizes) / total if total else 1.0
