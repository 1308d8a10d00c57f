"""The simulated function: what `Invoke` does with an attempt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aflint.codec.sealed import seal_task
from aflint.errors import AttemptError, ThrottledError, WorkerLostError
from aflint.invoker.base import Invoker
from aflint.task import TaskDescription, TaskResult
from aflint.testing.simulation.bills import Call
from aflint.testing.simulation.drivers import SimulatedDriver
from aflint.testing.simulation.environments import MOST_LOSSES, Environment, supervise
from aflint.testing.simulation.faults import Fault
from aflint.wire import pack, unpack

if TYPE_CHECKING:
    from aflint.testing.simulation.cloud import SimulatedCloud


class SimulatedLambda:
    """Runs attempts in environments; stopping one does not always stop its code.

    At most `slots` of one driver run at once.
    """

    def __init__(self, cloud: SimulatedCloud, slots: int) -> None:
        self.links = 0
        self.attempts = 0
        self.slots = slots
        self._cloud = cloud
        self._idle: list[Environment] = []
        self._made = 0
        self._running: set[asyncio.Task[TaskResult]] = set()

    @property
    def running(self) -> int:
        """How many attempts run, those counted that nobody waits for."""
        return len(self._running)

    async def invoke(self, task: TaskDescription, driver: SimulatedDriver) -> TaskResult:
        """Have an attempt run for a driver, as `Invoker.invoke` does."""
        dice, id = self._cloud.dice, task.id
        group = f"{id.job}/{id.stage}/{id.partition}"
        label = f"{group}/{id.attempt}/{id.link}"
        await asyncio.sleep(dice.between(0.001, 0.02, "invoke", label))
        if dice.strikes(Fault.THROTTLE, label):
            raise ThrottledError(f"injected at {label}")
        self._cloud.invoked(task, driver)
        self.attempts += 1
        self.links += id.link > 0
        call = Invocation(label, group, driver.bills.call(id.job), driver, task.executor)
        sealed = seal_task(self._cloud.secret, task, asyncio.get_running_loop().time())
        running = asyncio.ensure_future(self._run(sealed, call))
        self._running.add(running)
        running.add_done_callback(lambda ended: self._ended(ended, call))
        if dice.strikes(Fault.LOST_RESPONSE, label, group=group, most=MOST_LOSSES):
            await self._until_lost(running, call)
        return await self._answer(running, call)

    def _ended(self, running: asyncio.Task[TaskResult], call: Invocation) -> None:
        call.bill.over()
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # nobody may be left who waits for it

    async def drain(self) -> None:
        """Wait for what nobody waits for."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def aclose(self) -> None:
        """Stop everything."""
        for running in self._running:
            running.cancel()
        await self.drain()
        for environment in self._idle:
            await environment.close()
        self._idle.clear()

    async def _until_lost(self, running: asyncio.Task[TaskResult], call: Invocation) -> None:
        """Lose the answer: in the middle, while the code runs on, or at the end."""
        after = self._cloud.dice.between(0.0, 2.0, "lost after", call.label)
        try:
            await asyncio.wait({running}, timeout=after)
        except asyncio.CancelledError:
            if not call.driver.caller.dead:
                running.cancel()
                await asyncio.wait({running})
            raise
        finally:
            call.abandon()
        raise WorkerLostError(f"the connection was lost (injected at {call.label})")

    async def _answer(self, running: asyncio.Task[TaskResult], call: Invocation) -> TaskResult:
        """Wait for the answer. Of a driver that is killed, what it had invoked runs on."""
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            call.abandon()
            if not call.driver.caller.dead and not self._cloud.dice.strikes(
                Fault.ZOMBIE, call.label
            ):
                running.cancel()
                await asyncio.wait({running})
            raise
        result = running.result()
        self._cloud.remains.ended(result)
        return result

    def _take_idle(self, name: str) -> Environment | None:
        for place, environment in enumerate(self._idle):
            if environment.executor.name == name:
                return self._idle.pop(place)
        return self._idle.pop() if self._idle else None

    async def _run(self, sealed: bytes, call: Invocation) -> TaskResult:
        dice, label = self._cloud.dice, call.label
        environment = self._take_idle(call.executor)
        if environment is None:
            slow = dice.strikes(Fault.COLD_START, label)
            await asyncio.sleep(dice.between(0.5, 10.0, "cold", label) if slow else 0.05)
            self._made += 1
            environment = Environment(self._cloud, f"environment-{self._made}")
        environment.prepare(label, call.group, self._cloud.tick_s)
        environment.call = call
        began, loop = call.bill.began, asyncio.get_running_loop()
        try:
            result = await supervise(environment, sealed, self._cloud.limit_s)
        except AttemptError as error:
            error.billed_seconds = loop.time() - began
            raise
        self._idle.append(environment)
        found: TaskResult = unpack(pack(result))
        return replace(found, metrics=replace(found.metrics, billed_seconds=loop.time() - began))


class DriversLambda(Invoker):
    """The function, as one driver has it."""

    def __init__(self, functions: SimulatedLambda, driver: SimulatedDriver) -> None:
        self._functions = functions
        self._driver = driver

    @property
    def slots(self) -> int:
        return self._functions.slots

    @property
    def places(self) -> bool:
        return True

    async def start(self) -> None:
        return None

    async def invoke(self, task: TaskDescription) -> TaskResult:
        return await self._functions.invoke(task, self._driver)

    async def aclose(self) -> None:
        return None


@dataclass(slots=True)
class Invocation:
    """One invocation, and whether the driver still waits for its answer."""

    label: str
    group: str
    bill: Call
    driver: SimulatedDriver
    # The environment that is to run it, if that is idle.
    executor: str = ""
    abandoned: bool = False

    def abandon(self) -> None:
        """Note that nobody waits any more."""
        self.abandoned = True
        self.bill.over()
