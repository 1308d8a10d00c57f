"""From an accepted map stage to what a reduce task is told to read: pure."""

from __future__ import annotations

from aflint.plan import ShuffleRead
from aflint.scheduler.model import Attempt, JobRun, StageRun, TaskRun
from aflint.scheduler.policy import Policy
from aflint.task import Input, Manifest, MapOutput, MapStatus, TaskDescription


def inputs_for(task: TaskRun) -> tuple[Input, ...]:
    """Return what a task reads, each ShuffleRead replaced by the manifest of its partition."""
    inputs = task.stage.stage.inputs[task.partition]
    if not task.reads:
        return inputs
    return tuple(_resolve(task.stage.job, each) for each in inputs)


def describe(attempt: Attempt, policy: Policy) -> TaskDescription:
    """Return what an executor needs to run the attempt."""
    stage = attempt.task.stage
    settings = stage.job.job.settings
    return TaskDescription(
        id=attempt.id,
        program=stage.stage.program,
        inputs=attempt.chain.inputs,
        output=stage.handle,
        transport=settings.transport,
        storage=settings.storage,
        memory_mb=policy.memory_mb(settings.memory_mb, attempt.task.memory_kills),
        max_result_bytes=settings.max_result_bytes,
        fetch_timeout_s=settings.fetch_timeout_s,
        logs=settings.logs,
        continuation=attempt.chain.continuation,
    )


def _resolve(job: JobRun, item: Input) -> Input:
    if type(item.split) is not ShuffleRead:
        return item
    stage = job.writers[item.split.shuffle]
    return Input(item.leaf, item.partition, _manifest(stage, item.partition))


def _manifest(stage: StageRun, partition: int) -> Manifest:
    if stage.handle is None:
        raise AssertionError("a manifest was asked for before its shuffle was open")
    outputs = [
        MapOutput(
            status.map,
            status.attempt,
            status.link,
            count,
            sizes[partition],
            status.object,
            status.extents.get(partition, ()),
        )
        for status, frames, sizes in _columns(stage)
        if (count := frames[partition])
    ]
    return Manifest(stage.handle, partition, tuple(outputs))


def _columns(stage: StageRun) -> list[tuple[MapStatus, memoryview, memoryview]]:
    """Return the stage's map statuses in the order of maps, their counts unpacked once."""
    if stage.columns is None:
        stage.columns = [
            (status, memoryview(status.frames).cast("I"), memoryview(status.sizes).cast("I"))
            for partition in sorted(stage.outputs)
            for status in stage.outputs[partition]
        ]
    return stage.columns
