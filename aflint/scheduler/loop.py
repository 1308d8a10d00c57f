"""The asyncio shell of the state machine: carries instructions out, and reports what happened."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Final, Protocol, Self

from aflint.aio import to_the_end
from aflint.errors import (
    AflintError,
    InternalError,
    InvalidArgumentError,
    JobCancelledError,
    SessionError,
)
from aflint.events import EventStream, Listener
from aflint.invoker.base import Invoker
from aflint.plan.planner import Job
from aflint.scheduler.failures import as_error
from aflint.scheduler.machine import StateMachine
from aflint.scheduler.messages import (
    NOTHING,
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    CloseShuffle,
    Deliver,
    Emit,
    FailJob,
    Instruction,
    JobCancelled,
    JobOver,
    JobReleased,
    JobSubmitted,
    Launch,
    OpenShuffle,
    PartitionDone,
    PartitionsRequested,
    Recovery,
    ShuffleClosed,
    ShuffleOpened,
    ShuffleOpenFailed,
    ShufflesDone,
    ShufflesRequested,
    SlotsChanged,
    Stimulus,
    Stop,
    Tick,
    WakeAt,
)
from aflint.scheduler.policy import Policy
from aflint.task import MapStatus, ShuffleHandle, TaskDescription, TaskId, TaskResult

_log = logging.getLogger("aflint.scheduler")

Acceptor = Callable[[TaskResult, bool], None]
TakeOver = Callable[[int, ShuffleHandle, Mapping[int, tuple[MapStatus, ...]] | None], bool]
"""Given a shuffle's number in its job, its handle and, if it is whole, its output; returns whether
it was taken over.
"""
ReadValue = Callable[[TaskResult], Awaitable[Any]]
"""Returns the value that a result holds, or says where it lies."""
Made = Mapping[int, Mapping[int, tuple[MapStatus, ...]]]
"""By shuffle, the statuses of its map partitions."""
_Answer = tuple[int, TaskResult]
_Outcome = AttemptEnded | AttemptLost


class ShuffleService(Protocol):
    """Opens and closes shuffles; every `aflint.transport.base.Transport` is one."""

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Make ready what the shuffle needs."""
        ...

    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere."""
        ...


CloseShuffles = Callable[[ShuffleHandle], Awaitable[None]]


class Scheduler:
    """Runs jobs side by side on one invoker. An async context manager, entered once.

    `listeners` are called with every event, on the loop, as EventStream does. `close` closes a
    shuffle, in place of the service. `clock` gives seconds, by default the loop's. Leaving the
    context cancels the jobs that still run, and returns when nothing of them is left.
    """

    def __init__(
        self,
        invoker: Invoker,
        shuffles: ShuffleService,
        policy: Policy | None = None,
        *,
        listeners: Sequence[Listener] = (),
        close: CloseShuffles | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._invoker = invoker
        self._shuffles = shuffles
        self._close_shuffle = close or shuffles.close
        self.events = EventStream(listeners)
        self._clock = clock
        self._entered = False
        # What broke the scheduler itself: from then on nothing is decided any more.
        self._fault: InternalError | None = None
        # The invoker's slots as the machine knows them.
        self._slots = invoker.slots
        self._machine = StateMachine(policy, self._slots, invoker.places)
        self._jobs: dict[str, RunningJob] = {}
        # By attempt, the runner that it keeps busy.
        self._runners: dict[TaskId, _Runner] = {}
        # The runner whose attempt has just ended, while its outcome is decided.
        self._free: _Runner | None = None
        # Stimuli that are not decided yet, with the time at which an alarm was due.
        self._inbox: deque[tuple[Stimulus, float]] = deque()
        self._draining = False
        self._cycles = _Cycles()

    async def __aenter__(self) -> Self:
        clock = self._clock or asyncio.get_running_loop().time
        self._alarm = _Alarm(clock, lambda time: self._post(Tick(), time))
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered = False
        running = list(self._jobs.values())
        for job in running:
            self.cancel(job.job.id, JobCancelledError(f"job {job.job.id}: its session ended"))
        try:
            for job in running:
                await to_the_end(job.over)
        finally:
            await self._group.__aexit__(None, None, None)
            self._alarm.cancel()

    @asynccontextmanager
    async def run(
        self,
        job: Job,
        *,
        on_accept: Acceptor | None = None,
        on_open: Callable[[ShuffleHandle], None] | None = None,
        on_left: TakeOver | None = None,
        recovery: Recovery = NOTHING,
        read: ReadValue | None = None,
    ) -> AsyncIterator[RunningJob]:
        """Run a job for as long as the context is open; ask the RunningJob for its results.

        `read` turns a result into the value that its action works with. `on_accept(result, first)`
        is called for each accepted result, once for each link of a chained task, and `on_open` with
        each shuffle that was opened; what they raise fails the job. `on_left` is offered each
        shuffle when the job is done with it: one that it takes over is not closed. `recovery` is
        what there is of the job before it begins.

        Leaving the context, in any way, stops what still runs of the job, closes its shuffles
        and waits for both; a cancellation meanwhile is raised afterwards. Raises
        InvalidArgumentError where a job of that id is running.
        """
        if job.id in self._jobs:
            raise InvalidArgumentError(f"a job with the id {job.id!r} is running already")
        self._check_usable()
        self._cycles.jobs_run()
        running = self._jobs[job.id] = RunningJob(
            job,
            self._request,
            on_accept or _ignore,
            on_open or _ignore,
            on_left or _decline,
            read or _as_it_is,
        )
        self._post(JobSubmitted(job, recovery))
        reason = ""
        try:
            yield running
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            raise
        finally:
            # `over` is set once nothing of the job runs or is open.
            self._post(JobReleased(job.id, reason))
            over = JobCancelledError(f"job {job.id} is over: its run() context was left")
            running.fail(over)
            await to_the_end(running.over)
            # Its error has a traceback, whose frames hold the job, and the RDDs of the program:
            # they would outlive the action until Python looks for cycles, and shuffles with them.
            running.error = over
            if not self._jobs:
                self._cycles.no_job_runs()

    def cancel(self, job_id: str, reason: AflintError | None = None) -> bool:
        """Fail a job with `reason`, by default a JobCancelledError; returns whether it was running.

        Its attempts are stopped and its shuffles closed; other jobs go on.
        """
        if job_id not in self._jobs:
            return False
        self._post(JobCancelled(job_id, reason or JobCancelledError(f"job {job_id} was cancelled")))
        return True

    def forget(self, files: Sequence[str]) -> None:
        """Have executors drop what they hold of cached partitions, by the partitions' files."""
        self._machine.forget(files)
        self._invoker.drop(files)

    def _request(self, job: str, partitions: tuple[int, ...] | None) -> None:
        """Ask for partitions of the result stage, or for the shuffles that it reads."""
        if partitions is None:
            self._post(ShufflesRequested(job))
        else:
            self._post(PartitionsRequested(job, partitions))

    def _post(self, stimulus: Stimulus, due: float = 0.0) -> None:
        """Have a stimulus decided and its instructions carried out, before returning.

        A stimulus that is posted meanwhile is decided next, by the outermost call.
        """
        self._inbox.append((stimulus, due))
        if self._draining or self._fault is not None:
            return
        self._draining = True
        try:
            while self._inbox:
                self._decide(*self._inbox.popleft())
        except Exception as error:
            self._break(error)
        finally:
            self._draining = False

    def _break(self, error: Exception) -> None:
        """Fail every job after a fault in the scheduler itself: none may wait for ever."""
        self._fault = InternalError(f"the scheduler failed: {error!r}; please report it")
        self._fault.__cause__ = error
        _log.critical(
            "the scheduler failed; its last stimuli, oldest first:\n%s",
            self._machine.history(),
            exc_info=error,
        )
        for runner in self._runners.values():
            runner.stop()
        # Their shuffles may stay behind: only the machine knew what was to be closed.
        for job in self._jobs.values():
            job.fail(self._fault)
            job.over.set_result(None)
        self._jobs.clear()

    def _check_usable(self) -> None:
        if self._fault is not None:
            raise self._fault
        if not self._entered:
            raise SessionError("a scheduler runs jobs only inside its `async with`")

    def _decide(self, stimulus: Stimulus, due: float) -> None:
        now = max(self._alarm.clock(), due)  # a timer of the loop may fire a little early
        if self._invoker.slots != self._slots:
            self._slots = self._invoker.slots
            self._carry_out(self._machine.handle(SlotsChanged(self._slots), now))
        self._carry_out(self._machine.handle(stimulus, now))

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                # The first four come for every task; fields in a pattern take their time.
                case Emit():
                    self.events.emit(instruction.event)
                case Launch():
                    self._launch(instruction.task)
                case Deliver():
                    job = instruction.job
                    accept = self._jobs[job].on_accept
                    self._tell(job, accept, instruction.result, instruction.first)
                case PartitionDone():
                    done = instruction
                    self._jobs[done.job].deliver(done.partition, done.result)
                case ShufflesDone(job, outputs):
                    self._jobs[job].made(outputs)
                case Stop(id):
                    self._stop(id)
                case WakeAt(time):
                    self._alarm.set(time)
                case OpenShuffle():
                    self._group.create_task(self._open(instruction))
                case CloseShuffle(job, shuffle, handle, outputs):
                    if self._jobs[job].on_left(shuffle, handle, outputs):
                        self._post(ShuffleClosed(job, shuffle))
                    else:
                        self._group.create_task(self._close(instruction))
                case FailJob(job, error):
                    self._jobs[job].fail(as_error(error))
                case JobOver(job):
                    self._jobs.pop(job).over.set_result(None)

    def _launch(self, described: TaskDescription) -> None:
        """Have an attempt run, by the runner that is free or by a new one."""
        runner, self._free = self._free, None
        if runner is not None:
            runner.attempt = described
        else:
            runner = _Runner(described)
            runner.task = self._group.create_task(self._run_attempts(runner))
            runner.task.add_done_callback(partial(self._runner_ended, runner))
        self._runners[described.id] = runner

    async def _run_attempts(self, runner: _Runner) -> None:
        """Run an attempt, and after it the one that takes its slot, as long as there is one."""
        # Stopped already: what it was handed was stopped while that was still being decided.
        while runner.attempt is not None and not runner.is_stopped():
            outcome = await self._invoke(runner.attempt)
            del self._runners[runner.attempt.id]
            runner.attempt = None
            # One that was told to stop, and has a result all the same, is not used again.
            self._free = None if runner.is_stopped() else runner
            self._post(outcome)
            self._free = None

    def _runner_ended(self, runner: _Runner, task: asyncio.Task[None]) -> None:
        # It was stopped in the middle of an attempt, or before that began.
        if runner.attempt is not None:
            id = runner.attempt.id
            del self._runners[id]
            self._post(AttemptStopped(id))

    async def _invoke(self, task: TaskDescription) -> _Outcome:
        try:
            return AttemptEnded(await self._invoker.invoke(task))
        except AflintError as error:
            return AttemptLost(task.id, error)
        except Exception as error:
            wrapped = InternalError(f"{type(self._invoker).__name__} failed: {error!r}")
            wrapped.__cause__ = error
            return AttemptLost(task.id, wrapped)

    def _stop(self, id: TaskId) -> None:
        runner = self._runners.get(id)
        if runner is not None:
            runner.stop()

    async def _open(self, wanted: OpenShuffle) -> None:
        job, shuffle = wanted.job, wanted.shuffle
        try:
            handle = await self._shuffles.open(job, shuffle, wanted.partitions)
        except AflintError as error:
            self._post(ShuffleOpenFailed(job, shuffle, error))
        except Exception as error:
            wrapped = InternalError(f"shuffle {shuffle} of job {job} was not opened: {error!r}")
            wrapped.__cause__ = error
            self._post(ShuffleOpenFailed(job, shuffle, wrapped))
        else:
            # Before the machine can launch a task: tasks write only to a shuffle that the journal
            # has.
            _log.debug("%s shuffle %d is open at %s", job, shuffle, handle.address)
            if job in self._jobs:
                self._tell(job, self._jobs[job].on_open, handle)
            self._post(ShuffleOpened(job, shuffle, handle))

    async def _close(self, wanted: CloseShuffle) -> None:
        try:
            await self._close_shuffle(wanted.handle)
        except Exception:
            # Not raised: the job has its answer, or its error, already.
            _log.exception(
                "shuffle %d of job %s was not removed; `aflint clean` removes what it left",
                wanted.shuffle,
                wanted.job,
            )
        else:
            _log.debug("%s shuffle %d is removed", wanted.job, wanted.shuffle)
        self._post(ShuffleClosed(wanted.job, wanted.shuffle))

    def _tell(self, job: str, listener: Callable[..., None], *news: Any) -> None:
        """Call one of a job's callbacks; what it raises fails the job."""
        try:
            listener(*news)
        except Exception as error:
            self._post(JobCancelled(job, error))


