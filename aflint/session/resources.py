"""What a session has open, from entering it to leaving it."""

from __future__ import annotations

import logging
import socket
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from aflint.aio import to_the_end
from aflint.backend import Backend
from aflint.backend.exchange import exchange_of
from aflint.config import Auto, Config, settings
from aflint.cost import US_EAST_1, dollars, is_priced, prices_of
from aflint.cost.forecast import Setup
from aflint.driver.budget import Watch
from aflint.driver.command import this_driver
from aflint.driver.explaining import explained_to
from aflint.driver.explaining import write as write_explained
from aflint.driver.failed import FailedTasks
from aflint.driver.foreseen import kept as kept_predictions
from aflint.driver.jobs import JobRunner
from aflint.driver.programs import Programs
from aflint.driver.progress import open_progress, show_task_logs
from aflint.driver.report import Reporter
from aflint.driver.sampling import Sampling
from aflint.driver.scratch import ScratchFolder
from aflint.driver.shuffles import KeptShuffles, Left, OwnShuffles
from aflint.driver.signals import SignalGuard
from aflint.driver.tracebacks import hide_inside
from aflint.driver.tuning import Tuning
from aflint.errors import (
    AflintError,
    ConfigError,
    EndpointUnreachableError,
    JournalVersionError,
    RunInUseError,
)
from aflint.events import Listener, RunEnded, RunStarted
from aflint.journal import NAME as JOURNAL
from aflint.journal import (
    PAUSE_S,
    QUIET_S,
    Entry,
    Journal,
    Past,
    Unjournaled,
    folder_of,
    open_journal,
)
from aflint.observe.history import failed_folder, predictions_folder
from aflint.observe.recording import Recording
from aflint.scheduler.loop import Scheduler
from aflint.user_modules import UserModules

if TYPE_CHECKING:
    from aflint.observe.page import PageServer
    from aflint.session.session import Session

_log = logging.getLogger("aflint.session")

_INLINE_BYTES: Final = 256 * 1024

OpenBackend = Callable[[Path, AsyncExitStack], Awaitable[Backend]]
"""Starts a backend, given the folder for temporary files; the stack takes what must be closed."""


