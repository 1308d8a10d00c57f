"""Which stages run for the partitions that are wanted, and what can be read of their shuffles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from aflint import events
from aflint.map_outputs import ManifestLines, MapColumns
from aflint.plan.planner import ManifestOf
from aflint.scheduler import skew
from aflint.scheduler.jobs import fail, first_attempt, is_there, settle, statuses_of
from aflint.scheduler.messages import (
    Emit,
    OpenShuffle,
    PartitionDone,
    ShufflesDone,
)
from aflint.scheduler.queues import admit, release_waiters
from aflint.scheduler.state import JobRun, StageRun, State, TaskRun, TaskState
from aflint.task import Input, Manifest, ShuffleHandle


def requested(state: State, id: str, partitions: Iterable[int]) -> None:
    """Have partitions of the result stage computed, and before them what they read."""
    job = state.jobs.get(id)
    if job is None or job.ending:
        return
    stage = job.result
    tasks = []
    for partition in dict.fromkeys(partitions):
        if not 0 <= partition < stage.stage.tasks:
            continue
        known = stage.tasks.get(partition)
        if known is None:
            known = _wanted_task(stage, partition)
            if known.accepted:  # by an earlier driver
                links = job.recovery.results[stage.stage.id, partition]
                state.out.append(PartitionDone(job.id, partition, links[-1]))
                if not stage.missing:
                    completed(state, stage)
                continue
        elif known.accepted:  # delivered before, and asked for again
            _forget(known)
        else:  # under way
            continue
        tasks.append(known)
    _need(state, job, tasks)
    for task in tasks:
        admit(state, task)


def shuffles_requested(state: State, id: str) -> None:
    """Have the shuffles made that the result stage reads, and none of its own tasks run."""
    job = state.jobs.get(id)
    if job is None or job.ending:
        return
    job.awaits_shuffles = True
    read = _read_by_result(job)
    _need_stages(state, job, [stage for stage in read if not stage.needed])
    _answer_if_made(state, job)


def _read_by_result(job: JobRun) -> list[StageRun]:
    return [job.stages[id] for id in job.result.stage.parents]


def _answer_if_made(state: State, job: JobRun) -> None:
    """Answer a ShufflesRequested once the last of the shuffles is complete."""
    read = _read_by_result(job) if job.awaits_shuffles else []
    if job.awaits_shuffles and all(stage.complete for stage in read):
        job.awaits_shuffles = False
        made = {stage.stage.writes.shuffle: stage.outputs for stage in read if stage.stage.writes}
        state.out.append(ShufflesDone(job.id, made))


def shuffle_opened(state: State, job: str, shuffle: int, handle: ShuffleHandle) -> None:
    """Run the tasks that write the shuffle."""
    stage = _opening(state, job, shuffle)
    if stage is None:
        return
    if stage.job.ending:
        stage.handle = handle  # it ended meanwhile, and closes what was opened
        settle(state, stage.job)
    else:
        _opened(state, stage, handle)


def shuffle_open_failed(state: State, job: str, shuffle: int, error: Exception) -> None:
    """Fail the job."""
    stage = _opening(state, job, shuffle)
    if stage is not None:
        fail(state, stage.job, error)
        settle(state, stage.job)


def shuffle_closed(state: State, job: str, shuffle: int) -> None:
    """Let the job end, if that was all it waited for."""
    run = state.jobs.get(job)
    stage = run.writers.get(shuffle) if run is not None else None
    if stage is not None and stage.closing:
        stage.closing = False
        settle(state, stage.job)


def completed(state: State, stage: StageRun) -> None:
    """Let those run that waited for the stage, whose wanted tasks are all accepted."""
    if stage.shares_of is not None:
        skew.shares_combined(state, stage)
        stage = stage.shares_of[0]
    else:
        skew.split(state, stage)
    whole = len(stage.tasks) == stage.stage.tasks and not stage.missing
    combined = all(shares.complete for shares in stage.skewed.values())
    if whole and combined and not stage.ended:
        stage.ended = True
        state.out.append(Emit(events.StageEnded(stage.job.id, stage.stage.id)))
    if not stage.missing:
        release_waiters(state, stage)
        _answer_if_made(state, stage.job)


def rerun_maps(state: State, stage: StageRun, maps: Iterable[int], epoch: int) -> bool:
    """Run map tasks again whose output was lost, unless newer output than `epoch` is there.

    Returns whether one of them has been through more such rounds than policy allows. What is lost
    is counted for each by itself: where thousands of maps each lose their output once, as when
    disks fail now and then, the job goes on.
    """
    known = (stage.tasks.get(partition) for partition in dict.fromkeys(maps))
    lost = [task for task in known if task and task.accepted and task.epoch <= epoch]
    if any(task.fetch_rounds >= state.policy.max_fetch_rounds for task in lost):
        stage.suspect = True
        return True
    for task in lost:
        task.fetch_rounds += 1
        _forget(task)
    # The lost tasks' own parents may never have been needed: an earlier driver had read them.
    _need(state, stage.job, lost)
    for task in lost:
        admit(state, task, first=True)
    return False


def inputs_for(task: TaskRun) -> tuple[Input, ...]:
    """Return what a task reads, each ManifestOf replaced by the manifest of its partition."""
    inputs = task.stage.stage.inputs[task.partition]
    if not task.reads:
        return inputs
    return tuple(_resolve(task, each) for each in inputs)


def _resolve(task: TaskRun, item: Input) -> Input:
    if type(item.split) is not ManifestOf:
        return item
    source = task.stage.job.writers[item.split.shuffle]
    wanted = item.split.of(item.partition)
    # A task that waited for the shares of a skewed partition reads them in place of its maps.
    shares = source.skewed.get(wanted)
    if shares in task.reads:
        assert shares is not None
        source = shares
    return Input(item.leaf, item.partition, _manifest(source, wanted, item.split.maps))


def _manifest(stage: StageRun, partition: int, maps: tuple[int, int] | None) -> Manifest:
    """Return what there is to read of one partition of a complete stage's shuffle: of all `maps`,
    or of those in a range.
    """
    if stage.handle is None:
        raise AssertionError("a manifest was asked for before its shuffle was open")
    return Manifest(stage.handle, partition, ManifestLines(_columns_of(stage, maps), partition))


def _columns_of(stage: StageRun, maps: tuple[int, int] | None) -> MapColumns:
    columns = _columns(stage)
    if maps is None:
        return columns
    # By bisection: work for a task does not grow with the number of maps that it does not read.
    statuses = columns.statuses
    low, high = (bisect_left(statuses, each, key=lambda status: status.map) for each in maps)
    return columns.part(low, high)


def _columns(stage: StageRun) -> MapColumns:
    """Return what the stage's map tasks wrote; tasks that read it share it."""
    if stage.columns is None:
        stage.columns = MapColumns(
            [status for partition in sorted(stage.outputs) for status in stage.outputs[partition]]
        )
    return stage.columns


