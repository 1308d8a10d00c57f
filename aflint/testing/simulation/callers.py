"""Who asks the simulated services: the driver, or an environment of a function."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from aflint.errors import ServiceUnavailableError
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.faults import Fault

T = TypeVar("T")


class Caller(ABC):
    """Sends requests; each takes its time, and takes effect in the middle of it."""

    def __init__(self, dice: Dice, label: str) -> None:
        self.dice = dice
        self.label = label
        self.requests = 0
        self.slowness = 1.0
        self.superseded = False

    @property
    def abandoned(self) -> bool:
        """Whether nobody will ever remove what the caller writes."""
        return False

    async def request(self, action: str, apply: Callable[[], T]) -> T:
        """Have `apply` take effect, once, or raise ServiceUnavailableError before it does."""
        self.requests += 1
        where = f"{self.label}:{self.requests} {action}"
        latency = self.dice.between(0.004, 0.04, "latency", where) * self.slowness
        await self.before(self.requests)
        await asyncio.sleep(latency / 2)
        self.check()
        if self.is_unavailable(where):
            raise ServiceUnavailableError(f"{action}: 503 again and again (injected at {where})")
        result = apply()
        await self.after(self.requests)
        await asyncio.sleep(latency / 2)
        return result

    def check(self) -> None:
        """Raise CancelledError where the caller is no more."""
        return None

    async def before(self, number: int) -> None:
        """Called before a request takes effect."""
        return None

    async def after(self, number: int) -> None:
        """Called as soon as a request has taken effect."""
        return None

    @abstractmethod
    def is_unavailable(self, where: str) -> bool:
        """Say whether the service answers 503 until the client gives up."""


class DriverCaller(Caller):
    """The requests of one driver. Once it is `dead`, none of them has any effect; `superseded`:
    another one has taken up its run.
    """

    def __init__(self, dice: Dice, number: int) -> None:
        super().__init__(dice, f"driver{number or ''}")
        self.dead = False
        self.on_request: Callable[[], object] = lambda: None

    def check(self) -> None:
        if self.dead:
            raise ServiceUnavailableError("the driver was killed")

    async def before(self, number: int) -> None:
        self.check()

    async def after(self, number: int) -> None:
        self.on_request()

    def is_unavailable(self, where: str) -> bool:
        return self.dice.strikes(Fault.DRIVER_UNAVAILABLE, where, group="driver", most=1)
