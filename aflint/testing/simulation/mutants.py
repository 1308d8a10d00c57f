"""Deliberately broken variants of the engine: a simulation that does not catch them proves nothing.

Each is a context manager that breaks one thing in this process for as long as it is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, aclosing, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from aflint.codec import frame
from aflint.codec.frame import FrameHeader
from aflint.driver import adapting, programs
from aflint.driver.account import Account
from aflint.driver.jobs import JobRunner
from aflint.driver.shuffles import JobShuffles, KeptShuffle, OwnShuffles
from aflint.executor import held, memory, runner, shuffle
from aflint.executor.chaining import Chain
from aflint.executor.held import HeldPartitions
from aflint.executor.shuffle import Completeness, ReadCounts
from aflint.executor.sources import Source
from aflint.journal.writing import StoredJournal
from aflint.map_outputs import MapColumns
from aflint.plan import adaptive, planner
from aflint.plan.adaptive import Piece, Skew
from aflint.plan.lineage import Node
from aflint.plan.planner import Inputs, ManifestOf, PlannedShuffle, ShuffleContent
from aflint.plan.program import Program, ReadShuffle
from aflint.scheduler import attempts, placement, stages
from aflint.scheduler import jobs as scheduler_jobs
from aflint.scheduler.messages import Deliver, Recovery
from aflint.scheduler.state import Attempt, JobRun, StageRun, State, TaskRun
from aflint.task import FrameId, Input, InSource, MapStatus, ShuffleHandle, TaskResult
from aflint.testing.simulation.run import Outcome, run_seed, workload_of
from aflint.testing.simulation.workloads import Workload
from aflint.transport.base import ShuffleReader, Transport
from aflint.transport.hybrid import HybridTransport
from aflint.transport.s3 import S3Transport
from aflint.transport.sqs import SqsTransport
from aflint.transport.sqs_reader import SqsReader

Mutant = Callable[[], AbstractContextManager[Any]]


def caught_after(
    mutant: Mutant, most: int = 500, program_of: Callable[[int], Workload] = workload_of
) -> tuple[int, Outcome] | None:
    """Return how many seeds it took to catch a mutant, and the failure; None if it was not."""
    with mutant():
        for tried in range(most):
            outcome = run_seed(tried, workload=program_of(tried))
            if outcome.failure:
                return tried + 1, outcome
    return None


def no_dedup() -> AbstractContextManager[Any]:
    """A frame that was seen before is taken again."""
    accept = Completeness.accept

    def accept_again(self: Completeness, header: FrameHeader) -> bool:
        place = (header.map, header.attempt, header.link, header.sequence)
        return accept(self, header) or place in self._seen

    return patch.object(Completeness, "accept", accept_again)


def empty_queue_is_the_end() -> AbstractContextManager[Any]:
    """A reader is done when nothing has come for five seconds."""

    async def payloads(
        progress: Completeness,
        key: bytes,
        reader: ShuffleReader,
        timeout_s: float,
        counts: ReadCounts,
    ) -> AsyncIterator[tuple[FrameId, bytes]]:
        frames = reader.frames()
        while not progress.complete:
            try:
                data = await asyncio.wait_for(anext(frames), 5.0)
            except (TimeoutError, StopAsyncIteration):
                break
            header, payload = frame.decode_frame(data, key, progress.manifest.handle.job)
            if progress.accept(header):
                yield (header.map, header.attempt, header.link, header.sequence), payload
        async with aclosing(frames):  # type: ignore[type-var]
            await reader.close()

    return patch.object(shuffle, "_payloads", payloads)


def counts_of_another_attempt() -> AbstractContextManager[Any]:
    """A map task that is run again keeps the counts of the attempt that was accepted first."""
    accept = attempts._accept
    known: dict[tuple[JobRun, int, int], tuple[MapStatus, ...]] = {}

    def accept_first(state: State, attempt: Attempt, result: TaskResult) -> None:
        accept(state, attempt, result)
        stage, partition = attempt.task.stage, attempt.task.partition
        if partition in stage.outputs:
            place = (stage.job, stage.stage.id, partition)
            stage.outputs[partition] = known.setdefault(place, stage.outputs[partition])
            stage.columns = None

    return patch.object(attempts, "_accept", accept_first)


def delete_before_commit() -> AbstractContextManager[Any]:
    """A reader deletes its queue when it has read it, not when its task was accepted."""

    async def close(self: SqsReader) -> None:
        if len(self._hidden) >= self.expected:
            await self._sqs.delete_queue(self._url)

    return patch.object(SqsReader, "close", close)


def accumulators_of_every_attempt() -> AbstractContextManager[Any]:
    """What a task accumulated counts each time that it is run."""

    def deliver(job: str, result: TaskResult, first: bool) -> Deliver:
        return Deliver(job, result, first=True)

    return patch.object(attempts, "Deliver", deliver)


def retry_under_the_same_number() -> AbstractContextManager[Any]:
    """A task that is run again is given the number of its last attempt."""
    launch = attempts.launch

    def launch_again(state: State, task: TaskRun, *, speculative: bool) -> None:
        if task.attempts and not task.running:
            task.attempts -= 1
        launch(state, task, speculative=speculative)

    return patch.object(attempts, "launch", launch_again)


def lost_throttled_call() -> AbstractContextManager[Any]:
    """A throttled attempt is forgotten."""

    def forget(state: State, attempt: Attempt) -> None:
        attempt.task.throttles += 1

    return patch.object(attempts, "_later", forget)


def attempts_cost_when_they_end() -> AbstractContextManager[Any]:
    """A budget does not see what running attempts cost."""

    def add(self: Account, start: float, memory_mb: int, sign: int) -> None:
        return None

    return patch.object(Account, "_add", add)


def continuation_repeats_a_record() -> AbstractContextManager[Any]:
    """The next link begins one record too early."""
    return _shifted(-1)


def continuation_skips_a_record() -> AbstractContextManager[Any]:
    """The next link begins one record too late."""
    return _shifted(1)


def _shifted(by: int) -> AbstractContextManager[Any]:
    source_blocks = Chain.source_blocks

    def shifted(self: Chain, *args: Any, **kwargs: Any) -> Iterator[Sequence[Any]]:
        yield from source_blocks(self, *args, **kwargs)
        if isinstance(self.cut, InSource):
            self.cut = replace(self.cut, skip=max(0, self.cut.skip + by))

    return patch.object(Chain, "source_blocks", shifted)


def resumed_under_the_same_numbers() -> AbstractContextManager[Any]:
    """A second driver numbers its attempts as the first one did, whose attempts still run."""
    return patch.object(stages, "first_attempt", lambda recovery, kept: 0)


def counted_again_when_resumed() -> AbstractContextManager[Any]:
    """A second driver counts what was accumulated before it once more when tasks run again."""
    return _recovering(lambda recovery: replace(recovery, delivered=frozenset()))


def accepted_tasks_run_again() -> AbstractContextManager[Any]:
    """A second driver has all tasks run again."""
    return _recovering(lambda recovery: replace(recovery, results={}))


def _recovering(change: Callable[[Recovery], Recovery]) -> AbstractContextManager[Any]:
    recover = JobRunner._recovery

    async def changed(self: JobRunner, *args: Any) -> Recovery:
        return change(await recover(self, *args))

    return patch.object(JobRunner, "_recovery", changed)


@contextmanager
def shuffles_last_for_ever() -> Iterator[None]:
    """A second driver takes it for granted that the shuffles of the first are there."""

    async def survives(self: Transport, handle: ShuffleHandle) -> bool:
        return True

    with ExitStack() as stack:
        for transport in (SqsTransport, HybridTransport, S3Transport):
            stack.enter_context(patch.object(transport, "survives", survives))
        yield


def removes_what_another_has_taken_over() -> AbstractContextManager[Any]:
    """A driver that was taken for dead removes its shuffles without asking whose they are."""

    async def close(self: OwnShuffles, handle: ShuffleHandle) -> None:
        await self.shuffles.close(handle)

    return patch.object(OwnShuffles, "close", close)


def branches_share_functions() -> AbstractContextManager[Any]:
    """All branches of a task call the same functions, and see each other's state."""
    return patch.object(programs, "separated", lambda program, name: program)


