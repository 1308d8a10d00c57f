"""What a job of the soak is given, and how it says that an answer was wrong."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aflint

Kind = Literal["local", "localcloud"]


class WrongAnswerError(Exception):
    """A job's answer differs from that of plain Python."""


@dataclass(frozen=True)
class Taxi:
    """A small folder of trips, and the answers to Q0 to Q6 over it by a plain loop."""

    folder: Path
    answers: Mapping[str, object]

    @property
    def trips(self) -> str:
        """Where the trips are."""
        return str(self.folder / "*_tripdata_*.csv")

    @property
    def weather(self) -> str:
        """Where the weather is."""
        return str(self.folder / "central_park_weather.csv")


@dataclass(frozen=True)
class Kit:
    """A session, the source of this batch's chances, and places for input and output."""

    session: aflint.Session
    backend: Kind
    chance: random.Random
    taxi: Taxi
    folder: Path
    settings: Mapping[str, Any]
    """Settings of a session, for jobs that need one of their own."""
    standing: list[tuple[aflint.RDD[Any], Any]] = field(default_factory=list)
    """The one RDD that lives as long as the session, with its records: its shuffle is kept."""
    alone: bool = True
    """Whether no other job runs beside this one in the session."""
    _names: itertools.count[int] = field(default_factory=itertools.count)

    def path(self, name: str) -> Path:
        """Return a path that nobody else uses."""
        return self.folder / f"{self.session.id}-{next(self._names)}-{name}"

    def numbers(self, most: int, below: int = 1_000_000) -> list[int]:
        """Return up to `most` random numbers."""
        count = self.chance.randint(1, most)
        return [self.chance.randrange(below) for _ in range(count)]

    def pairs(self, most: int, keys: int) -> list[tuple[int, int]]:
        """Return up to `most` pairs of a key and a number."""
        return [(number % keys, number) for number in self.numbers(most)]

    def slices(self) -> int:
        """Return a number of partitions."""
        return self.chance.randint(1, 6)


def check(what: str, answer: object, expected: object) -> None:
    """Raise WrongAnswerError unless an answer is the expected one."""
    if answer != expected:
        raise WrongAnswerError(f"{what}: {str(answer)[:400]}, expected {str(expected)[:400]}")
