"""The scheduler's state machine: stimuli in, instructions out; no clock, no asyncio, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from aflint.scheduler import attempts, jobs, stages
from aflint.scheduler.messages import (
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    Instruction,
    JobCancelled,
    JobReleased,
    JobSubmitted,
    PartitionsRequested,
    ShuffleClosed,
    ShuffleOpened,
    ShuffleOpenFailed,
    ShufflesRequested,
    SlotsChanged,
    Stimulus,
    Tick,
    WakeAt,
)
from aflint.scheduler.policy import Concurrency, Policy
from aflint.scheduler.queues import take_next
from aflint.scheduler.state import JobRun, StageRun, State, TaskRun, TaskState

_REMEMBERED = 200


class StateMachine:
    """Decides for all jobs of a session.

    Work for one stimulus does not grow with the number of tasks: each is touched when it is first
    wanted, launched, ended and, where it reads a shuffle, when that is complete. Stimuli about
    jobs, attempts and shuffles that are unknown, over or repeated change nothing.
    """

    def __init__(self, policy: Policy | None = None, slots: int = 1, places: bool = False) -> None:
        policy = policy or Policy()
        self._state = State(policy, Concurrency(policy, slots), places=places)
        self._recent: deque[tuple[float, tuple[object, ...]]] = deque(maxlen=_REMEMBERED)

    @property
    def running(self) -> int:
        """How many attempts occupy a slot."""
        return self._state.concurrency.running

    @property
    def jobs(self) -> tuple[str, ...]:
        """The ids of the jobs that are not over."""
        return tuple(self._state.jobs)

    def handle(self, stimulus: Stimulus, now: float) -> list[Instruction]:
        """Take in what happened, and return what is to be done, in this order.

        `now` is in seconds of any clock; if it runs backwards, time stands still here.
        """
        state = self._state
        out: list[Instruction] = []
        state.out = out
        state.now = max(now, state.now)
        self._recent.append((state.now, gist(stimulus)))
        self._dispatch(stimulus)
        for action in state.timers.due(state.now):
            action()
        self._fill_slots()
        # Last, when all timers of this stimulus are set: one WakeAt at most.
        wake = state.timers.announce()
        if wake is not None:
            out.append(WakeAt(wake))
        return out

    def forget(self, files: Iterable[str]) -> None:
        """Forget who holds cached partitions that are no longer read."""
        for file in files:
            self._state.holders.pop(file, None)

    def history(self) -> str:
        """Return the latest stimuli in words, a line each, oldest first."""
        return "\n".join(f"{now:.3f} {' '.join(map(str, words))}" for now, words in self._recent)

    def validate(self) -> None:
        """Check every invariant. It looks at everything: for tests.

        Raises AssertionError with the latest stimuli as a note.
        """
        try:
            _check(self._state)
        except AssertionError as error:
            error.add_note(f"The last stimuli, oldest first:\n{self.history()}")
            raise

    def _dispatch(self, stimulus: Stimulus) -> None:
        state = self._state
        match stimulus:
            # It comes for every task; fields in a pattern take their time.
            case AttemptEnded():
                attempts.ended(state, stimulus.result)
            case AttemptLost(id, error):
                attempts.lost(state, id, error)
            case AttemptStopped(id):
                attempts.stopped(state, id)
            case JobSubmitted(submitted, recovery):
                jobs.submitted(state, submitted, recovery)
            case PartitionsRequested(job, partitions):
                stages.requested(state, job, partitions)
            case ShufflesRequested(job):
                stages.shuffles_requested(state, job)
            case ShuffleOpened(job, shuffle, handle):
                stages.shuffle_opened(state, job, shuffle, handle)
            case ShuffleOpenFailed(job, shuffle, error):
                stages.shuffle_open_failed(state, job, shuffle, error)
            case ShuffleClosed(job, shuffle):
                stages.shuffle_closed(state, job, shuffle)
            case JobCancelled(job, error):
                jobs.cancelled(state, job, error)
            case JobReleased(job, reason):
                jobs.released(state, job, reason)
            case SlotsChanged(slots):
                state.concurrency.slots = slots
            case Tick():
                state.timers.fired()

    def _fill_slots(self) -> None:
        state = self._state
        while state.turns and state.concurrency.has_room(state.now):
            found = take_next(state)
            if found is None:
                return
            task, speculative = found
            attempts.launch(state, task, speculative=speculative)
        if state.turns and not state.ramping:
            self._wait_for_ramp()

    def _wait_for_ramp(self) -> None:
        opens = self._state.concurrency.opens_at(self._state.now)
        if opens is not None:
            self._state.ramping = True
            self._state.timers.at(opens, self._ramp_opens)

    def _ramp_opens(self) -> None:
        self._state.ramping = False


def gist(stimulus: Stimulus) -> tuple[object, ...]:
    """Return what a log should keep of a stimulus: ids and classes.

    A stimulus itself may hold a result of megabytes, or a traceback with all that its frames hold.
    """
    match stimulus:
        case AttemptEnded():
            result = stimulus.result
            if result.failure is not None:
                return "AttemptEnded", result.id, result.failure.kind
            return "AttemptEnded", result.id, "done" if result.continuation is None else "cut"
        case AttemptLost(id, error):
            return "AttemptLost", id, type(error).__name__
        case AttemptStopped(id):
            return "AttemptStopped", id
        case JobSubmitted(job):
            return "JobSubmitted", job.id
        case PartitionsRequested(job_id, partitions):
            return "PartitionsRequested", job_id, partitions[:8], len(partitions)
        case ShuffleOpened(job_id, shuffle) | ShuffleClosed(job_id, shuffle):
            return type(stimulus).__name__, job_id, shuffle
        case ShuffleOpenFailed(job_id, shuffle, error):
            return "ShuffleOpenFailed", job_id, shuffle, type(error).__name__
        case JobCancelled(job_id, error):
            return "JobCancelled", job_id, type(error).__name__
        case JobReleased(job_id) | ShufflesRequested(job_id):
            return type(stimulus).__name__, job_id
        case SlotsChanged(slots):
            return "SlotsChanged", slots
        case Tick():
            return ("Tick",)


# Invariants: what always holds between two stimuli.


def _check(state: State) -> None:
    """Raise AssertionError for the first invariant that does not hold."""
    _check_slots(state)
    _check_reading(state)
    for job in state.jobs.values():
        _check_job(state, job)
        for stage in job.runs:
            _check_stage(stage)
            for task in stage.tasks.values():
                _check_task(state, task)


def _check_slots(state: State) -> None:
    running = state.concurrency.running
    _hold(running == len(state.attempts), "every running attempt is counted once")
    in_jobs = sum(len(job.running) for job in state.jobs.values())
    _hold(in_jobs == running, "what runs belongs to a job that is not over")
    for id, attempt in state.attempts.items():
        _hold(id == attempt.id, f"{id} is filed under its own id")
        _hold(attempt in attempt.task.running, f"{id} is known to its task")
    for job in state.turns.values():
        _hold(state.jobs.get(job.id) is job, f"job {job.id} takes turns only while it exists")


def _check_job(state: State, job: JobRun) -> None:
    queued = bool(job.ready or job.placed or job.backups)
    _hold(queued == (job.id in state.turns), f"job {job.id} takes turns while it has work")
    if job.ending:
        _hold(not queued, f"nothing of ending job {job.id} is queued")
        stopping = all(attempt.stopping for attempt in job.running)
        _hold(stopping, f"everything of ending job {job.id} is being stopped")
        waits = job.running or any(s.opening or s.closing for s in job.writers.values())
        _hold(bool(waits), f"ending job {job.id} waits for something")


def _check_stage(stage: StageRun) -> None:
    name = f"stage {stage.stage.id} of job {stage.job.id}"
    missing = sum(not task.accepted for task in stage.tasks.values())
    _hold(missing == stage.missing, f"{name} knows what it misses")
    if stage.job.ending:
        return
    _hold(not (stage.complete and stage.waiters), f"no task waits for {name}, which is complete")
    accepted = {task.partition for task in stage.tasks.values() if task.accepted}
    if stage.stage.writes is not None:
        _hold(stage.outputs.keys() == accepted, f"{name} has the outputs of what it accepted")


def _check_task(state: State, task: TaskRun) -> None:
    alive = [attempt for attempt in task.running if not attempt.stopping]
    _hold(len(alive) <= 2, f"{task} runs twice at most")
    _hold(task.failures <= state.policy.max_attempts, f"{task} has bounded attempts")
    _hold(not (task.accepted and alive), f"{task} does not run once it is accepted")
    if task.stage.job.ending:
        return
    running = task.state is TaskState.RUNNING
    _hold(running == bool(alive), f"{task} is RUNNING exactly while an attempt runs")
    if not task.stage.speculates:
        _hold(len(alive) <= 1, f"{task} is not speculated on")
    job = task.stage.job
    queued = sum(queue.count(task) for queue in (job.ready, *job.placed.values()))
    _hold(queued == (task.state is TaskState.READY), f"{task} is queued once while it is READY")
    waits = sum(parent.waiters.count(task) for parent in task.reads)
    waits += sum(waiting.count(task) for waiting in state.reading.values())
    may_write = task.stage.stage.writes is None or task.stage.handle is not None
    waiting = task.state is TaskState.WAITING and may_write
    _hold(waits == waiting, f"{task} waits for one shuffle while it is WAITING, its own open")


def _check_reading(state: State) -> None:
    held = [each for attempt in state.attempts.values() for each in attempt.reads]
    _hold(len(held) == len(set(held)), "what is read by one at a time has one reader")
    _hold(set(held) == state.reading.keys(), "what is reserved is being read")


def _hold(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(f"scheduler invariant broken: {what}")
