"""Lambda: environments that start cold, run one attempt at a time, and end at any moment."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aflint.codec.sealed import Opener, open_task
from aflint.errors import AttemptError, OutOfMemoryError, TimedOutError, WorkerLostError
from aflint.executor.runner import Executor
from aflint.task import TaskResult
from aflint.testing.simulation.callers import Caller
from aflint.testing.simulation.faults import Fault
from aflint.testing.simulation.io import SimulatedIO
from aflint.testing.simulation.puppet import Finished, borrow, give_back

if TYPE_CHECKING:
    from aflint.testing.simulation.cloud import SimulatedCloud
    from aflint.testing.simulation.functions import Invocation

MOST_LOSSES = 2
"""How often faults end attempts of one task: fewer times than the policy bears."""

_SHARES = {"is_near": 1.0, "is_over": 0.5}
_OTHERWISE = 0.01
"""How much of a tick passes before the clock is looked at."""

_REQUESTS = 14
"""An attempt that is to be killed is so at one of its first requests, or before it answers."""


_DROPS = 0.5
"""How often an environment has dropped the cached partitions that it is said to hold."""


class Environment(Caller):
    """One environment of the function: an executor that is kept from attempt to attempt."""

    def __init__(self, cloud: SimulatedCloud, name: str) -> None:
        super().__init__(cloud.dice, "")
        self._loop = asyncio.get_running_loop()
        self.io = SimulatedIO(self._loop)
        storage = cloud.storage(self)
        self.executor = Executor(
            self.io,
            storage,
            lambda _: cloud.transport(self),
            Path("/nonexistent"),
            cloud.secret,
            scratch_bytes=0,
            name=name,
            clock=self.clock,
        )
        self._opener = Opener(cloud.secret, self._loop.time)
        self.died: asyncio.Future[AttemptError] = self._loop.create_future()
        self.call: Invocation | None = None
        self.group = ""
        self._grave: asyncio.Future[None] = self._loop.create_future()
        self._tick = 0.0
        self._ahead = 0.0
        self._ends_at = 0
        self._ends_before = False
        self._kind: type[AttemptError] = WorkerLostError

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits any more for what runs here, or only a driver that lost its run."""
        call = self.call
        return call is not None and (call.abandoned or call.driver.caller.superseded)

    def clock(self) -> float:
        """Tell the time, as `time.monotonic` does.

        Computing takes time between looks at the clock: where time is short, most of it before a
        task asks whether to stop. That is less than what it then has left.
        """
        if self._tick:
            asked_by = sys._getframe(1).f_code.co_name
            self._ahead += self._tick * _SHARES.get(asked_by, _OTHERWISE)
        return self._loop.time() + self._ahead

    def prepare(self, label: str, group: str, tick: float) -> None:
        """Decide what will become of the next attempt."""
        dice = self.dice
        self.label, self.group, self._tick = label, group, tick
        self.requests = self._ends_at = 0
        slow = dice.strikes(Fault.STRAGGLER, label)
        if dice.roll("drops what it holds", label) < _DROPS:
            self.executor.held.release()
        self.slowness = dice.between(5, 30, "slowness", label) if slow else 1.0
        if dice.strikes(Fault.KILL, label, group=group, most=MOST_LOSSES):
            self._end_later(WorkerLostError)
        elif dice.strikes(Fault.OUT_OF_MEMORY, label, group=group, most=MOST_LOSSES):
            self._end_later(OutOfMemoryError)

    def _end_later(self, kind: type[AttemptError]) -> None:
        self._kind = kind
        self._ends_at = 1 + self.dice.pick(_REQUESTS, "ends at", self.label)
        self._ends_before = self.dice.roll("ends before", self.label) < 0.5

    async def run(self, sealed: bytes, deadline: float | None) -> TaskResult:
        """Run an attempt to its end. Cancelling ends the environment in the middle of it."""
        task = open_task(self._opener, sealed)
        result: TaskResult = await self._drive(lambda: self.executor.run(task, deadline))
        if self._ends_at:
            await self._end()
        return result

    async def _drive(self, function: Callable[[], Any]) -> Any:
        puppet = self.io.puppet = borrow()
        message = puppet.begin(function)
        try:
            while not isinstance(message, Finished):
                await self._catch_up()
                await asyncio.wait({message})
                message = puppet.resume()
            await self._catch_up()
        finally:
            self.io.dead = self.io.dead or not isinstance(message, Finished)
            while not isinstance(message, Finished):
                message = puppet.resume()
            give_back(puppet)
        if message.error is not None:
            raise message.error
        return message.result

    async def _catch_up(self) -> None:
        """Let the time pass that computing took."""
        if self._ahead:
            ahead, self._ahead = self._ahead, 0.0
            await asyncio.sleep(ahead)

    async def close(self) -> None:
        """End the environment; nothing that it had under way has any more effect."""
        self.io.dead = True
        self._grave.cancel()
        await self.io.end()

    # ---- as a caller

    def check(self) -> None:
        if self.io.dead:
            raise asyncio.CancelledError

    async def before(self, number: int) -> None:
        self.check()
        if number == self._ends_at and self._ends_before:
            await self._end()

    async def after(self, number: int) -> None:
        if number == self._ends_at:
            await self._end()

    def is_unavailable(self, where: str) -> bool:
        return self.dice.strikes(Fault.UNAVAILABLE, where, group=self.group, most=MOST_LOSSES)

    async def _end(self) -> None:
        """Say that the environment is at its end, and stand still."""
        if not self.died.done():
            self.died.set_result(self._kind(f"injected at request {self.requests} of {self.label}"))
        await self._grave


async def supervise(environment: Environment, sealed: bytes, limit_s: float) -> TaskResult:
    """Run an attempt as Lambda does, for at most so many seconds.

    Raises WorkerLostError, OutOfMemoryError or TimedOutError when the environment ended first; it
    is then of no more use.
    """
    now = asyncio.get_running_loop().time()
    deadline = now + limit_s if limit_s else None
    running = asyncio.ensure_future(environment.run(sealed, deadline))
    try:
        ends: set[asyncio.Future[Any]] = {running, environment.died}
        await asyncio.wait(
            ends,
            timeout=limit_s or None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if running.done():
            return running.result()
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
            await environment.close()
    if environment.died.done():
        raise environment.died.result()
    raise TimedOutError(f"{environment.label} took longer than {limit_s:g} s")