def _opening(state: State, job: str, shuffle: int) -> StageRun | None:
    """Return the stage whose shuffle was being opened, and note that it no longer is."""
    run = state.jobs.get(job)
    stage = run.writers.get(shuffle) if run is not None else None
    if stage is None or not stage.opening:
        return None
    stage.opening = False
    return stage


def _opened(state: State, stage: StageRun, handle: ShuffleHandle) -> None:
    stage.handle = handle
    if stage.complete:  # an earlier driver had run all its tasks
        completed(state, stage)
    for task in stage.tasks.values():
        if not task.accepted:
            admit(state, task)


def _wanted_task(stage: StageRun, partition: int) -> TaskRun:
    """Make the record of a task that is wanted for the first time."""
    task = stage.tasks[partition] = TaskRun(stage, partition, _reads(stage, partition))
    recovery, place = stage.job.recovery, (stage.stage.id, partition)
    task.attempts = first_attempt(recovery, stage.kept)
    task.delivered = place in recovery.delivered
    links = recovery.results.get(place)
    if stage.kept is not None:
        task.state = TaskState.ACCEPTED
        stage.outputs[partition] = stage.kept.outputs[partition]
    elif links is not None and is_there(stage, links):
        task.state = TaskState.ACCEPTED
        if stage.stage.writes is not None:
            stage.outputs[partition] = statuses_of(links)
    else:
        stage.missing += 1
    return task


def _reads(stage: StageRun, partition: int) -> tuple[StageRun, ...]:
    if not stage.stage.parents:
        return ()
    inputs = stage.stage.inputs[partition]
    shuffles = dict.fromkeys(i.split.shuffle for i in inputs if type(i.split) is ManifestOf)
    writers = tuple(stage.job.writers[shuffle] for shuffle in shuffles)
    # Of a job that asks for its partitions bit by bit, some shuffles are split by now.
    if any(writer.skewed for writer in writers):
        writers += tuple(skew.shares_read(stage.job, inputs))
    return writers


def _forget(task: TaskRun) -> None:
    """Want an accepted task again, as if it had never run; what it delivered stays delivered."""
    task.move(TaskState.WAITING)
    task.failures = 0
    task.next_start = None
    task.stage.outputs.pop(task.partition, None)


def _need(state: State, job: JobRun, tasks: list[TaskRun]) -> None:
    """Open the shuffles that `tasks` read, directly or not, in the job's order of stages.

    What was recovered is not opened, nor is what only accepted tasks read.
    """
    _need_stages(state, job, [p for task in tasks for p in task.reads if not p.needed])


def _need_stages(state: State, job: JobRun, waiting: list[StageRun]) -> None:
    found: dict[int, StageRun] = {}
    while waiting:
        stage = waiting.pop()
        if stage.needed:
            continue
        stage.needed = True
        found[stage.stage.id] = stage
        for partition in range(stage.stage.tasks):
            task = stage.tasks.get(partition) or _wanted_task(stage, partition)
            if not task.accepted:
                waiting.extend(p for p in task.reads if not p.needed)
    for stage in [job.stages[id] for id in job.stages if id in found]:
        writes = stage.stage.writes
        if stage.handle is not None:
            _opened(state, stage, stage.handle)
        elif writes is not None:
            stage.opening = True
            state.out.append(OpenShuffle(job.id, writes.shuffle, writes.partitions))
