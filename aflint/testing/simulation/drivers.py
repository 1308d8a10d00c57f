"""The drivers of one simulated run: mostly one, and more where some are killed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from aflint.testing.simulation.bills import Bills
from aflint.testing.simulation.callers import DriverCaller
from aflint.testing.simulation.kills import Kill

if TYPE_CHECKING:
    from aflint.session import Session


@dataclass(slots=True, eq=False)
class SimulatedDriver:
    """One driver: how it asks, what it is billed, when it is killed."""

    caller: DriverCaller
    bills: Bills
    kill: Kill | None = None
    session: Session | None = None


class OwnNumbers(Iterator[int]):
    """Numbers from 1, counted for each driver by itself, as each is a process of its own."""

    def __init__(self) -> None:
        self._numbers: ContextVar[Iterator[int]] = ContextVar("numbers")

    def begin(self) -> None:
        """Begin to count anew for what the present asyncio task runs and starts."""
        self._numbers.set(itertools.count(1))

    def __next__(self) -> int:
        return next(self._numbers.get())


class OwnObjects(MutableMapping[str, Any]):
    """Objects by name for as long as they live, kept for each driver by itself; tasks see none."""

    def __init__(self) -> None:
        none: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self._objects = ContextVar("objects", default=none)

    def begin(self) -> None:
        """Begin with none for what the present asyncio task runs and starts."""
        self._objects.set(WeakValueDictionary())

    def __getitem__(self, name: str) -> Any:
        return self._objects.get()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._objects.get()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._objects.get()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects.get())

    def __len__(self) -> int:
        return len(self._objects.get())