def ends_without_a_word() -> AbstractContextManager[Any]:
    """A driver removes what its run has without noting before that it is over."""

    async def end(self: StoredJournal) -> None:
        await self.check()

    return patch.object(StoredJournal, "end", end)


def kept_across_partitioners() -> AbstractContextManager[Any]:
    """A shuffle stands in for another of the same records that is partitioned otherwise."""

    def same_records(self: ShuffleContent, other: ShuffleContent) -> bool:
        return self.parent == other.parent

    return patch.object(ShuffleContent, "same_as", same_records)


def kept_by_halves() -> AbstractContextManager[Any]:
    """A shuffle is kept although its job ended, or was cancelled, before all of it was written."""
    whole = scheduler_jobs._whole_output

    def half(stage: StageRun) -> Mapping[int, tuple[MapStatus, ...]] | None:
        if not stage.needed:
            return whole(stage)
        return {place: stage.outputs.get(place, ()) for place in range(stage.stage.tasks)}

    return patch.object(scheduler_jobs, "_whole_output", half)


def kept_for_ever() -> AbstractContextManager[Any]:
    """What was lost of a kept shuffle is not made again."""
    rerun = stages.rerun_maps

    def rerun_own(state: State, stage: StageRun, maps: Iterable[int], epoch: int) -> bool:
        return stage.kept is None and rerun(state, stage, maps, epoch)

    return patch.object(attempts, "rerun_maps", rerun_own)


