"""When a driver is killed."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from aflint.task import Manifest, TaskDescription
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.faults import Fault

_MOST_KILLS = 2

LATEST_S = 90.0
"""Virtual seconds after which a driver is killed at the latest; mostly it is much sooner."""

_MOST_ATTEMPTS = 20
_MOST_READING = 2
_MOST_REQUESTS = 3
"""A first driver lists what it has, removes that, and removes its journal but for the end."""
_LATE_S = 1.0
_TIDYING_S = 0.4


def killed_drivers(dice: Dice) -> list[int]:
    """Return the numbers of the drivers that are killed, if their moments come."""
    return [n for n in range(_MOST_KILLS) if dice.would_strike(Fault.DRIVER_KILL, str(n))]


class Moment(Enum):
    """What a driver is killed at."""

    TIME = 0
    ATTEMPT = 1
    """When it has invoked so many attempts."""
    READING = 2
    """When it has invoked so many attempts that read a shuffle."""
    BETWEEN = 3
    """When it has invoked so many attempts of map tasks that read a shuffle: what such a task
    writes depends on the order in which it is given its records."""
    ENDING = 4
    """When it has all its answers, and ends its session."""
    REMOVING = 5
    """When it has made so many requests to remove what the run had: between any two of them."""


_MOMENTS = (
    Moment.TIME,
    Moment.ATTEMPT,
    Moment.READING,
    Moment.BETWEEN,
    Moment.ENDING,
    Moment.BETWEEN,
    Moment.BETWEEN,
)
_REMOVING = 0.75
"""The share of kills at the end that come while things are removed."""


class Kill:
    """The moment at which one driver is killed."""

    def __init__(self, dice: Dice, number: int) -> None:
        at = ("kill", number)
        self._moment = _MOMENTS[dice.pick(len(_MOMENTS), *at)]
        if self._moment is Moment.ENDING and dice.roll(*at, "removing") < _REMOVING:
            self._moment = Moment.REMOVING
        self._latest_s = dice.between(0.0, 1.0, *at, "time") ** 3 * LATEST_S
        late_s = _TIDYING_S if self._moment is Moment.ENDING else _LATE_S
        self._late_s = dice.between(0.0, 1.0, *at, "late") ** 2 * late_s
        most = {Moment.ATTEMPT: _MOST_ATTEMPTS, Moment.REMOVING: _MOST_REQUESTS}
        self._left = 1 + dice.pick(most.get(self._moment, _MOST_READING), *at, "attempts")
        if self._moment is Moment.REMOVING:
            self._late_s = 0.0  # a request goes on for a while after it has taken effect
        self._removing = False
        self._come = asyncio.Event()

    def invoked(self, task: TaskDescription) -> None:
        """Take in that the driver has invoked an attempt."""
        if self._counts(task):
            self._count()

    def requested(self) -> None:
        """Take in that a request of the driver has taken effect."""
        if self._removing and self._moment is Moment.REMOVING:
            self._count()

    def removing(self) -> None:
        """Take in that the driver begins to remove what the run had."""
        self._removing = True

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._come.set()

    def answered(self) -> None:
        """Take in that the driver has all its answers."""
        if self._moment is Moment.ENDING:
            self._come.set()

    async def come(self, program: asyncio.Future[None]) -> bool:
        """Wait for the moment; return False if the driver has ended before."""
        if self._moment is Moment.TIME:
            await asyncio.wait({program}, timeout=self._latest_s)
            return not program.done()
        coming = asyncio.ensure_future(self._come.wait())
        either: set[asyncio.Future[Any]] = {program, coming}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        await asyncio.wait({program}, timeout=self._late_s)
        return not program.done()

    def _counts(self, task: TaskDescription) -> bool:
        reads = any(isinstance(each.split, Manifest) for each in task.inputs)
        match self._moment:
            case Moment.BETWEEN:
                return reads and task.output is not None
            case Moment.READING:
                return reads
        return self._moment is Moment.ATTEMPT