class RunningJob:
    """A job inside its `Scheduler.run` context: ask it for values, or for results as they are."""

    def __init__(
        self,
        job: Job,
        request: Callable[[str, tuple[int, ...] | None], None],
        on_accept: Acceptor,
        on_open: Callable[[ShuffleHandle], None],
        on_left: TakeOver,
        read: ReadValue,
    ) -> None:
        self.job = job
        # Set when nothing of the job runs or is open any more.
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: BaseException | None = None
        self.on_accept = on_accept
        self.on_open = on_open
        self.on_left = on_left
        self._request = request
        self._read = read
        self._waiting: dict[int, list[asyncio.Queue[_Answer | BaseException]]] = {}
        self._awaiting: list[asyncio.Queue[Made | BaseException]] = []
        # All that wait for anything.
        self._readers: set[asyncio.Queue[Any]] = set()

    @property
    def partitions(self) -> int:
        """How many partitions there are to ask for."""
        return self.job.result_stage.tasks

    async def values(self, partitions: Sequence[int]) -> list[Any]:
        """Compute partitions and return their values, in the order asked."""
        found = {partition: value async for partition, value in self.stream(partitions)}
        return [found[partition] for partition in partitions]

    async def stream(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Any]]:
        """Compute partitions and give (partition, value) as each finishes."""
        async for partition, result in self.results(partitions):
            yield partition, await self._read(result)

    async def results(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, TaskResult]]:
        """Yield (partition, result) for partitions of the result stage, in order of completion.

        May be used several times, and by several tasks at once; each call names what it wants.
        Raises InvalidArgumentError for a partition that the job does not have, and the error of
        the job as soon as it fails.
        """
        wanted = tuple(dict.fromkeys(partitions))
        self._check(wanted)
        answers: asyncio.Queue[_Answer | BaseException] = asyncio.Queue()
        self._readers.add(answers)
        for partition in wanted:
            self._waiting.setdefault(partition, []).append(answers)
        answer: _Answer | BaseException | None = None
        try:
            self._request(self.job.id, wanted)
            for _ in wanted:
                answer = await answers.get() if self.error is None else self.error
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            del answer  # an error holds this frame, which must not hold the error
            self._readers.discard(answers)
            self._forget(wanted, answers)

    async def shuffles(self) -> Made:
        """Have the shuffles made that the result stage reads, and return what they hold, by their
        numbers in the job. Raises the error of the job as soon as it fails.
        """
        answers: asyncio.Queue[Made | BaseException] = asyncio.Queue()
        self._readers.add(answers)
        self._awaiting.append(answers)
        answer: Made | BaseException | None = None
        try:
            self._request(self.job.id, None)
            answer = await answers.get() if self.error is None else self.error
            if isinstance(answer, BaseException):
                raise answer
            return answer
        finally:
            del answer  # as in `results`
            self._readers.discard(answers)

    def made(self, outputs: Made) -> None:
        """Hand what the shuffles hold to every `shuffles` that waits for it."""
        while self._awaiting:
            self._awaiting.pop().put_nowait(outputs)

    def deliver(self, partition: int, result: TaskResult) -> None:
        """Hand a finished partition to every `results` that waits for it."""
        for answers in self._waiting.pop(partition, ()):
            answers.put_nowait((partition, result))

    def fail(self, error: BaseException) -> None:
        """Have every `results`, now or later, raise `error`; the first error counts."""
        if self.error is None:
            self.error = error
            for answers in self._readers:
                answers.put_nowait(error)

    def _check(self, wanted: tuple[int, ...]) -> None:
        count = self.partitions
        for partition in wanted:
            if not 0 <= partition < count:
                raise InvalidArgumentError(
                    f"job {self.job.id} has no partition {partition}: it has {count}, from 0"
                )

    def _forget(
        self, wanted: tuple[int, ...], answers: asyncio.Queue[_Answer | BaseException]
    ) -> None:
        for partition in wanted:
            queues = self._waiting.get(partition)
            if queues is not None and answers in queues:
                queues.remove(answers)
                if not queues:
                    del self._waiting[partition]