def kept_output_under_the_same_numbers() -> AbstractContextManager[Any]:
    """What is made again of a kept shuffle is numbered as what the job before it wrote."""
    return patch.object(KeptShuffle, "loans", property(lambda kept: 0, lambda kept, value: None))


def kept_output_is_counted_again() -> AbstractContextManager[Any]:
    """What is made again of a kept shuffle counts in accumulators once more."""
    accepted = JobShuffles.accepted

    def counts(self: JobShuffles, result: TaskResult) -> bool:
        return accepted(self, result) or True

    return patch.object(JobShuffles, "accepted", counts)


def removed_while_it_is_read() -> AbstractContextManager[Any]:
    """A kept shuffle is removed when its RDD is, although a job reads it."""
    return patch.object(KeptShuffle, "jobs", property(lambda kept: 0, lambda kept, value: None))


def second_level_leaves_maps_out() -> AbstractContextManager[Any]:
    """Where a shuffle goes by two levels, nobody reads the last group of the last map tasks."""
    whole = planner.second_level
    return patch.object(planner, "second_level", lambda passing: whole(passing)[:-1])


def second_level_reads_a_group_twice() -> AbstractContextManager[Any]:
    """Where a shuffle goes by two levels, the first group is read by two tasks."""
    whole = planner.second_level

    def twice(passing: PlannedShuffle) -> Inputs:
        first = ManifestOf(passing.shuffle, 0)
        return [*whole(passing), (Input(0, passing.partitions, first),)]

    return patch.object(planner, "second_level", twice)


