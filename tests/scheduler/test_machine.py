"""Any order of stimuli: the invariants hold, and every job comes to its end."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from aflint import errors
from aflint.events import JobEnded
from aflint.plan import Job, ShuffleWrite
from aflint.scheduler.instructions import (
    CloseShuffle,
    Deliver,
    Emit,
    FailJob,
    Instruction,
    JobOver,
    Launch,
    OpenShuffle,
    PartitionDone,
    Stop,
    WakeAt,
)
from aflint.scheduler.policy import Policy
from aflint.scheduler.state import SchedulerState
from aflint.scheduler.stimuli import (
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    JobCancelled,
    JobReleased,
    JobSubmitted,
    PartitionsRequested,
    ShuffleClosed,
    ShuffleOpened,
    ShuffleOpenFailed,
    SlotsChanged,
    Stimulus,
    Tick,
)
from aflint.task import Continuation, Manifest, TaskDescription, TaskFailure, TaskId, TaskResult
from aflint.testing import succeeded
from tests.scheduler.builders import handle, make_job, reading_stage, source_stage

KINDS = ["WorkerLostError", "TimedOutError", "OutOfMemoryError"]
MAX_LINKS = 3


def any_job(id: str, shape: int) -> Job:
    if shape == 0:
        return make_job(source_stage(0, 5), id=id)
    first = source_stage(0, 3, ShuffleWrite(10, 3))
    if shape == 1:
        return make_job(first, reading_stage(1, 3, [(0, 10)]), id=id)
    second = source_stage(1, 2, ShuffleWrite(11, 3))
    third = reading_stage(2, 3, [(0, 10), (1, 11)], ShuffleWrite(12, 4))
    return make_job(first, second, third, reading_stage(3, 4, [(2, 12)]), id=id)


class World(RuleBasedStateMachine):
    """Plays executor, transport and user; remembers what it was told to do."""

    @initialize(
        slots=st.integers(0, 6),
        speculation=st.booleans(),
        rereadable=st.booleans(),
        ramp=st.sampled_from([None, 2]),
        seed=st.integers(0, 5),
    )
    def begin(
        self, slots: int, speculation: bool, rereadable: bool, ramp: int | None, seed: int
    ) -> None:
        self.policy = Policy(
            speculation=speculation,
            speculation_quantile=0.3,
            rereadable=rereadable,
            ramp_burst=ramp,
            ramp_environments=10,
            seed=seed,
        )
        self.state = SchedulerState(self.policy, slots)
        self.slots = slots
        self.now = 0.0
        self.count = 0
        self.jobs: dict[str, Job] = {}
        self.requested: dict[str, set[int]] = {}
        self.done: dict[str, set[int]] = {}
        self.first: set[tuple[str, int, int, int]] = set()
        self.ending: set[str] = set()
        self.running: dict[TaskId, TaskDescription] = {}
        self.stopping: set[TaskId] = set()
        self.seen: list[TaskDescription] = []
        self.opening: list[OpenShuffle] = []
        self.open: set[tuple[str, int]] = set()
        self.closing: list[CloseShuffle] = []
        self.wake: float | None = None
        self.winner: dict[tuple[str, int, int], int] = {}

    def feed(self, stimulus: Stimulus) -> None:
        before = self.state.running
        for instruction in self.state.handle(stimulus, self.now):
            self.carry_out(instruction)
        self.state.validate()
        grew = len(self.running) - before
        assert grew <= 0 or len(self.running) <= self.slots
        assert self.state.running == len(self.running)

    def carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Launch(task):
                self.check_launch(task)
                self.running[task.id] = task
                self.seen.append(task)
            case Stop(id):
                assert id in self.running
                assert id not in self.stopping
                self.stopping.add(id)
            case OpenShuffle():
                assert instruction.job not in self.ending
                self.opening.append(instruction)
            case CloseShuffle(job, shuffle):
                assert job in self.ending
                assert not any(id.job == job for id in self.running)
                self.open.remove((job, shuffle))
                self.closing.append(instruction)
            case Deliver():
                self.check_delivery(instruction)
            case PartitionDone(job, partition):
                assert job not in self.ending
                assert partition in self.requested[job]
                self.done[job].add(partition)
            case FailJob():
                assert instruction.job not in self.ending
                self.ending.add(instruction.job)
            case JobOver(job):
                self.check_over(job)
            case WakeAt(time):
                assert time > self.now
                self.wake = time
            case Emit() if isinstance(instruction.event, JobEnded):
                assert instruction.event.job in self.ending

    def check_launch(self, task: TaskDescription) -> None:
        assert task.id.job not in self.ending
        assert task.id not in self.running
        assert all(task.id != other.id for other in self.seen)
        for item in task.inputs:
            if isinstance(item.split, Manifest):
                self.check_manifest(task.id.job, item.split, fresh=task.continuation is None)

    def check_manifest(self, job: str, manifest: Manifest, *, fresh: bool) -> None:
        writers = {s.writes.shuffle: s for s in self.jobs[job].stages if s.writes}
        stage = writers[manifest.handle.shuffle]
        assert {line.map for line in manifest.outputs} == set(range(stage.tasks))
        newest: dict[int, int] = {}
        for line in manifest.outputs:
            newest[line.map] = max(line.attempt, newest.get(line.map, 0))
        if fresh and not self.policy.speculation:  # a second attempt shares the first one's
            assert newest == {map: self.winner[job, stage.id, map] for map in newest}
        links = {(line.map, line.attempt, line.link) for line in manifest.outputs}
        assert len(links) == len(manifest.outputs)

    def check_delivery(self, delivery: Deliver) -> None:
        id = delivery.result.id
        assert id.job not in self.ending
        self.winner[id.job, id.stage, id.partition] = id.attempt
        if delivery.first:
            key = (id.job, id.stage, id.partition, id.link)
            assert key not in self.first
            self.first.add(key)

    def check_over(self, job: str) -> None:
        assert job in self.ending
        assert not any(id.job == job for id in self.running)
        assert not any(name == job for name, _ in self.open)
        assert not any(each.job == job for each in self.opening)
        assert not any(each.job == job for each in self.closing)
        del self.jobs[job]

    # what users do

    @precondition(lambda self: len(self.jobs) < 3)
    @rule(shape=st.integers(0, 2), ask=st.booleans())
    def submit(self, shape: int, ask: bool) -> None:
        self.count += 1
        job = any_job(f"job{self.count}", shape)
        self.jobs[job.id] = job
        self.requested[job.id] = set()
        self.done[job.id] = set()
        self.feed(JobSubmitted(job))
        if ask:
            self.requested[job.id] = set(range(job.result_stage.tasks))
            self.feed(PartitionsRequested(job.id, tuple(self.requested[job.id])))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), partitions=st.lists(st.integers(-1, 5), max_size=6))
    def ask(self, data: st.DataObject, partitions: list[int]) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        count = self.jobs[job].result_stage.tasks
        self.requested[job] |= {p for p in partitions if 0 <= p < count}
        self.feed(PartitionsRequested(job, tuple(partitions)))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), release=st.booleans(), really=st.integers(0, 3))
    def end_job(self, data: st.DataObject, release: bool, really: int) -> None:
        if really:
            return
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        if release:
            self.ending.add(job)
            self.feed(JobReleased(job))
        else:
            self.feed(JobCancelled(job, errors.JobCancelledError("enough")))

    # what executors do

    def pick(self, data: st.DataObject) -> TaskDescription:
        """Something that runs, most of the time; else something that ran once."""
        alive = data.draw(st.integers(0, 9)) > 0
        tasks = list(self.running.values()) if self.running and alive else self.seen
        return data.draw(st.sampled_from(tasks))

    def leave(self, id: TaskId) -> None:
        self.running.pop(id, None)
        self.stopping.discard(id)

    def report(self, result: TaskResult) -> None:
        self.leave(result.id)
        self.feed(AttemptEnded(result))

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        self.report(succeeded(self.pick(data)))

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def run_out_of_time(self, data: st.DataObject) -> None:
        task = self.pick(data)
        if task.id.link < MAX_LINKS:
            written = succeeded(task).map_statuses
            after = Continuation(task.id.link + 1, (task.id.link, "position"), None, written)
            self.report(TaskResult(task.id, continuation=after))

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), kind=st.sampled_from([*KINDS * 3, "ThrottledError", "TaskError"]))
    def fail(self, data: st.DataObject, kind: str) -> None:
        self.report(TaskResult(self.pick(data).id, failure=TaskFailure(kind, "boom")))

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), maps=st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3]), max_size=2))
    def miss_frames(self, data: st.DataObject, maps: list[int]) -> None:
        readers = [
            task
            for task in self.running.values()
            if any(isinstance(i.split, Manifest) for i in task.inputs)
        ]
        task = data.draw(st.sampled_from(readers)) if readers else self.pick(data)
        id = task.id
        read = [i.split.handle.shuffle for i in task.inputs if isinstance(i.split, Manifest)]
        shuffle = data.draw(st.sampled_from(read or [10, 11, 12]))
        self.leave(id)
        self.feed(AttemptLost(id, errors.FetchFailedError("x", shuffle=shuffle, maps=tuple(maps))))

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), throttled=st.booleans())
    def lose(self, data: st.DataObject, throttled: bool) -> None:
        id = self.pick(data).id
        self.leave(id)
        error = errors.ThrottledError("429") if throttled else errors.WorkerLostError("gone")
        self.feed(AttemptLost(id, error))

    @precondition(lambda self: self.stopping)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.stopping, key=str)))
        self.leave(id)
        self.feed(AttemptStopped(id))

    # what the transport does

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), works=st.integers(0, 9), twice=st.booleans())
    def answer_open(self, data: st.DataObject, works: int, twice: bool) -> None:
        wanted = self.opening.pop(data.draw(st.integers(0, len(self.opening) - 1)))
        self.answer(wanted, works=bool(works))
        if twice:
            self.feed(ShuffleOpened(wanted.job, wanted.shuffle, handle(99, 1)))

    def answer(self, wanted: OpenShuffle, *, works: bool) -> None:
        job, shuffle = wanted.job, wanted.shuffle
        if works:
            self.open.add((job, shuffle))
            self.feed(ShuffleOpened(job, shuffle, handle(shuffle, wanted.partitions, job)))
        else:
            self.feed(ShuffleOpenFailed(job, shuffle, OSError("no room")))

    @precondition(lambda self: self.closing)
    @rule()
    def answer_close(self) -> None:
        wanted = self.closing.pop()
        self.feed(ShuffleClosed(wanted.job, wanted.shuffle))

    # what else happens

    @rule(steps=st.integers(1, 20))
    def go_well(self, steps: int) -> None:
        """Let things run their course for a while, to reach what comes late in a job."""
        for _ in range(steps):
            self.play_one()

    @precondition(lambda self: len(self.running) > 1)
    @rule(data=st.data())
    def leave_one_behind(self, data: st.DataObject) -> None:
        """Let all that runs succeed but one, which is slow."""
        slow = data.draw(st.sampled_from(list(self.running)))
        for id, task in list(self.running.items()):
            if id != slow and id in self.running:
                self.now += 0.1
                self.report(succeeded(task))

    @rule(slots=st.integers(0, 6))
    def change_slots(self, slots: int) -> None:
        self.slots = slots
        self.feed(SlotsChanged(slots))

    @rule(seconds=st.floats(0, 30))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.wake = None
        self.feed(Tick())

    # the end

    def teardown(self) -> None:
        """From any state, with executors that work again, all that was asked for comes."""
        if not hasattr(self, "state"):
            return
        self.slots = max(self.slots, 1)
        self.feed(SlotsChanged(self.slots))
        self.play_on()
        for job, wanted in self.requested.items():
            assert job in self.ending or wanted <= self.done[job]
        for job in list(self.jobs):
            self.ending.add(job)
            self.feed(JobReleased(job))
        self.play_on()
        assert self.state.jobs == ()
        assert not self.open

    def play_on(self) -> None:
        for _ in range(10_000):
            if not self.play_one():
                return
        raise AssertionError("the jobs go on for ever")

    def play_one(self) -> bool:
        if self.opening:
            self.answer(self.opening.pop(), works=True)
        elif self.closing:
            self.answer_close_now()
        elif self.stopping:
            id = next(iter(self.stopping))
            self.leave(id)
            self.feed(AttemptStopped(id))
        elif self.running:
            self.report(succeeded(next(iter(self.running.values()))))
        elif self.wake is not None:
            self.now, self.wake = max(self.now, self.wake), None
            self.feed(Tick())
        else:
            return False
        return True

    def answer_close_now(self) -> None:
        wanted = self.closing.pop()
        self.feed(ShuffleClosed(wanted.job, wanted.shuffle))


TestWorld: Any = World.TestCase
TestWorld.settings = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
