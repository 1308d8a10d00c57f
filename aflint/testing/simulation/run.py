"""One seed: a random program on a simulated cloud, with its faults, to the right answer or not."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aflint import variables
from aflint.config import Config
from aflint.errors import AflintError, JobCancelledError, OutputExistsError, RunInUseError
from aflint.events import Event, TaskEnded, TaskRecovered, TaskStarted
from aflint.executor import context
from aflint.plan import lineage
from aflint.task import TaskId
from aflint.testing.clock import VirtualClock, VirtualLoop
from aflint.testing.simulation import programs
from aflint.testing.simulation.cloud import SimulatedCloud, SimulatedSession
from aflint.testing.simulation.dice import Dice, Strike
from aflint.testing.simulation.drivers import OwnNumbers, OwnObjects, SimulatedDriver
from aflint.testing.simulation.faults import EXCUSED, RATES, Fault
from aflint.testing.simulation.interpreter import evaluate
from aflint.testing.simulation.kills import Kill, killed_drivers
from aflint.testing.simulation.programs import World, WrongAnswerError, build, check
from aflint.testing.simulation.workloads import (
    Workload,
    generate,
    generate_queries,
    generate_skewed,
)

PATIENCE_S = 72 * 3600.0
"""Virtual seconds that a program may take; some minutes are usual, a day is possible."""

MOST_EVENTS = 4000

_BATCH_BYTES = 4096
"""Of a message that batches of rows go in: one of one row takes a kilobyte."""

_PAUSE_S = 1.0
"""Before a run that turned out to have a living driver is tried to be resumed again."""

_node_ids: Any = OwnNumbers()
_accumulators: Any = OwnObjects()

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a seed. `failure` is empty for a right answer, and for an error that had to be.

    `counts` are the faults that struck, by kind; `error` the error that the job ended with, if any;
    `virtual_s` how long it took in the simulated world.
    """

    seed: int
    workload: Workload
    failure: str = ""
    error: str = ""
    struck: tuple[Strike, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 0
    links: int = 0
    virtual_s: float = 0.0
    trace: tuple[str, ...] = ()


def workload_of(seed: int) -> Workload:
    """Return the program of a seed: of one in ten, one whose keys are skewed."""
    if seed % 10 == 9:
        return skewed_of(seed)
    return generate(random.Random(f"workload {seed}"))


def skewed_of(seed: int) -> Workload:
    """Return the program of skewed keys of a seed."""
    return generate_skewed(random.Random(f"skewed {seed}"))


def queries_of(seed: int) -> Workload:
    """Return the program of DataFrames of a seed."""
    return generate_queries(random.Random(f"queries {seed}"))


def run_seed(
    seed: int,
    rates: Mapping[Fault, float] | None = None,
    *,
    workload: Workload | None = None,
    allowed: Collection[Strike] | None = None,
    traced: bool = False,
) -> Outcome:
    """Run the program of a seed (or another one) under the faults of the seed, to its end.

    `allowed` leaves out all strikes but those. Everything is decided by the arguments.
    """
    workload = workload or workload_of(seed)
    dice = Dice(seed, RATES if rates is None else rates, allowed)
    return _Run(seed, dice, workload, traced).outcome()


@dataclass(slots=True, eq=False)
class _Life:
    """One driver's run of the program, and how far it came."""

    driver: SimulatedDriver
    program: asyncio.Future[None] = field(init=False)
    taken_up: bool = False
    ended: bool = False

    def cancel_jobs(self) -> None:
        """Cancel the jobs of the session, if it has begun."""
        if self.driver.session is not None:
            self.driver.session.cancel()


class _Run:
    """One run in the making."""

    def __init__(self, seed: int, dice: Dice, workload: Workload, traced: bool) -> None:
        self._seed = seed
        self._dice = dice
        self._workload = workload
        self._traced = traced
        self._trace: list[str] = []
        self._clock = VirtualClock()
        self._unhandled: list[str] = []
        self._error = ""
        self._lives: list[_Life] = []
        self._ghosts: list[_Life] = []
        self._may_be_over = False
        self._cloud: SimulatedCloud | None = None

    def outcome(self) -> Outcome:
        """Run, and say how it went."""
        failure = ""
        with _own_world(self._seed):
            loop = VirtualLoop(self._clock, stall_s=0.001)
            loop.set_exception_handler(self._unexpected)
            try:
                with asyncio.Runner(loop_factory=lambda: loop) as runner:
                    failure = runner.run(self._bounded())
            except Exception as error:  # whatever the engine raises that it should not
                failure = "".join(traceback.format_exception(error)[-6:])
        functions = self._cloud.functions if self._cloud is not None else None
        return Outcome(
            self._seed,
            self._workload,
            failure or "\n".join(self._unhandled),
            self._error,
            tuple(self._dice.struck),
            dict(self._dice.counts),
            functions.attempts if functions is not None else 0,
            functions.links if functions is not None else 0,
            self._clock.now,
            tuple(self._trace),
        )

    async def _bounded(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._run()
        except TimeoutError:
            return f"hangs: no answer after {PATIENCE_S:,.0f} virtual seconds"

    async def _run(self) -> str:
        least = _BATCH_BYTES if self._workload.root.is_query else 0
        cloud = self._cloud = SimulatedCloud(self._dice, self._config(), least)
        failure = await self._failure_of(self._last_answer(cloud))
        for ghost in self._ghosts:
            failure = await self._failure_of(ghost.program, ghost=True) or failure
        await cloud.functions.drain()
        await cloud.functions.aclose()
        unclean = Fault.DRIVER_UNAVAILABLE in self._dice.counts
        # Ctrl-C before a driver had taken the run up leaves it to yet another one.
        unclean |= Fault.DRIVER_KILL in self._dice.counts and not self._lives[-1].taken_up
        left = [] if unclean else cloud.leaks()
        if left:
            failure = failure or f"left behind: {', '.join(left[:5])}"
        broken = [each for life in self._lives for each in life.driver.bills.broken]
        return failure or "; ".join([*broken, *cloud.remains.broken])

    async def _failure_of(self, program: Awaitable[None], *, ghost: bool = False) -> str:
        """Wait for a program; return what is wrong with how it ended, if anything is."""
        who = "who was taken for dead" if ghost else "the driver"
        try:
            await program
        except AflintError as error:
            told = f"{type(error).__name__}: {error}"
            if ghost:
                fine = isinstance(error, RunInUseError)
            else:
                self._error = told
                # Who was killed as it tidied up, or was taken for dead, may have come to its end.
                over = self._may_be_over or any(each.ended for each in self._ghosts)
                fine = over and isinstance(error, OutputExistsError)
            return "" if fine or self._may_fail(error) else f"{who} failed with {told}"
        except WrongAnswerError as error:
            return f"{who} gave a wrong answer: {error}"
        except asyncio.CancelledError:
            self._error = "CancelledError"
            if Fault.CANCEL not in self._dice.counts:
                raise
        return ""

    async def _last_answer(self, cloud: SimulatedCloud) -> None:
        """Run drivers that are killed, each at some moment, or taken for dead, and then one to its
        end. One that gave its answers before, or meanwhile, is the last.
        """
        for number in killed_drivers(self._dice):
            self._dice.strikes(Fault.DRIVER_KILL, str(number))
            life = self._begin(cloud)
            life.driver.kill = Kill(self._dice, number)
            life.driver.caller.on_request = life.driver.kill.requested
            if not await life.driver.kill.come(life.program):
                if await self._has_run(life):
                    return
            elif self._dice.strikes(Fault.TAKEN_FOR_DEAD, str(number)):
                self._ghosts.append(life)
                cloud.take_for_dead()
            else:
                await self._kill(life, cloud)
                await cloud.look_back(number, sure=not self._ghosts)
        while True:
            life = self._begin(cloud)
            cancelling = self._cancel_later(life)
            try:
                if await self._has_run(life):
                    return
            finally:
                if cancelling is not None:
                    cancelling.cancel()

    def _begin(self, cloud: SimulatedCloud) -> _Life:
        life = _Life(cloud.driver)
        life.program = asyncio.ensure_future(self._program(cloud, life))
        self._lives.append(life)
        return life

    async def _has_run(self, life: _Life) -> bool:
        """Wait for a driver's end; say False where it was refused, as one that was taken for dead
        has the run yet.
        """
        try:
            await life.program
        except RunInUseError:
            if not self._ghosts:
                raise
            await asyncio.sleep(_PAUSE_S)
            return False
        return True

    async def _kill(self, life: _Life, cloud: SimulatedCloud) -> None:
        """Kill a driver: what it had begun is left as it is."""
        self._may_be_over |= life.ended
        cloud.kill_driver()
        life.program.cancel()
        await asyncio.wait({life.program})
        if not life.program.cancelled():
            life.program.exception()

    def _config(self) -> Config:
        dice = self._dice
        return Config(
            progress=False,
            history_mb=0,
            journal=bool(killed_drivers(dice)),
            checkpoint_dir="s3://bucket/out/checkpoints",
            shuffle_levels="two" if dice.roll("levels") < 0.5 else "auto",
            deadline_s=dice.between(0.5, 60, "deadline")
            if dice.strikes(Fault.DEADLINE, "job")
            else None,
            budget_usd=dice.between(1e-7, 1e-4, "budget")
            if dice.strikes(Fault.BUDGET, "job")
            else None,
        )

    async def _program(self, cloud: SimulatedCloud, life: _Life) -> None:
        _node_ids.begin()
        _accumulators.begin()
        programs.begin()
        driver = life.driver
        async with SimulatedSession(cloud) as session:
            life.taken_up = True
            for ghost in self._ghosts:
                ghost.driver.caller.superseded |= ghost is not life
            if self._traced:
                session.add_listener(self._note)
            self._step_clock(session)
            driver.session = session
            try:
                await self._checks(session, cloud)
                life.ended = True
                if driver.kill is not None:
                    driver.kill.answered()
            except AflintError as error:
                life.ended = True
                driver.bills.check_error(error, _requests_usd(session))
                raise
            finally:
                driver.session = None

    async def _checks(self, session: SimulatedSession, cloud: SimulatedCloud) -> None:
        storage = cloud.outside()
        rdd = await build(self._workload.root, session, storage)
        expected = evaluate(self._workload.root)
        world = World(session, storage, cloud.lose_kept)
        checks = [
            partial(check, rdd, action, arg, expected, world)
            for action, arg in self._workload.actions
        ]
        if self._workload.together:
            await _all(checks)
        else:
            for number, each in enumerate(checks):
                if number:
                    cloud.lose_kept(str(number))
                try:
                    await each()
                except JobCancelledError:
                    if Fault.CANCEL in self._dice.counts:
                        raise
                    await each()

    def _may_fail(self, error: AflintError) -> bool:
        """Say whether the faults that struck excuse an error."""
        excused = (EXCUSED.get(Fault(kind), ()) for kind in self._dice.counts)
        return any(isinstance(error, kinds) for kinds in excused)

    def _cancel_later(self, life: _Life) -> asyncio.TimerHandle | None:
        """Have the jobs cancelled by `session.cancel`, or the whole program as Ctrl-C does."""
        loop, dice = asyncio.get_running_loop(), self._dice
        if dice.strikes(Fault.CANCEL, "job"):
            cancel = life.cancel_jobs if dice.roll("cancel jobs") < 0.5 else life.program.cancel
            return loop.call_later(dice.between(0.0, 5.0, "cancel"), cancel)
        if dice.strikes(Fault.CANCEL_JOB, "job"):
            return loop.call_later(dice.between(0.0, 2.0, "cancel"), life.cancel_jobs)
        return None

    def _step_clock(self, session: SimulatedSession) -> None:
        """Let the scheduler's clock jump once."""
        if not self._dice.strikes(Fault.CLOCK_STEP, "driver"):
            return
        loop = asyncio.get_running_loop()
        at = self._dice.between(0.0, 5.0, "step at")
        step = self._dice.between(-60.0, 60.0, "step")
        session.use_clock(lambda: loop.time() + (step if loop.time() > at else 0.0))

    def _note(self, event: Event) -> None:
        if len(self._trace) < MOST_EVENTS:
            self._trace.append(f"{self._clock.now:10.3f} {_told(event)}")

    def _unexpected(self, loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
        task = details.get("future") or details.get("task")
        self._unhandled.append(
            f"unhandled in the loop: {details['message']}: {details.get('exception')!r} of {task!r}"
        )


async def _all(checks: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run checks at once; raise the first of what they raise."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in checks:
                group.create_task(each())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several


def _requests_usd(session: SimulatedSession) -> float:
    costs = [job.cost for job in session.jobs]
    return sum(cost.sqs + cost.s3_put + cost.s3_get for cost in costs)


def _told(event: Event) -> str:
    """Return an event as one short line."""
    kind = type(event).__name__
    match event:
        case TaskStarted(id, speculative):
            return f"{kind} {_name(id)}{' (speculative)' if speculative else ''}"
        case TaskRecovered(id):
            return f"{kind} {_name(id)}"
        case TaskEnded(id, accepted, error):
            return f"{kind} {_name(id)} {'accepted' if accepted else error or 'not accepted'}"
    return str(event)[:200]


def _name(id: TaskId) -> str:
    return f"{id.job} stage {id.stage} partition {id.partition} #{id.attempt}.{id.link}"


@contextmanager
def _own_world(seed: int) -> Iterator[None]:
    """Set what a process has only one of as a fresh process would have it."""
    state, node_ids, accumulators = random.getstate(), lineage._ids, variables._live
    logging.disable(logging.CRITICAL)
    restore: Callable[[], None] = gc.enable if gc.isenabled() else gc.disable
    random.seed(seed)
    context._broadcasts.clear()
    lineage._ids, variables._live = _node_ids, _accumulators
    gc.disable()
    try:
        yield
    finally:
        restore()
        logging.disable(logging.NOTSET)
        lineage._ids, variables._live = node_ids, accumulators
        random.setstate(state)