def slices_repeat_what_they_begin_with() -> AbstractContextManager[Any]:
    """The last of the pieces that a block is cut into is the whole block."""
    whole = memory.slices

    def slices(blocks: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for block in blocks:
            *pieces, last = whole([block]) if block else [[]]
            yield from pieces
            yield block if pieces else last

    return patch("aflint.executor.fusion.slices", slices)


def placed_tasks_trust_the_driver() -> AbstractContextManager[Any]:
    """An environment that has dropped a partition which it is said to hold takes it for empty."""
    keep, opened = HeldPartitions.keep, HeldPartitions.open
    said: set[tuple[int, str]] = set()

    def noting(self: HeldPartitions, path: str, gathered: held._Held) -> None:
        said.add((id(self), path))
        keep(self, path, gathered)

    def trusting(self: HeldPartitions, path: str, file: Source) -> Source:
        lost = path not in self._held and (id(self), path) in said
        return held._HeldSource(held._Held()) if lost else opened(self, path, file)

    return patch.multiple(HeldPartitions, keep=noting, open=trusting)


def a_placed_task_is_left_out() -> AbstractContextManager[Any]:
    """Of the tasks whose holders are busy one is taken, and the others by nobody."""

    def next_placed(state: State, job: JobRun) -> TaskRun:
        held = any(executor in job.placed for executor in state.idle)
        task = placement.next_placed(state, job)
        if not held:
            job.placed.clear()
        return task

    return patch("aflint.scheduler.queues.next_placed", next_placed)


def coalesced_partitions_are_left_out() -> AbstractContextManager[Any]:
    """Of partitions that one task is to read, it does not read the last."""
    coalesced = adaptive._coalesced

    def shorter(*args: Any) -> list[Piece]:
        pieces = coalesced(*args)
        return [replace(p, last=p.last - 1) if p.last - p.first > 1 else p for p in pieces]

    return patch.object(adaptive, "_coalesced", shorter)


def either_side_is_broadcast() -> AbstractContextManager[Any]:
    """A join's small side is broadcast even where each of its rows may be given but once."""
    from aflint.sql.stages import Stage

    def either(self: Stage) -> tuple[int, int] | None:
        if len(self.inputs) != 2 or len(self.exchanged) != 2:
            return None
        return (
            (0, 1) if self.exchanged[1].unplaced else (1, 0) if self.exchanged[0].unplaced else None
        )

    return patch.object(Stage, "_broadcastable", either)


def skewed_pieces_meet_one_another() -> AbstractContextManager[Any]:
    """Each piece of a skewed partition is joined with one piece of the other side, not with all."""
    return patch.object(adaptive, "product", zip)


def either_side_is_cut() -> AbstractContextManager[Any]:
    """A skewed partition is cut whatever is computed of it."""

    def all_leaves(top: Node) -> frozenset[int]:
        return frozenset(range(len(list(adapting._leaves(top)))))

    return patch.object(adapting, "_splittable", all_leaves)


def a_share_is_forgotten() -> AbstractContextManager[Any]:
    """Of a skewed partition, no task combines the last maps."""
    whole = Skew.shares
    return patch.object(Skew, "shares", lambda self, by_map: whole(self, by_map)[:-1])


def shares_count_beside_their_maps() -> AbstractContextManager[Any]:
    """The task that merges the shares of a skewed partition reads what they were made of, too."""
    columns = stages._columns

    def of_both(stage: StageRun) -> MapColumns:
        if stage.shares_of is None:
            return columns(stage)
        return MapColumns([*columns(stage.shares_of[0]).statuses, *columns(stage).statuses])

    return patch.object(stages, "_columns", of_both)


def combiners_are_taken_for_values() -> AbstractContextManager[Any]:
    """What combines a share of a skewed partition takes the maps' combiners for values."""

    def as_values(written_by: Program) -> Program:
        return Program(ReadShuffle(0, None, None, combined=False), written_by.sink)

    return patch.object(runner, "_combining_again", as_values)


SKEW_MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        a_share_is_forgotten,
        shares_count_beside_their_maps,
        combiners_are_taken_for_values,
    )
}
"""Those that programs of skewed keys catch."""

QUERY_MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        coalesced_partitions_are_left_out,
        either_side_is_broadcast,
        skewed_pieces_meet_one_another,
        either_side_is_cut,
    )
}
"""Those that programs of DataFrames catch."""

MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        no_dedup,
        empty_queue_is_the_end,
        counts_of_another_attempt,
        delete_before_commit,
        accumulators_of_every_attempt,
        retry_under_the_same_number,
        lost_throttled_call,
        attempts_cost_when_they_end,
        continuation_repeats_a_record,
        continuation_skips_a_record,
        resumed_under_the_same_numbers,
        counted_again_when_resumed,
        accepted_tasks_run_again,
        shuffles_last_for_ever,
        removes_what_another_has_taken_over,
        second_level_leaves_maps_out,
        second_level_reads_a_group_twice,
        ends_without_a_word,
        branches_share_functions,
        kept_across_partitioners,
        kept_by_halves,
        kept_for_ever,
        kept_output_under_the_same_numbers,
        kept_output_is_counted_again,
        removed_while_it_is_read,
        slices_repeat_what_they_begin_with,
        placed_tasks_trust_the_driver,
        a_placed_task_is_left_out,
    )
}
