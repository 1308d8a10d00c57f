"""Skewed reduce partitions: combined in shares by tasks beside one another, then merged by one.

This is done where the tasks that write a shuffle combine values, as what they wrote can then be
combined again. Each further task reads the partition from some of the maps and writes what these
come to into the same shuffle, as one more map; the reduce task is given their output alone. The
ranges of maps are decided once, so that a share which has to be made again is the same share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from aflint import events
from aflint.map_outputs import lies_in_object, partition_sizes, size_of
from aflint.plan.adaptive import combining_pays
from aflint.plan.planner import ManifestOf
from aflint.scheduler.jobs import first_attempt
from aflint.scheduler.messages import Emit
from aflint.scheduler.queues import admit, release_waiters
from aflint.scheduler.state import JobRun, StageRun, State, TaskRun
from aflint.task import Input, MapStatus

_LOOKED_AT: Final = 1 << 18
"""So many sizes are looked at, at most, to find skewed partitions: of some maps, if there are more
in all.
"""


def split(state: State, stage: StageRun) -> None:
    """Have the skewed partitions of a stage's shuffle combined in shares, of those that are read.

    Of each, the first share alone for now: it tells whether combining them pays.
    """
    writes = stage.stage.writes
    # What an earlier job left is read as it is: shares of it would be left with it, job after job.
    if stage.measured or stage.kept is not None or writes is None or not writes.combined:
        return
    if not (stage.complete and state.policy.skew.least_bytes):
        return
    if state.concurrency.slots < state.policy.skew.fewest_slots:
        return
    stage.measured = True
    statuses = [each for map in sorted(stage.outputs) for each in stage.outputs[map]]
    for partition in state.policy.skew.skewed(_sizes(statuses, writes.partitions)):
        readers = list(_readers(stage, partition))
        if not readers or not (state.policy.rereadable or _in_objects(statuses, partition)):
            continue
        by_map = [
            sum(size_of(status, partition) for status in stage.outputs[map])
            for map in range(stage.stage.tasks)
        ]
        if ranges := state.policy.skew.shares(by_map):
            shares = stage.skewed[partition] = _shares(stage, partition, ranges)
            shares.on_trial = sum(by_map[slice(*ranges[0])])
            for task in readers:
                task.reads += (shares,)
            _add_tasks(state, shares, shares.maps[:1])


def shares_combined(state: State, shares: StageRun) -> None:
    """Let the other shares be combined after the first one, or the partition be read once all are.

    Where the first is hardly smaller than what it was made of, the partition is read as it is.
    """
    assert shares.shares_of is not None
    stage, partition = shares.shares_of
    read, shares.on_trial = shares.on_trial, 0
    written = sum(size_of(status, partition) for status in shares.outputs[shares.first])
    if read and combining_pays(read, written):
        _add_tasks(state, shares, shares.maps[1:])
        return
    if read:
        del stage.skewed[partition]
        for task in _readers(stage, partition):
            task.reads = tuple(each for each in task.reads if each is not shares)
    release_waiters(state, shares)


def shares_read(job: JobRun, inputs: Iterable[Input]) -> Iterator[StageRun]:
    """Yield what combines the skewed partitions that a task of these inputs reads whole."""
    for item in inputs:
        if type(item.split) is ManifestOf and item.split.maps is None:
            skewed = job.writers[item.split.shuffle].skewed
            if (partition := item.split.of(item.partition)) in skewed:
                yield skewed[partition]


def _sizes(statuses: Sequence[MapStatus], partitions: int) -> list[int]:
    """Return about how many bytes each partition has: exactly, where there are not very many."""
    step = -(-len(statuses) * partitions // _LOOKED_AT) or 1
    return [size * step for size in partition_sizes(statuses[::step], partitions)]


def _in_objects(statuses: Iterable[MapStatus], partition: int) -> bool:
    return all(lies_in_object(status, partition) for status in statuses)


def _readers(stage: StageRun, partition: int) -> Iterator[TaskRun]:
    """Yield the wanted tasks that read a partition of the stage's shuffle, as a whole."""
    assert stage.stage.writes is not None
    shuffle = stage.stage.writes.shuffle
    for reader in stage.job.stages.values():
        if stage.stage.id not in reader.stage.parents:
            continue
        for task in reader.tasks.values():
            splits = (each for each in reader.stage.inputs[task.partition])
            if not task.accepted and any(
                type(each.split) is ManifestOf
                and (each.split.shuffle, each.split.maps) == (shuffle, None)
                and each.split.of(each.partition) == partition
                for each in splits
            ):
                yield task


def _shares(stage: StageRun, partition: int, ranges: Sequence[tuple[int, int]]) -> StageRun:
    """Return the tasks of a stage that combine shares of a partition, none of them wanted yet."""
    planned, writes = stage.stage, stage.stage.writes
    assert writes is not None
    first = planned.tasks + sum(len(each.maps) for each in stage.skewed.values())
    reads = [ManifestOf(writes.shuffle, partition, maps) for maps in ranges]
    name = f"{planned.name} (combining skewed partition {partition})"
    # They are numbered from `first`, and nothing asks for those before.
    inputs: list[tuple[Input, ...]] = [()] * first
    inputs += [(Input(0, first + n, read),) for n, read in enumerate(reads)]
    return StageRun(
        replace(planned, name=name, inputs=inputs, parents=(planned.id,)),
        stage.job,
        needed=True,
        handle=stage.handle,
        started=True,
        speculates=stage.speculates,
        shares_of=(stage, partition),
        first=first,
    )


def _add_tasks(state: State, shares: StageRun, numbers: range) -> None:
    assert shares.shares_of is not None
    stage, partition = shares.shares_of
    job = stage.job
    added = events.TasksAdded(job.id, stage.stage.id, partition, len(numbers))
    state.out.append(Emit(added))
    for number in numbers:
        task = shares.tasks[number] = TaskRun(shares, number, (stage,))
        task.attempts = first_attempt(job.recovery, stage.kept)
        task.delivered = (stage.stage.id, number) in job.recovery.delivered
        shares.missing += 1
    for number in numbers:
        admit(state, shares.tasks[number])
