"""Small jobs, and a state machine that is validated after every stimulus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aflint.counts import pack_counts
from aflint.plan.planner import Job, ManifestOf, PlannedShuffle, Stage, TaskSettings
from aflint.scheduler.machine import StateMachine
from aflint.scheduler.messages import (
    AttemptEnded,
    Deliver,
    Emit,
    Instruction,
    JobSubmitted,
    Launch,
    PartitionDone,
    PartitionsRequested,
    ShuffleOpened,
    Stimulus,
)
from aflint.scheduler.policy import Policy
from aflint.task import (
    Blob,
    Input,
    MapStatus,
    RangeSplit,
    ShuffleHandle,
    TaskDescription,
    TaskFailure,
    TaskId,
    TaskResult,
)

SPLIT = RangeSplit(0, 1, 1)


def program(name: str) -> Blob:
    return Blob(name, len(name), name.encode())


def source_stage(id: int, tasks: int, writes: PlannedShuffle | None = None) -> Stage:
    inputs = [(Input(0, p, SPLIT),) for p in range(tasks)]
    return Stage(id, f"stage{id}", program(f"p{id}"), inputs, (), writes)


def reading_stage(
    id: int,
    tasks: int,
    reads: Sequence[tuple[int, int]],
    writes: PlannedShuffle | None = None,
) -> Stage:
    """Every task p reads partition p of each (parent stage, shuffle) of `reads`."""
    inputs = [
        tuple(Input(leaf, p, ManifestOf(shuffle)) for leaf, (_, shuffle) in enumerate(reads))
        for p in range(tasks)
    ]
    parents = tuple(parent for parent, _ in reads)
    return Stage(id, f"stage{id}", program(f"p{id}"), inputs, parents, writes)


def make_job(*stages: Stage, id: str = "j", memory_mb: int = 0) -> Job:
    return Job(id, f"job {id}", stages, TaskSettings(memory_mb=memory_mb))


def flat_job(tasks: int, id: str = "j", memory_mb: int = 0) -> Job:
    return make_job(source_stage(0, tasks), id=id, memory_mb=memory_mb)


def shuffle_job(maps: int, reduces: int, id: str = "j") -> Job:
    """Stage 0 writes shuffle 7, which stage 1 reads."""
    return make_job(
        source_stage(0, maps, PlannedShuffle(7, reduces)),
        reading_stage(1, reduces, [(0, 7)]),
        id=id,
    )


def diamond_job(id: str = "j") -> Job:
    """A join: stages 0 and 1 write shuffles 10 and 11, stage 2 reads both, two tasks each."""
    return make_job(
        source_stage(0, 2, PlannedShuffle(10, 2)),
        source_stage(1, 2, PlannedShuffle(11, 2)),
        reading_stage(2, 2, [(0, 10), (1, 11)]),
        id=id,
    )


def task_id(stage: int, partition: int, attempt: int = 0, link: int = 0, job: str = "j") -> TaskId:
    return TaskId(job, stage, partition, attempt, link)


def handle(shuffle: int, partitions: int, job: str = "j") -> ShuffleHandle:
    return ShuffleHandle(job, shuffle, partitions, f"{job}/{shuffle}")


def map_status(id: TaskId, frames: Sequence[int]) -> MapStatus:
    sizes = [100 * count for count in frames]
    return MapStatus(id.partition, id.attempt, id.link, pack_counts(frames), pack_counts(sizes))


def map_result(id: TaskId, frames: Sequence[int]) -> TaskResult:
    return TaskResult(id, map_statuses=(map_status(id, frames),))


def value_result(id: TaskId) -> TaskResult:
    return TaskResult(id, value=Blob("v", 1, b"v"))


def failed(id: TaskId, kind: str, message: str = "boom", **details: object) -> TaskResult:
    return TaskResult(id, failure=TaskFailure(kind, message, details))


class Machine(StateMachine):
    """A clock that is set by hand, and all invariants checked after every stimulus."""

    def __init__(self, policy: Policy | None = None, slots: int = 100) -> None:
        super().__init__(policy, slots)
        self.now = 0.0
        self.events: list[object] = []

    def feed(self, *stimuli: Stimulus) -> list[Instruction]:
        """Handle stimuli in order; returns the instructions without the events."""
        found: list[Instruction] = []
        for stimulus in stimuli:
            found += self.handle(stimulus, self.now)
            self.validate()
        self.events += [each.event for each in found if isinstance(each, Emit)]
        return [each for each in found if not isinstance(each, Emit)]

    def submit(self, job: Job, partitions: Iterable[int] | None = None) -> list[Instruction]:
        wanted = range(job.result_stage.tasks) if partitions is None else partitions
        return self.feed(JobSubmitted(job), PartitionsRequested(job.id, tuple(wanted)))

    def open(self, shuffle: int, partitions: int, job: str = "j") -> list[Instruction]:
        return self.feed(ShuffleOpened(job, shuffle, handle(shuffle, partitions, job)))

    def end(self, *results: TaskResult) -> list[Instruction]:
        return self.feed(*(AttemptEnded(result) for result in results))


def launches(instructions: Iterable[Instruction]) -> list[TaskDescription]:
    return [each.task for each in instructions if isinstance(each, Launch)]


def launched(instructions: Iterable[Instruction]) -> list[TaskId]:
    return [task.id for task in launches(instructions)]


def done(instructions: Iterable[Instruction]) -> list[int]:
    return [each.partition for each in instructions if isinstance(each, PartitionDone)]


def delivered(instructions: Iterable[Instruction]) -> list[tuple[TaskId, bool]]:
    return [(each.result.id, each.first) for each in instructions if isinstance(each, Deliver)]
