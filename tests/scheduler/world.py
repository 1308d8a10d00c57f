"""Any order of stimuli, right and wrong ones, against the models of what the scheduler promises."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from aflint import errors
from aflint.plan.planner import Job, PlannedShuffle
from aflint.scheduler.machine import StateMachine
from aflint.scheduler.messages import (
    NOTHING,
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    CloseShuffle,
    Instruction,
    JobCancelled,
    JobOver,
    JobReleased,
    JobSubmitted,
    Launch,
    OpenShuffle,
    PartitionsRequested,
    ShuffleClosed,
    ShuffleOpened,
    ShuffleOpenFailed,
    SlotsChanged,
    Stimulus,
    Stop,
    Tick,
    WakeAt,
)
from aflint.scheduler.policy import Policy
from aflint.task import (
    Continuation,
    InSource,
    Manifest,
    TaskDescription,
    TaskFailure,
    TaskId,
    TaskResult,
)
from aflint.testing import succeeded
from tests.scheduler.builders import handle, make_job, reading_stage, source_stage, task_id
from tests.scheduler.promises import (
    AccumulatorsOnce,
    BoundedAttempts,
    EventualEnd,
    NothingForFinishedJobs,
    OneAcceptedAttempt,
    Place,
    Promise,
    Running,
    id_of,
    place_of,
)
from tests.scheduler.recoveries import any_recovery

KINDS = ["WorkerLostError", "TimedOutError", "OutOfMemoryError"]
OTHERS = ["ThrottledError", "TaskError", "an error that nobody knows"]
MAX_LINKS = 3
ENOUGH = errors.JobCancelledError("enough")


def any_job(id: str, shape: int) -> Job:
    if shape == 0:
        return make_job(source_stage(0, 5), id=id)
    first = source_stage(0, 3, PlannedShuffle(10, 3))
    if shape == 1:
        return make_job(first, reading_stage(1, 3, [(0, 10)]), id=id)
    second = source_stage(1, 2, PlannedShuffle(11, 3))
    third = reading_stage(2, 3, [(0, 10), (1, 11)], PlannedShuffle(12, 4))
    return make_job(first, second, third, reading_stage(3, 4, [(2, 12)]), id=id)


class World(RuleBasedStateMachine):
    """Plays executor, transport and user; remembers what it was told to do."""

    validated = True
    """Whether the state machine looks at itself, too."""

    @initialize(
        slots=st.sampled_from([0, 1, 2, 3, 6, 6, 6]),
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
        self.machine = StateMachine(self.policy, slots)
        self.end = EventualEnd()
        self.promises: list[Promise] = [
            OneAcceptedAttempt(Running(lambda: self.latest)),
            BoundedAttempts(self.policy, Running(lambda: self.latest)),
            NothingForFinishedJobs(),
            AccumulatorsOnce(),
            self.end,
        ]
        self.slots = slots
        self.broken = False  # what comes after a fault says nothing
        self.now = self.latest = 0.0
        self.count = 0
        self.jobs: dict[str, Job] = {}
        self.gone: list[Job] = []
        self.running: dict[TaskId, TaskDescription] = {}
        self.stopping: set[TaskId] = set()
        self.seen: list[TaskDescription] = []
        self.opening: list[OpenShuffle] = []
        self.opened: list[tuple[str, int]] = []
        self.recovered: set[tuple[str, int]] = set()
        self.closing: list[CloseShuffle] = []
        self.wake: float | None = None

    def feed(self, stimulus: Stimulus) -> list[Instruction]:
        """Have a stimulus handled; every model looks on."""
        broken, self.broken = self.broken, True
        found = self.handled(stimulus)
        self.broken = broken
        return found

    def handled(self, stimulus: Stimulus) -> list[Instruction]:
        self.latest = max(self.latest, self.now)
        before = len(self.running)
        if isinstance(stimulus, AttemptEnded | AttemptLost | AttemptStopped):
            self.running.pop(id_of(stimulus), None)
            self.stopping.discard(id_of(stimulus))
        for promise in self.promises:
            promise.told(stimulus)
        found = self.machine.handle(stimulus, self.now)
        for instruction in found:
            for promise in self.promises:
                promise.heard(instruction)
            self.carry_out(instruction)
        for promise in self.promises:
            promise.answered()
        # where slots are taken away, what runs goes on in them, as do its next links
        assert len(self.running) <= max(before, self.slots)
        if self.validated:
            self.machine.validate()
            assert self.machine.running == len(self.running)
        return found

    def ignored(self, stimulus: Stimulus) -> None:
        """Feed what is unknown, over or repeated: it changes nothing."""
        assert self.feed(stimulus) == [], stimulus

    def carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Launch(task):
                self.running[task.id] = task
                self.seen.append(task)
            case Stop(id):
                assert id in self.running
                assert id not in self.stopping
                self.stopping.add(id)
            case OpenShuffle():
                self.opening.append(instruction)
            case CloseShuffle(job):
                assert not any(id.job == job for id in self.running)
                self.closing.append(instruction)
            case JobOver(job):
                assert not any(id.job == job for id in self.running)
                assert not any(each.job == job for each in self.opening)
                assert not any(each.job == job for each in self.closing)
                self.gone.append(self.jobs.pop(job))
            case WakeAt(time):
                assert time > self.latest
                self.wake = time

    # what users do

    @precondition(lambda self: len(self.jobs) < 3)
    @rule(
        shape=st.sampled_from([0, 1, 1, 2, 2]),
        ask=st.integers(0, 4),
        before=st.none() | st.integers(0, 9999),
    )
    def submit(self, shape: int, ask: int, before: int | None) -> None:
        """Submit a job that begins, or that a driver before this one had begun."""
        self.count += 1
        job = any_job(f"job{self.count}", shape)
        self.jobs[job.id] = job
        recovery = NOTHING if before is None else any_recovery(job, Random(before))
        self.recovered |= {(job.id, shuffle) for shuffle in recovery.handles}
        self.opened += sorted(self.recovered - {*self.opened})
        self.feed(JobSubmitted(job, recovery))
        if ask:
            self.feed(PartitionsRequested(job.id, tuple(range(job.result_stage.tasks))))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), partitions=st.lists(st.integers(-1, 5), max_size=6))
    def ask(self, data: st.DataObject, partitions: list[int]) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.feed(PartitionsRequested(job, tuple(partitions)))

    @precondition(lambda self: self.jobs)
    @rule(
        data=st.data(),
        ways=st.lists(st.booleans(), min_size=1, max_size=2),
        really=st.integers(0, 3),
    )
    def end_job(self, data: st.DataObject, ways: list[bool], really: int) -> None:
        """Release or cancel a job, or one after the other: then the second is nothing."""
        if really:
            return
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.feed(JobReleased(job) if ways[0] else JobCancelled(job, ENOUGH))
        for released in ways[1:]:
            self.ignored(JobReleased(job) if released else JobCancelled(job, ENOUGH))

    # what executors do

    def pick(self, data: st.DataObject) -> TaskDescription:
        return data.draw(st.sampled_from(list(self.running.values())))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        self.feed(AttemptEnded(succeeded(self.pick(data))))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), stands_still=st.integers(0, 9))
    def run_out_of_time(self, data: st.DataObject, stands_still: int) -> None:
        task = self.pick(data)
        if task.id.link < MAX_LINKS:
            self.feed(AttemptEnded(continued(task, moved=bool(stands_still))))

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        kind=st.sampled_from([*KINDS * 3, *["FetchFailedError"] * 3, *OTHERS]),
        details=st.sampled_from([{}, {"shuffle": {}, "maps": 0}, {"maps": None}]),
    )
    def fail(self, data: st.DataObject, kind: str, details: dict[str, Any]) -> None:
        failure = TaskFailure(kind, "boom", details)
        self.feed(AttemptEnded(TaskResult(self.pick(data).id, failure=failure)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), times=st.integers(1, 5))
    def lose_again_and_again(self, data: st.DataObject, times: int) -> None:
        place = place_of(self.pick(data).id)
        for _ in range(times):
            for id in [id for id in self.running if place_of(id) == place]:
                self.feed(AttemptLost(id, errors.OutOfMemoryError("137")))

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        maps=st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3, -1]), max_size=2),
        reported=st.booleans(),
        right=st.integers(0, 5),
        waited=st.booleans(),
    )
    def miss_frames(
        self, data: st.DataObject, maps: list[int], reported: bool, right: int, waited: bool
    ) -> None:
        """Miss what a reduce task was to read; or name what it was not, or nothing sensible."""
        readers = self.readers()
        task = data.draw(st.sampled_from(readers)) if readers else self.pick(data)
        read = reads(task)
        shuffle = data.draw(st.sampled_from(read if read and right else [10, 11, 12, 99]))
        self.feed(missed(task, shuffle, maps, reported=reported, waited=waited))

    def readers(self) -> list[TaskDescription]:
        return [task for task in self.running.values() if reads(task)]

    @precondition(lambda self: len(self.readers()) > 1)
    @rule(data=st.data(), map=st.integers(0, 1), between=st.integers(0, 3))
    def miss_the_same(self, data: st.DataObject, map: int, between: int) -> None:
        """Two readers miss what one map wrote; it may have been run again in between."""
        one = data.draw(st.sampled_from(self.readers()))
        shuffle = data.draw(st.sampled_from(reads(one)))
        others = [t for t in self.readers() if shuffle in reads(t) and t.id.job == one.id.job]
        self.feed(missed(one, shuffle, [map]))
        for _ in range(between):
            for task in list(self.running.values()):
                if task.output is not None and task.output.shuffle == shuffle:
                    self.feed(AttemptEnded(succeeded(task)))
        for task in others:
            if task.id in self.running:
                self.feed(missed(task, shuffle, [map]))

    def resumed_readers(self) -> list[tuple[TaskDescription, int]]:
        """Return who reads a shuffle of an earlier driver, and which."""
        found = ((task, shuffle) for task in self.running.values() for shuffle in reads(task))
        return [(task, s) for task, s in found if (task.id.job, s) in self.recovered]

    @precondition(lambda self: self.resumed_readers())
    @rule(data=st.data(), map=st.integers(0, 1), waited=st.sampled_from([True, True, False]))
    def miss_what_was_recovered(self, data: st.DataObject, map: int, waited: bool) -> None:
        """Miss what is lost, or what a reader of a dead driver hides."""
        task, shuffle = data.draw(st.sampled_from(self.resumed_readers()))
        self.feed(missed(task, shuffle, [map], waited=waited))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.integers(0, 5))
    def lose(self, data: st.DataObject, how: int) -> None:
        id = self.pick(data).id
        if how == 0:
            self.feed(AttemptStopped(id))  # by somebody else
        else:
            throttled = errors.ThrottledError("429")
            self.feed(AttemptLost(id, throttled if how < 3 else errors.WorkerLostError("gone")))

    @precondition(lambda self: self.stopping)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.stopping, key=str)))
        self.feed(AttemptStopped(id))

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), how=st.integers(0, 4))
    def hear_again(self, data: st.DataObject, how: int) -> None:
        """Hear of an attempt that has ended, in whichever way, or that never was."""
        task = data.draw(st.sampled_from(self.seen))
        if task.id in self.running:
            return
        self.ignored(about(task, how))
        self.ignored(about(task, how))

    # what the transport does

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), works=st.integers(0, 9), again=st.integers(0, 2))
    def answer_open(self, data: st.DataObject, works: int, again: int) -> None:
        wanted = self.opening.pop(data.draw(st.integers(0, len(self.opening) - 1)))
        self.answer(wanted, works=bool(works))
        if again == 1:
            self.ignored(ShuffleOpened(wanted.job, wanted.shuffle, handle(99, 1)))
        elif again == 2:
            self.ignored(ShuffleOpenFailed(wanted.job, wanted.shuffle, OSError("late")))

    def answer(self, wanted: OpenShuffle, *, works: bool) -> None:
        job, shuffle = wanted.job, wanted.shuffle
        self.opened.append((job, shuffle))
        if works:
            self.feed(ShuffleOpened(job, shuffle, handle(shuffle, wanted.partitions, job)))
        else:
            self.end.not_opened(job, shuffle)
            self.feed(ShuffleOpenFailed(job, shuffle, OSError("no room")))

    @precondition(lambda self: self.closing)
    @rule(again=st.booleans())
    def answer_close(self, again: bool = False) -> None:
        wanted = self.closing.pop()
        self.feed(ShuffleClosed(wanted.job, wanted.shuffle))
        if again:
            self.ignored(ShuffleClosed(wanted.job, wanted.shuffle))

    @precondition(lambda self: self.opened)
    @rule(data=st.data())
    def close_unasked(self, data: st.DataObject) -> None:
        job, shuffle = data.draw(st.sampled_from(self.opened))
        if not any((each.job, each.shuffle) == (job, shuffle) for each in self.closing):
            self.ignored(ShuffleClosed(job, shuffle))

    # what nobody should do

    @rule(data=st.data(), what=st.integers(0, 9))
    def speak_of_the_unknown(self, data: st.DataObject, what: int) -> None:
        """Name a job that never was or is over, or repeat one that runs."""
        names = ["job0", *(job.id for job in self.gone)]
        job = data.draw(st.sampled_from(names))
        stranger = TaskDescription(
            task_id(0, 0, 99, job=job), make_job(source_stage(0, 1)).stages[0].program, ()
        )
        unknown: list[Stimulus] = [
            PartitionsRequested(job, (0, 1)),
            ShuffleOpened(job, 10, handle(10, 3, job)),
            ShuffleOpenFailed(job, 10, OSError("?")),
            ShuffleClosed(job, 10),
            JobCancelled(job, ENOUGH),
            *(about(stranger, how) for how in range(5)),
        ]
        self.ignored(unknown[what])
        for known in self.jobs.values():
            self.ignored(JobSubmitted(known))
            self.ignored(ShuffleOpened(known.id, 77, handle(77, 3, known.id)))
            if known.id not in self.end.failed:
                self.ignored(PartitionsRequested(known.id, (-1, 99)))

    # what else happens

    @rule(steps=st.integers(1, 12))
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
                self.feed(AttemptEnded(succeeded(task)))

    @precondition(lambda self: self.policy.speculation and len(self.running) > 1)
    @rule(data=st.data(), late=st.sampled_from([0, 0, 1, 2, 3, 4, None]), first=st.booleans())
    def be_overtaken(self, data: st.DataObject, late: int | None, first: bool) -> None:
        """Have the slow run a second time; one of both wins, and then the other comes, or not."""
        self.leave_one_behind(data)
        self.now += 100
        self.tick()
        for twins in self.twins():
            if not all(task.id in self.running for task in twins):
                continue
            winner, loser = twins if first else twins[::-1]
            self.feed(AttemptEnded(succeeded(winner)))
            if late is not None and loser.id in self.running:
                self.feed(about(loser, late))

    def twins(self) -> list[list[TaskDescription]]:
        """Return the attempts of those tasks that run twice."""
        by_place: dict[Place, list[TaskDescription]] = {}
        for id, task in self.running.items():
            if id not in self.stopping:
                by_place.setdefault(place_of(id), []).append(task)
        return [tasks for tasks in by_place.values() if len(tasks) == 2]

    @rule(slots=st.integers(0, 6))
    def change_slots(self, slots: int) -> None:
        self.slots = slots
        self.feed(SlotsChanged(slots))

    @rule(seconds=st.floats(-20, 30))
    def pass_time(self, seconds: float) -> None:
        """Let the clock go on or step back; a Tick may come too early."""
        self.now = max(0.0, self.now + seconds)
        self.tick()

    def tick(self) -> None:
        if self.wake is not None and self.wake <= self.now:
            self.wake = None
        self.feed(Tick())

    # the end

    def teardown(self) -> None:
        """From any state, with executors that work again, all that was asked for comes."""
        if not hasattr(self, "machine") or self.broken:
            return
        self.slots = max(self.slots, 1)
        self.feed(SlotsChanged(self.slots))
        self.play_on()
        self.end.at_rest()
        for job in list(self.jobs):
            self.feed(JobReleased(job))
        self.play_on()
        self.end.at_last()
        assert self.machine.jobs == ()

    def play_on(self) -> None:
        for _ in range(10_000):
            if not self.play_one():
                return
        self.end.hold(False, "the jobs go on for ever")

    def play_one(self) -> bool:
        if self.opening:
            self.answer(self.opening.pop(), works=True)
        elif self.closing:
            self.answer_close()
        elif self.stopping:
            self.feed(AttemptStopped(min(self.stopping, key=str)))
        elif self.running:
            self.feed(AttemptEnded(succeeded(next(iter(self.running.values())))))
        elif self.wake is not None:
            self.now, self.wake = max(self.now, self.wake), None
            self.feed(Tick())
        else:
            return False
        return True


def continued(task: TaskDescription, *, moved: bool = True) -> TaskResult:
    written = succeeded(task).map_statuses
    before = task.continuation
    position = before.position if before and not moved else InSource(task.id.link)
    return TaskResult(task.id, map_statuses=written, continuation=Continuation(position))


def reads(task: TaskDescription) -> list[int]:
    """Return the shuffles that an attempt reads."""
    return [i.split.handle.shuffle for i in task.inputs if isinstance(i.split, Manifest)]


def missed(
    task: TaskDescription,
    shuffle: int,
    maps: list[int],
    *,
    reported: bool = True,
    waited: bool = False,
) -> Stimulus:
    """Return how it is told that frames were missed: by the executor, or by the invoker."""
    if not reported:
        error = errors.FetchFailedError("x", shuffle=shuffle, maps=tuple(maps), waited=waited)
        return AttemptLost(task.id, error)
    details = {"shuffle": shuffle, "maps": tuple(maps), "waited": waited}
    failure = TaskFailure("FetchFailedError", "x", details)
    return AttemptEnded(TaskResult(task.id, failure=failure))


def about(task: TaskDescription, how: int) -> Stimulus:
    """Return one of the ways to hear of an attempt."""
    failure = TaskFailure("WorkerLostError", "again")
    return (
        AttemptEnded(succeeded(task)),
        AttemptEnded(TaskResult(task.id, failure=failure)),
        AttemptEnded(continued(task)),
        AttemptLost(task.id, errors.ThrottledError("429")),
        AttemptStopped(task.id),
    )[how]
