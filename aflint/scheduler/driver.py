"""The asyncio shell of the scheduler: carries instructions out, and reports what happened."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from aflint.errors import (
    AflintError,
    InternalError,
    InvalidArgumentError,
    JobCancelledError,
    SessionError,
)
from aflint.events import Event
from aflint.invoker.base import Invoker
from aflint.plan import Job
from aflint.scheduler.alarm import Alarm
from aflint.scheduler.failures import as_error
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
from aflint.scheduler.recovery import NOTHING, Recovery
from aflint.scheduler.running import Acceptor, RunningJob, ignore
from aflint.scheduler.shuffles import ShuffleCarrier, ShuffleService
from aflint.scheduler.state import SchedulerState
from aflint.scheduler.stimuli import (
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    JobCancelled,
    JobReleased,
    JobSubmitted,
    PartitionsRequested,
    ShuffleOpened,
    SlotsChanged,
    Stimulus,
    Tick,
)
from aflint.task import ShuffleHandle, TaskDescription, TaskId

__all__ = ["Scheduler", "ShuffleService"]

_log = logging.getLogger(__name__)

_Outcome = AttemptEnded | AttemptLost


class Scheduler:
    """Runs jobs side by side on one invoker. An async context manager, entered once.

    `listener` is called with every event, on the loop; the first exception in it is logged, all
    are ignored. `clock` gives seconds; the loop's time where it is not given. Leaving the
    context cancels the jobs that still run, and returns when nothing of them is left.
    """

    def __init__(
        self,
        invoker: Invoker,
        shuffles: ShuffleService,
        policy: Policy | None = None,
        listener: Callable[[Event], None] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._invoker = invoker
        self._shuffles = ShuffleCarrier(shuffles, self._shuffle_changed)
        self._policy = policy or Policy()
        self._listener = listener
        self._listener_failed = False
        self._clock = clock
        self._entered = False
        self._fault: InternalError | None = None
        self._slots = invoker.slots
        self._state = SchedulerState(self._policy, self._slots)
        self._jobs: dict[str, RunningJob] = {}
        self._tasks: dict[TaskId, asyncio.Task[_Outcome]] = {}
        self._inbox: deque[tuple[Stimulus, float]] = deque()
        self._draining = False
        self._carriers: dict[type, Callable[[Any], object]] = {
            OpenShuffle: lambda i: self._group.create_task(self._shuffles.open(i)),
            CloseShuffle: lambda i: self._group.create_task(self._shuffles.close(i)),
            Launch: self._launch,
            Stop: self._stop,
            Deliver: self._deliver,
            PartitionDone: lambda i: self._jobs[i.job].deliver(i.partition, i.result),
            FailJob: lambda i: self._jobs[i.job].fail(as_error(i.error)),
            JobOver: lambda i: self._jobs.pop(i.job).over.set(),
            WakeAt: lambda i: self._alarm.set(i.time),
            Emit: lambda i: self._emit(i.event),
        }

    async def __aenter__(self) -> Self:
        clock = self._clock or asyncio.get_running_loop().time
        self._alarm = Alarm(clock, lambda time: self._post(Tick(), time))
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
                await _until(job.over)
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
        recovery: Recovery = NOTHING,
    ) -> AsyncIterator[RunningJob]:
        """Run a job for as long as the context is open; ask the RunningJob for its results.

        `on_accept(result, first)` is called for each accepted result, once for each link of a
        chained task, and `on_open` with each shuffle that was opened; what they raise fails the
        job. `recovery` is what there is of the job from a driver before this one. Leaving the
        context, in whichever way, stops what still runs of the job, closes its shuffles and waits
        for both; a cancellation meanwhile is raised afterwards. Raises InvalidArgumentError where
        a job of that id is running.
        """
        if job.id in self._jobs:
            raise InvalidArgumentError(f"a job with the id {job.id!r} is running already")
        self._check_usable()
        running = self._jobs[job.id] = RunningJob(
            job, self._request, on_accept or ignore, on_open or ignore
        )
        self._post(JobSubmitted(job, recovery))
        reason = ""
        try:
            yield running
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            raise
        finally:
            self._post(JobReleased(job.id, reason))
            running.fail(JobCancelledError(f"job {job.id} is over: its run() context was left"))
            await _until(running.over)

    def cancel(self, job_id: str, reason: AflintError | None = None) -> bool:
        """Fail a job with `reason`, by default a JobCancelledError; returns whether it was running.

        Its attempts are stopped and its shuffles closed; other jobs go on.
        """
        if job_id not in self._jobs:
            return False
        self._post(JobCancelled(job_id, reason or JobCancelledError(f"job {job_id} was cancelled")))
        return True

    def _request(self, job: str, partitions: tuple[int, ...]) -> None:
        self._post(PartitionsRequested(job, partitions))

    def _post(self, stimulus: Stimulus, due: float = 0.0) -> None:
        """Have a stimulus decided and its instructions carried out, before returning.

        Where that causes another stimulus, that one is decided next, by the outermost call.
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
        """Fail every job after a fault in the scheduler itself, so that nobody waits for ever."""
        self._fault = InternalError(f"the scheduler failed: {error!r}; please report it")
        self._fault.__cause__ = error
        _log.critical("the scheduler failed", exc_info=error)
        for task in self._tasks.values():
            task.cancel()
        for job in self._jobs.values():
            job.fail(self._fault)
            job.over.set()
        self._jobs.clear()

    def _check_usable(self) -> None:
        if self._fault is not None:
            raise self._fault
        if not self._entered:
            raise SessionError("a scheduler runs jobs only inside its `async with`")

    def _decide(self, stimulus: Stimulus, due: float) -> None:
        now = max(self._alarm.clock(), due)
        if self._invoker.slots != self._slots:
            self._slots = self._invoker.slots
            self._carry_out(self._state.handle(SlotsChanged(self._slots), now))
        self._carry_out(self._state.handle(stimulus, now))

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            self._carriers[type(instruction)](instruction)

    def _launch(self, instruction: Launch) -> None:
        id = instruction.task.id
        task = self._group.create_task(self._invoke(instruction.task))
        self._tasks[id] = task
        task.add_done_callback(lambda done: self._invoked(id, done))

    async def _invoke(self, task: TaskDescription) -> _Outcome:
        try:
            return AttemptEnded(await self._invoker.invoke(task))
        except AflintError as error:
            return AttemptLost(task.id, error)
        except Exception as error:
            wrapped = InternalError(f"{type(self._invoker).__name__} failed: {error!r}")
            wrapped.__cause__ = error
            return AttemptLost(task.id, wrapped)

    def _invoked(self, id: TaskId, task: asyncio.Task[_Outcome]) -> None:
        del self._tasks[id]
        self._post(AttemptStopped(id) if task.cancelled() else task.result())

    def _stop(self, instruction: Stop) -> None:
        task = self._tasks.get(instruction.id)
        if task is not None:
            task.cancel()

    def _deliver(self, instruction: Deliver) -> None:
        accept = self._jobs[instruction.job].on_accept
        self._tell(instruction.job, accept, instruction.result, instruction.first)

    def _shuffle_changed(self, stimulus: Stimulus) -> None:
        if isinstance(stimulus, ShuffleOpened) and stimulus.job in self._jobs:
            self._tell(stimulus.job, self._jobs[stimulus.job].on_open, stimulus.handle)
        self._post(stimulus)

    def _tell(self, job: str, listener: Callable[..., None], *news: Any) -> None:
        """Tell who runs a job what happened; what that raises fails the job."""
        try:
            listener(*news)
        except Exception as error:
            self._post(JobCancelled(job, error))

    def _emit(self, event: Event) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:
            if not self._listener_failed:
                self._listener_failed = True
                _log.exception("a listener failed at %s; later failures are not logged", event)


async def _until(event: asyncio.Event) -> None:
    """Wait for an event through cancellations; the last of them is raised when it has come."""
    cancelled: asyncio.CancelledError | None = None
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