class _Cycles:
    """How often Python looks for objects that only refer to each other: seldom while jobs run.

    By default it looks through the new objects whenever there are 700. Those of a thousand tasks
    under way are ten times as many, in no cycle, and would be looked at again and again: a fifth of
    the scheduler's time. Objects that nothing refers to go at once, as ever.
    """

    NEW_OBJECTS: Final = 50_000

    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None

    def jobs_run(self) -> None:
        """Look seldom, unless that is so already, or the program has them looked for never."""
        thresholds = gc.get_threshold()
        if 0 < thresholds[0] < self.NEW_OBJECTS:
            self._before = thresholds
            gc.set_threshold(self.NEW_OBJECTS, *thresholds[1:])

    def no_job_runs(self) -> None:
        """Look as often as before, unless the program has said otherwise meanwhile."""
        if self._before is not None and gc.get_threshold()[0] == self.NEW_OBJECTS:
            gc.set_threshold(*self._before)
        self._before = None


class _Runner:
    """One of the loop's tasks that runs attempts, one after the other: making a task for each takes
    half as long as deciding what to launch.
    """

    __slots__ = ("_stopped", "attempt", "task")

    task: asyncio.Task[None]

    def __init__(self, attempt: TaskDescription) -> None:
        # What it runs, or is about to.
        self.attempt: TaskDescription | None = attempt
        self._stopped = False

    def stop(self) -> None:
        """Stop what it runs, and all that it would have run after that."""
        self._stopped = True
        self.task.cancel()

    def is_stopped(self) -> bool:
        """Say whether it was told to stop. It may change while an attempt is awaited."""
        return self._stopped


class _Alarm:
    """One timer on the event loop: calls `ring` with the time that it was last set to."""

    def __init__(self, clock: Callable[[], float], ring: Callable[[float], None]) -> None:
        self.clock = clock
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, time: float) -> None:
        """Ring at `time` of the clock, in place of what was set before."""
        self.cancel()
        delay = max(0.0, time - self.clock())
        self._handle = asyncio.get_running_loop().call_later(delay, self._go_off, time)

    def cancel(self) -> None:
        """Do not ring."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _go_off(self, time: float) -> None:
        self._handle = None
        self._ring(time)


def _ignore(*news: object) -> None:
    """Stand in for a callback that is not given."""


def _decline(*offer: object) -> bool:
    """Stand in for an `on_left` that is not given."""
    return False


async def _as_it_is(result: TaskResult) -> TaskResult:
    """Stand in for a `read` that is not given."""
    return result