class Resources:
    """The parts of one session, opened in order and closed in the reverse one.

    An async context manager, entered once. Leaving it stops what still runs, and removes all that
    the session left anywhere; of several errors on the way the first is raised. `id` and `name`
    are the run's, and `listeners` are called with every event: more may be added at any time.
    """

    def __init__(
        self,
        config: Config,
        id: str,
        name: str,
        listeners: list[Listener],
        open_backend: OpenBackend,
    ) -> None:
        self.closed = False
        self.user_modules = UserModules(on=config.backend != "local")
        self._config = config
        self._id = id
        self._name = name
        self._listeners = listeners
        self._open_backend = open_backend
        # Whether an error leaves the session: others that follow are noted, and not raised.
        self._failed = False
        # Whether the cloud did not answer while the session was left.
        self._unreachable = False
        self._jobs: JobRunner | None = None
        self._shuffles: OwnShuffles | None = None
        self._left = Left()
        self.page: PageServer | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            # First, and so left last: a signal ends the program once everything is removed.
            self._signals = stack.enter_context(SignalGuard())
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closed = self.jobs.closed = self._signals.leaving = True
        self._failed = error is not None
        if error is not None:
            hide_inside(error)
        await self._stack.__aexit__(kind, error, traceback)

    @property
    def jobs(self) -> JobRunner:
        """What runs the jobs of this session."""
        assert self._jobs is not None
        return self._jobs

    def cancel(self, job: str | None, reason: AflintError) -> bool:
        """Cancel one job, or all; says whether there was any to cancel."""
        running = [report.id for report in self.reporter.jobs.values() if report.running]
        ids = running if job is None else [job]
        return sum(self.scheduler.cancel(id, reason) for id in ids) > 0

    def open_page(self, session: Session) -> None:
        """Serve the page of the session that has these resources."""
        from aflint.observe.opening import open_page  # with an ASGI library, for who asked

        self.page = open_page(session)
        self._stack.push_async_callback(to_thread, self.page.close)

    def at_end(self, close: Callable[[], object]) -> None:
        """Have something closed when the session is left, before all that was opened earlier."""
        self._stack.callback(close)

    # ---- opening

    async def _open(self, stack: AsyncExitStack) -> None:
        config = self._config
        scratch = ScratchFolder(config.scratch_dir, self._id, named=config.run_id is not None)
        stack.enter_context(scratch)
        with scratch.explained():
            backend = self.backend = await self._open_backend(scratch.path, stack)
            journal = await self._open_journal(backend, scratch, stack)
        shuffles = self._shuffles = OwnShuffles(backend.transport, self._past, journal, self._left)
        kept = KeptShuffles(config.kept_shuffle_mb << 20, shuffles.close)
        self.reporter = Reporter(
            config.memory_mb,
            estimate=backend.estimated,
            asked=lambda: backend.asked() + kept.usage,
            setup=partial(self._setup, backend),
            region=self._price_region(backend),
        )
        # Before progress, which shows what the reporter has taken in.
        self._listeners.append(self.reporter)
        if (progress := open_progress(self.reporter, config.progress)) is not None:
            self._listeners.append(progress)
            stack.callback(progress.close)
        if config.task_logs:
            self._listeners.append(show_task_logs)
        recording = Recording(config, self._id, self.reporter, backend.storage, backend.history)
        self._listeners += await recording.listeners(stack)
        # Once the scheduler has ended all jobs, and before listeners are closed.
        stack.callback(lambda: self.scheduler.events.emit(RunEnded(self._id)))
        # Below the scheduler: jobs that end with the session may still leave shuffles to it.
        await stack.enter_async_context(kept)
        self.scheduler = await stack.enter_async_context(
            Scheduler(
                backend.invoker,
                backend.transport,
                backend.policy,
                listeners=self._listeners,
                close=shuffles.close,
            )
        )
        if config.budget_usd is not None or config.deadline_s is not None:
            self._listeners.append(self._watch(backend))
        self.scheduler.events.emit(self._started(backend))
        stack.callback(self.user_modules.forget)
        programs = Programs(
            backend.storage,
            f"{backend.folder}/blobs",
            _INLINE_BYTES,
            fingerprinted=not isinstance(journal, Unjournaled),
        )
        tuning = Tuning(
            config,
            backend.memory_sizes_mb,
            backend.invoker.slots,
            partial(self._setup, backend),
            backend.invoker.limit,
            lambda: tuple(self.reporter.jobs.values()),
        )
        self._jobs = JobRunner(
            session=self._id,
            run_job=self.scheduler.run,
            storage=backend.storage,
            folder=backend.folder,
            settings=backend.settings,
            programs=programs,
            kept=kept,
            journal=journal,
            past=self._past,
            survives=backend.transport.survives,
            before_pickling=self.user_modules.look,
            drop=self.scheduler.forget,
            emit=self.scheduler.events.emit,
            concurrent_readers=backend.transport.traits.rereadable,
            runs_on_s=backend.runs_on_s,
            default_parallelism=config.default_parallelism,
            tuned=tuning.tuned,
            choose=tuning.partitions if isinstance(config.default_parallelism, Auto) else None,
            checkpoint_dir=config.checkpoint_dir,
            estimated=backend.estimated,
            region=self._price_region(backend),
            setup=partial(self._setup, backend),
            asked=backend.asked,
            exchange=exchange_of(config.shuffle_levels, backend.transport),
            failed=FailedTasks(failed_folder()) if config.keep_failed else None,
        )
        if (explained := explained_to()) is None:
            with suppress(ConfigError):  # there is no home, and so no prediction in it
                self._jobs.foreseen.add(kept_predictions(predictions_folder()))
        else:
            tell = partial(write_explained, explained)
            self._jobs.sampling = Sampling(self._jobs, counts=True, tell=tell)

    def _setup(self, backend: Backend) -> Setup:
        """Return what jobs run on now."""
        region = self._price_region(backend)
        return Setup(
            backend.settings.memory_mb if not backend.estimated else self._config.memory_mb,
            str(backend.settings.transport[0]),
            backend.invoker.slots,
            journal_s=0.0 if backend.estimated or self._config.journal is False else PAUSE_S,
            message_bytes=self._config.message_limit_kib << 10,
            prices=prices_of(region) if is_priced(region) else US_EAST_1,
        )

    async def _open_journal(
        self, backend: Backend, scratch: ScratchFolder, stack: AsyncExitStack
    ) -> Journal:
        """Read what a driver before this one left, and see that what this one leaves is removed.

        Raises before anything is promised to be removed where the run cannot be resumed: it is left
        to another driver.
        """
        journal: Journal = Unjournaled()
        entries: list[Entry] = []
        here = backend.folder == str(scratch.path)
        if self._config.journal is not False:
            asked = self._config.journal or self._config.run_id is not None
            journal, entries = await open_journal(
                folder_of(backend.folder, self._id),
                backend.storage,
                backend.secret.key(JOURNAL, self._id),
                self._id,
                alone=here,  # by the lock of the scratch folder
                quiet_s=QUIET_S if here and not asked else 0.0,
            )
        self._past = Past(self._id, entries)
        driver = this_driver()
        try:
            self._past.check_versions(driver.aflint, driver.python)
        except JournalVersionError:
            await journal.aclose()
            raise
        scratch.own()
        # In reverse: note the end, close the journal, remove everything, say what is left; each
        # step to its end: a Ctrl-C while things are removed is raised once they have been.
        stack.callback(self._show_what_is_left)
        remove = partial(self._remove_all, backend, scratch, journal)
        stack.push_async_callback(self._leave, remove)
        stack.push_async_callback(self._leave, journal.aclose)
        stack.push_async_callback(self._leave, partial(self._end, journal))
        journal.on_lost = self._lost
        journal.record(driver)
        await journal.flush()  # from now on a driver that resumes knows of this one
        if journal.anew:
            if not here:  # else all goes with the scratch folder
                await self._remove_things(backend)
            await journal.clear()
        return journal

    def _started(self, backend: Backend) -> RunStarted:
        config = self._config
        return RunStarted(
            self._id,
            self._name,
            config.backend,
            socket.gethostname() if config.backend == "local" else config.function,
            backend.estimated,
            config.memory_mb,
            {name: str(getattr(config, name)) for name in settings()},
            self._price_region(backend),
        )

    def _price_region(self, backend: Backend) -> str:
        """Return the region at whose prices dollars are told.

        Raises UnpricedRegionError where it was asked for and has none, or a budget needs them.
        """
        asked, region = self._config.price_region, backend.region
        if asked is not None or self._config.budget_usd is not None:
            region = prices_of(asked or region).region
        return region

    def _watch(self, backend: Backend) -> Watch:
        region = self._price_region(backend)
        # Without a budget, they only say in dollars how far a job has come.
        prices = prices_of(region) if is_priced(region) else US_EAST_1
        return Watch(
            self._config.budget_usd,
            self._config.deadline_s,
            self._config.memory_mb,
            backend.estimated,
            backend.runs_on_s,
            driver_usd=lambda: dollars(self.reporter.uncharged, prices),
            cancel=self.scheduler.cancel,
            prices=prices,
        )

    # ---- closing

    async def _leave(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take a step of the session's end; only the first error of a session is raised.

        Once the cloud did not answer, no further step is taken: each would wait as long again.
        """
        if self._unreachable:
            return
        try:
            await to_the_end(step())
        except AflintError as error:
            self._left.errors.append(error)
            self._unreachable = isinstance(error, EndpointUnreachableError)
            if not self._failed:
                self._failed = True
                error.add_note("`aflint clean` removes what is left.")
                raise

    def _show_what_is_left(self) -> None:
        if self._left.errors:
            _log.warning(
                "run %s could not remove all it made (%s); `aflint clean` removes what is left",
                self._id, self._left.errors[0],
            )  # fmt: skip

    async def _end(self, journal: Journal) -> None:
        """Note that the run is over, if it is still this driver's, before all of it is removed."""
        if self._past.refused is None:
            with suppress(RunInUseError):  # `_lost` has noted it
                await journal.end()

    async def _remove_all(self, backend: Backend, scratch: ScratchFolder, journal: Journal) -> None:
        """Remove what this run has anywhere, unless it is not this driver's to remove."""
        if self._past.refused is not None:  # it is another driver's, or another program's
            scratch.keep()
            return
        if self._past.unmet and not self._failed:
            jobs = ", ".join(f"{job.id} ({job.name})" for job in self._past.unmet)
            _log.warning(
                "run %s was resumed, but its program did not ask again for these jobs: %s",
                self._id, jobs,
            )  # fmt: skip
        if self._shuffles is not None:
            await self._shuffles.close_left()
        if backend.folder != str(scratch.path):
            await self._remove_things(backend, sweep=self._past.generation > 0)
        await journal.remove()

    async def _remove_things(self, backend: Backend, *, sweep: bool = True) -> None:
        """Remove objects of this run, and the shuffles that drivers before this one opened."""
        if sweep:
            await backend.transport.sweep(self._id)
        await backend.storage.delete(backend.folder)

    def _lost(self, error: AflintError) -> None:
        """Stop everything: another driver has taken the run over."""
        self._past.refused = error
        if self._jobs is not None and not self.closed:
            self.cancel(None, error)
