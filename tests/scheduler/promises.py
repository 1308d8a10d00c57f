"""What the scheduler promises, each modelled by itself from what goes in and what comes out.

None looks inside the state machine. A model is told every stimulus before it is handled, then
hears every instruction in order, and is asked at last whether all came to its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aflint import errors, events
from aflint.counts import Counts
from aflint.map_outputs import sizes_of
from aflint.plan.planner import Job, Stage
from aflint.scheduler.messages import (
    GENERATION_BITS,
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    CloseShuffle,
    Deliver,
    Emit,
    FailJob,
    Instruction,
    JobOver,
    JobReleased,
    JobSubmitted,
    Launch,
    OpenShuffle,
    PartitionDone,
    PartitionsRequested,
    Recovery,
    ShuffleOpened,
    Stimulus,
    Stop,
    WakeAt,
)
from aflint.scheduler.policy import Policy, Verdict
from aflint.task import (
    Input,
    Manifest,
    ShuffleHandle,
    TaskDescription,
    TaskFailure,
    TaskId,
    TaskResult,
)
from tests.scheduler.recoveries import Links, is_usable

Place = tuple[str, int, int]
"""Job, stage, partition."""


class BrokenPromiseError(AssertionError):
    """The state machine did not keep a promise; `promise` names the model that saw it."""

    def __init__(self, promise: str, what: str) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise = promise


def place_of(id: TaskId) -> Place:
    return id.job, id.stage, id.partition


class Promise:
    """One model."""

    def told(self, stimulus: Stimulus) -> None:
        """Take in what is about to be handled."""

    def heard(self, instruction: Instruction) -> None:
        """Take in one instruction of the answer."""

    def answered(self) -> None:
        """Take in that this was the last one."""

    def hold(self, condition: bool, what: str) -> None:
        """Raise BrokenPromiseError unless the condition holds."""
        if not condition:
            raise BrokenPromiseError(type(self).__name__, what)


def _usable(job: Job, recovery: Recovery) -> dict[Place, Links]:
    """Return what need not run again, and what it came to."""
    found = recovery.results.items()
    return {(job.id, *at): links for at, links in found if is_usable(job, recovery, at)}


@dataclass
class Running:
    """Which attempts run, what they were told, and where readers of a dead driver are in the way.

    `clock` gives the latest time that the state machine was told.
    """

    clock: Callable[[], float]
    jobs: dict[str, Job] = field(default_factory=dict)
    contested: dict[tuple[str, int], float] = field(default_factory=dict)
    """Until when messages of a recovered shuffle may be hidden rather than lost."""
    tasks: dict[TaskId, TaskDescription] = field(default_factory=dict)
    stopping: set[TaskId] = field(default_factory=set)

    def submitted(self, job: Job, recovery: Recovery) -> bool:
        """Take in a job; say whether it is a new one."""
        if job.id in self.jobs:
            return False
        self.jobs[job.id] = job
        for shuffle in recovery.handles:
            self.contested[job.id, shuffle] = self.clock() + recovery.readers_s
        return True

    def heard(self, instruction: Instruction) -> None:
        match instruction:
            case Launch(task):
                self.tasks[task.id] = task
            case Stop(id):
                self.stopping.add(id)

    def ended(self, stimulus: Stimulus) -> TaskDescription | None:
        """Return the attempt that a stimulus ends, if it was still wanted."""
        if not isinstance(stimulus, AttemptEnded | AttemptLost | AttemptStopped):
            return None
        id = id_of(stimulus)
        task = self.tasks.pop(id, None)
        stopped = id in self.stopping
        self.stopping.discard(id)
        return None if stopped else task

    def at(self, place: Place) -> list[TaskId]:
        """Return the attempts of a task that run and are not being stopped."""
        return [id for id in self.tasks if place_of(id) == place and id not in self.stopping]

    def writer(self, job: str, shuffle: int) -> Stage:
        """Return the stage that writes a shuffle."""
        return next(s for s in self.jobs[job].stages if s.writes and s.writes.shuffle == shuffle)

    def missed(self, task: TaskDescription, stimulus: Stimulus) -> list[Place]:
        """Return the map tasks that a failure rightly says are lost: the attempt was to read them.

        Where it names others, or none, it is a failure like any other.
        """
        return self._named(task, *_named(stimulus)[:2])

    def hidden(self, task: TaskDescription, stimulus: Stimulus) -> bool:
        """Say whether what was missed may yet come: readers of a dead driver may hide it."""
        shuffle, maps, waited = _named(stimulus)
        until = self.contested.get((task.id.job, shuffle), self.clock())
        return waited and self.clock() < until and bool(self._named(task, shuffle, maps))

    def _named(self, task: TaskDescription, shuffle: int, maps: tuple[int, ...]) -> list[Place]:
        manifests = [item.split for item in task.inputs if isinstance(item.split, Manifest)]
        if shuffle not in [manifest.handle.shuffle for manifest in manifests]:
            return []
        stage = self.writer(task.id.job, shuffle)
        right = all(0 <= map < stage.tasks for map in maps)
        return [(task.id.job, stage.id, map) for map in maps] if right else []


@dataclass
class OneAcceptedAttempt(Promise):
    """Of each task one attempt is accepted; another only when what it gave was lost or is wanted
    again. What reduce tasks are told to read is what the accepted attempts wrote, and no other.

    What was accepted before a driver was killed, and is there yet, is accepted all the same; a
    value of then is given to who first asks.
    """

    running: Running
    accepted: dict[Place, tuple[int, tuple[TaskResult, ...]]] = field(default_factory=dict)
    """When an attempt was accepted, counted in acceptances, and its links."""
    forgotten: set[Place] = field(default_factory=set)
    """Those of the accepted which are lost, or wanted once more."""
    given: dict[Place, list[tuple[int, tuple[Input, ...]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """What attempts of a task were told to read, and when that was put together."""
    count: int = 0
    recovered: set[Place] = field(default_factory=set)
    """Values of an earlier driver that nobody has asked for yet."""
    ending: set[str] = field(default_factory=set)
    _due: dict[Place, TaskResult] = field(default_factory=dict)
    _links: list[TaskResult] = field(default_factory=list)

    def told(self, stimulus: Stimulus) -> None:
        self._links, self._due = [], {}
        match stimulus:
            case JobSubmitted(job, recovery) if self.running.submitted(job, recovery):
                usable = _usable(job, recovery)
                self.accepted |= {place: (0, links) for place, links in usable.items()}
                self.recovered |= {p for p in usable if p[1] == job.result_stage.id}
            case PartitionsRequested(job_id, partitions) if job_id in self.running.jobs:
                stage = self.running.jobs[job_id].result_stage.id
                self._asked({(job_id, stage, partition) for partition in partitions})
            case JobReleased(job_id):
                self.ending.add(job_id)
        task = self.running.ended(stimulus)
        if task is None or self.running.hidden(task, stimulus):
            return
        if lost := self.running.missed(task, stimulus):
            known = self.given[place_of(task.id)]
            at = next(at for at, inputs in reversed(known) if inputs == task.inputs)
            self._forget(lost, at)

    def _asked(self, places: set[Place]) -> None:
        """Take in that partitions are wanted: those of before are due, others are made again."""
        self._due = {p: self.accepted[p][1][-1] for p in places & self.recovered}
        self._forget([*(places - self.recovered)], self.count)
        self.recovered -= places

    def _forget(self, places: list[Place], at: int) -> None:
        self.forgotten |= {p for p in places if p in self.accepted and self.accepted[p][0] <= at}

    def heard(self, instruction: Instruction) -> None:
        self.running.heard(instruction)
        if isinstance(instruction, Deliver):
            self._links.append(instruction.result)
            return
        self._accept()
        match instruction:
            case Launch(task, speculative):
                self._launched(task, speculative)
            case FailJob(job):
                self.ending.add(job)
            case PartitionDone(job, partition, result):
                due = self._due.pop((job, result.id.stage, partition), result)
                self.hold(result is due, f"{result.id} is given in place of {due.id}")

    def answered(self) -> None:
        self._accept()
        late = [place for place in self._due if place[0] not in self.ending]
        self.hold(not late, f"{late} is there, and not given")

    def _accept(self) -> None:
        """Take a run of deliveries as the links of one attempt that was accepted."""
        links, self._links = tuple(self._links), []
        if not links:
            return
        place = place_of(links[0].id)
        self.hold(all(place_of(r.id) == place for r in links), f"{place} and others at once")
        self.hold([r.id.link for r in links] == [*range(len(links))], f"links of {place}")
        self.hold(place not in self.accepted, f"two attempts of {place} are accepted")
        self.count += 1
        self.accepted[place] = self.count, links

    def _launched(self, task: TaskDescription, speculative: bool) -> None:
        place = place_of(task.id)
        if place in self.accepted:
            self.hold(place in self.forgotten, f"{task.id} runs, and {place} is accepted")
            self.forgotten.discard(place)
            del self.accepted[place]
        manifests = [item.split for item in task.inputs if isinstance(item.split, Manifest)]
        if task.continuation is not None or speculative:
            known = [at for at, inputs in self.given[place] if inputs == task.inputs]
            self.hold(bool(known), f"{task.id} goes on with another input")
            self.given[place].append((known[-1], task.inputs))
            return
        for manifest in manifests:
            expected = list(self._outputs(place[0], manifest))
            found = [(o.map, o.attempt, o.link, o.frames, o.size) for o in manifest.outputs]
            self.hold(found == expected, f"{task.id} is to read {found}, not {expected}")
        self.given[place].append((self.count, task.inputs))

    def _outputs(self, job: str, manifest: Manifest) -> Iterator[tuple[int, int, int, int, int]]:
        stage = self.running.writer(job, manifest.handle.shuffle)
        for partition in range(stage.tasks):
            place = (job, stage.id, partition)
            there = place in self.accepted and place not in self.forgotten
            self.hold(there, f"{place} is read, and not there")
            statuses = {}
            for result in self.accepted[place][1]:
                for status in result.map_statuses:
                    statuses[status.map, status.attempt, status.link] = status
            for (map_, attempt, link), status in statuses.items():
                counts, sizes = Counts(status.frames), sizes_of(status)
                if count := counts[manifest.partition]:
                    yield map_, attempt, link, count, sizes[manifest.partition]


@dataclass
class BoundedAttempts(Promise):
    """Each attempt has its reason, a task is lost `max_attempts` times at most, map tasks are run
    again `max_fetch_rounds` times at most, and two attempts run at once only by speculation.

    The numbers of attempts are those of no other driver of the run.
    """

    policy: Policy
    running: Running
    generations: dict[str, int] = field(default_factory=dict)
    losses: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    reruns: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    asked: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    owed: dict[Place, int] = field(default_factory=lambda: defaultdict(lambda: 1))
    """Launches that have a reason, and have not been."""
    accepted: set[Place] = field(default_factory=set)
    used: set[TaskId] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    _broke: Place | None = None

    def told(self, stimulus: Stimulus) -> None:
        self._broke = None
        match stimulus:
            case JobSubmitted(job, recovery) if self.running.submitted(job, recovery):
                self.generations[job.id] = recovery.generation
                for place in _usable(job, recovery):
                    self.accepted.add(place)
                    self.owed[place] = 0
            case PartitionsRequested(job_id, partitions) if job_id in self.running.jobs:
                stage = self.running.jobs[job_id].result_stage.id
                for partition in set(partitions):
                    self.asked[job_id, stage, partition] += 1
            case JobReleased(job_id):
                self.failed.add(job_id)
        task = self.running.ended(stimulus)
        if task is not None:
            self._ended(task, stimulus)

    def _ended(self, task: TaskDescription, stimulus: Stimulus) -> None:
        place, kind = place_of(task.id), _kind_of(stimulus)
        if isinstance(stimulus, AttemptEnded) and stimulus.result.continuation is not None:
            self.owed[place] += 1
        if kind is None:
            return
        self.owed[place] += not self.running.at(place)
        if self.running.hidden(task, stimulus):
            return
        verdict = self.policy.judge(kind)
        refetched = verdict is Verdict.REFETCH and self.running.missed(task, stimulus)
        if verdict is Verdict.RETRY or (verdict is Verdict.REFETCH and not refetched):
            self.losses[place] += 1
            if self.losses[place] >= self.policy.max_attempts:
                self._broke = place

    def heard(self, instruction: Instruction) -> None:
        match instruction:
            case Launch(task, speculative):
                self._launched(task.id, speculative)
            case Deliver(result=result):
                self.accepted.add(place_of(result.id))
                self.losses[place_of(result.id)] = 0
            case FailJob(job):
                self.failed.add(job)
        self.running.heard(instruction)

    def answered(self) -> None:
        if self._broke is not None:
            self.hold(self._broke[0] in self.failed, f"{self._broke} is lost again and again")

    def _launched(self, id: TaskId, speculative: bool) -> None:
        place, beside = place_of(id), self.running.at(place_of(id))
        self.hold(id not in self.used, f"{id} is launched twice")
        self.used.add(id)
        generation = id.attempt >> GENERATION_BITS
        self.hold(generation == self.generations[id.job], f"{id} has a number of another driver")
        if place in self.accepted:
            self.accepted.discard(place)
            self._rerun(place)
        if speculative and beside:
            self.hold(self.policy.speculation, f"{id} is a second attempt that nobody wants")
            self.hold(len(beside) == 1, f"{place} runs three times at once")
            return
        self.hold(not beside or id.link > 0, f"{place} runs twice at once")
        self.owed[place] -= 1
        self.hold(self.owed[place] >= 0, f"{id} is launched without a reason")

    def _rerun(self, place: Place) -> None:
        """Take in that what was accepted is run once more."""
        self.owed[place] += 1
        self.reruns[place] += 1
        is_result = place[1] == self.running.jobs[place[0]].result_stage.id
        most = self.asked[place] - 1 if is_result else self.policy.max_fetch_rounds
        self.hold(self.reruns[place] <= most, f"{place} is run again for ever")


@dataclass
class NothingForFinishedJobs(Promise):
    """After its failure or release a job is only wound up; after its end there is not a word of it.
    What was never submitted is not spoken of, either.
    """

    state: dict[str, str] = field(default_factory=dict)
    """"runs", "ends" or "over", by job."""

    def told(self, stimulus: Stimulus) -> None:
        match stimulus:
            case JobSubmitted(job):
                self.state.setdefault(job.id, "runs")
            case JobReleased(job) if self.state.get(job) == "runs":
                self.state[job] = "ends"

    def heard(self, instruction: Instruction) -> None:
        if isinstance(instruction, WakeAt):
            return
        job = _job_of(instruction)
        state = self.state.get(job, "over")
        self.hold(state != "over", f"{instruction} is about a job that is over")
        match instruction:
            case Launch() | OpenShuffle() | Deliver() | PartitionDone() | FailJob():
                self.hold(state == "runs", f"{instruction} is about a job that ends")
                if isinstance(instruction, FailJob):
                    self.state[job] = "ends"
            case CloseShuffle() | JobOver():
                self.hold(state == "ends", f"{instruction} is about a job that runs")
                if isinstance(instruction, JobOver):
                    self.state[job] = "over"


@dataclass
class AccumulatorsOnce(Promise):
    """What a task accumulated counts when it is first accepted, by whichever driver of its run, and
    never again.
    """

    jobs: set[str] = field(default_factory=set)
    counted: dict[Place, list[TaskId]] = field(default_factory=dict)
    _first: dict[Place, list[TaskId]] = field(default_factory=lambda: defaultdict(list))
    results: list[TaskResult] = field(default_factory=list)

    def told(self, stimulus: Stimulus) -> None:
        self._first.clear()
        match stimulus:
            case JobSubmitted(job, recovery) if job.id not in self.jobs:
                self.jobs.add(job.id)
                self.counted |= {(job.id, *place): [] for place in recovery.delivered}
            case AttemptEnded(result):
                self.results.append(result)

    def heard(self, instruction: Instruction) -> None:
        if isinstance(instruction, Deliver):
            id = instruction.result.id
            place = place_of(id)
            new = place not in self.counted
            self.hold(instruction.first == new, f"{id} counts {'not' if new else 'again'}")
            known = any(instruction.result is each for each in self.results)
            self.hold(known, f"{id} is delivered and never came")
            if new:
                self._first[place].append(id)

    def answered(self) -> None:
        for place, ids in self._first.items():
            self.hold(len(set(ids)) == len(ids), f"a link of {place} counts twice")
            self.counted[place] = ids


@dataclass
class EventualEnd(Promise):
    """All that is asked for comes, once for each time that it is asked for after it came; each job
    that begins ends, once, and leaves nothing open. `stuck` is asked when nothing is left to do.
    """

    wanted: dict[str, set[int]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    open: dict[tuple[str, int], ShuffleHandle | None] = field(default_factory=dict)
    """Shuffles that are open, or being opened."""
    counts: dict[str, int] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    def told(self, stimulus: Stimulus) -> None:
        match stimulus:
            case JobSubmitted(job, recovery) if job.id not in self.counts:
                self.wanted[job.id] = set()
                self.counts[job.id] = job.result_stage.tasks
                self.open |= {(job.id, shuffle): h for shuffle, h in recovery.handles.items()}
            case ShuffleOpened(job_id, shuffle, handle):
                if (job_id, shuffle) in self.open and self.open[job_id, shuffle] is None:
                    self.open[job_id, shuffle] = handle
            case PartitionsRequested(job_id, partitions) if job_id in self.wanted:
                count = self.counts[job_id]
                self.wanted[job_id] |= {p for p in partitions if 0 <= p < count}
            case JobReleased(job_id):
                self.failed.add(job_id)

    def heard(self, instruction: Instruction) -> None:
        match instruction:
            case PartitionDone(job, partition):
                self.hold(partition in self.wanted[job], f"nobody wants {partition} of {job}")
                self.wanted[job].discard(partition)
            case FailJob(job):
                self.failed.add(job)
            case OpenShuffle(job, shuffle):
                self.hold((job, shuffle) not in self.open, f"shuffle {shuffle} is opened twice")
                self.open[job, shuffle] = None
            case CloseShuffle(job, shuffle, handle):
                self.hold((job, shuffle) in self.open, f"shuffle {shuffle} is closed twice")
                opened = self.open.pop((job, shuffle))
                self.hold(handle == opened, f"{handle} is closed, and {opened} is open")
            case Emit(events.JobStarted(job)):
                self.hold(job not in self.started, f"{job} starts twice")
                self.started.add(job)
            case Emit(events.JobEnded(job)):
                self.hold(job in self.started - self.ended, f"{job} ends twice")
                self.ended.add(job)
            case JobOver(job):
                self.hold(job in self.ended, f"{job} is over and did not end")

    def not_opened(self, job: str, shuffle: int) -> None:
        """Take in that a shuffle could not be opened: there is nothing to close."""
        self.open.pop((job, shuffle), None)

    def at_rest(self) -> None:
        """Check that nothing is waited for, as nothing is under way and no time will come."""
        for job, partitions in self.wanted.items():
            self.hold(job in self.failed or not partitions, f"{partitions} of {job} never come")

    def at_last(self) -> None:
        """Check that all jobs have ended, after they were released."""
        self.hold(self.started == self.ended, f"{self.started - self.ended} never end")
        self.hold(not self.open, f"{[*self.open]} stay open")


def id_of(stimulus: AttemptEnded | AttemptLost | AttemptStopped) -> TaskId:
    return stimulus.result.id if isinstance(stimulus, AttemptEnded) else stimulus.id


def _cause_of(stimulus: Stimulus) -> TaskFailure | Exception | None:
    match stimulus:
        case AttemptEnded(result):
            return result.failure
        case AttemptLost(error=error):
            return error
        case AttemptStopped():
            return errors.WorkerLostError("stopped")
    return None


def _kind_of(stimulus: Stimulus) -> type[BaseException] | None:
    """Return the class of the error that an attempt ended with, None for a success."""
    cause = _cause_of(stimulus)
    if isinstance(cause, TaskFailure):
        return errors.subclass_named(cause.kind) or errors.InternalError
    return None if cause is None else type(cause)


def _named(stimulus: Stimulus) -> tuple[int, tuple[int, ...], bool]:
    """Return the shuffle and the maps that a fetch failure names, and whether it waited."""
    cause = _cause_of(stimulus)
    if isinstance(cause, errors.FetchFailedError):
        return cause.shuffle, cause.maps, cause.waited
    if isinstance(cause, TaskFailure) and isinstance(cause.details.get("maps"), tuple):
        details = cause.details
        return details["shuffle"], details["maps"], details.get("waited", False)
    return -1, (), False


def _job_of(instruction: Instruction) -> str:
    match instruction:
        case Launch(task):
            return task.id.job
        case Stop(id):
            return id.job
        case WakeAt():
            raise AssertionError("a time belongs to no job")
        case Emit(event):
            if isinstance(event, events.TaskStarted | events.TaskEnded | events.TaskRecovered):
                return event.id.job
            assert not isinstance(
                event,
                events.RunStarted | events.RunEnded | events.QueryStarted | events.QueryEnded,
            )
            return event.job
        case _:
            return instruction.job
