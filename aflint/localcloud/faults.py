"""What goes wrong on purpose, and how often: seeded, off by default."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields

from aflint.errors import InvalidArgumentError

_SECONDS = (
    "delay_seconds",
    "kill_within_seconds",
    "cold_start_seconds",
    "straggler_seconds",
)
_WHOLE = ("seed", "reorder_window", "most_lost_objects")
_TEXT = ("lost_object_keys",)
_PLAIN = (*_SECONDS, *_WHOLE, *_TEXT)


@dataclass(frozen=True)
class Faults:
    """Chances (0 to 1) of what a cloud does now and then.

    Equal settings and equal sequences of calls give equal faults; each kind draws from a generator
    of its own, so that switching one on leaves the others' draws as they were.
    """

    seed: int = 0
    duplicate: float = 0.0
    """A sent message is delivered twice."""
    reorder: float = 0.0
    """A received message is not the oldest, but one of the `reorder_window` oldest."""
    reorder_window: int = 64
    delay: float = 0.0
    """A sent message stays invisible for up to `delay_seconds`."""
    delay_seconds: float = 1.0
    poison: float = 0.0
    """A foreign message follows a sent one: text, other bytes, or an altered copy."""
    hidden: float = 0.0
    """The answer to a receive is lost: its messages stay hidden until their timeout."""
    drop_response: float = 0.0
    """The effect takes place, then the connection is closed in place of an answer."""
    throttle: float = 0.0
    """A call to SQS or Lambda is refused, with that service's own code for it."""
    s3_503: float = 0.0
    """A call to S3 is answered by 503 SlowDown."""
    truncated_read: float = 0.0
    """The connection ends in the middle of an object that is read."""
    lost_object: float = 0.0
    """A stored object is gone when it is first read, if `lost_object_keys` is part of its key."""
    lost_object_keys: str = "/shuffles/"
    most_lost_objects: int = 2
    """At most this many are lost in one folder: a job survives few losses of one shuffle."""
    kill: float = 0.0
    """A Lambda environment dies at a random moment of an invocation."""
    kill_within_seconds: float = 0.05
    """Also the time within which an environment runs out of memory, or stands still."""
    out_of_memory: float = 0.0
    """A Lambda environment dies in the same way, and Lambda says that memory ran out."""
    straggler: float = 0.0
    """A Lambda environment stands still for `straggler_seconds` in the middle of an invocation."""
    straggler_seconds: float = 2.0
    cold_start: float = 0.0
    """A Lambda environment takes up to `cold_start_seconds` longer to start."""
    cold_start_seconds: float = 2.0
    batch_entry: float = 0.0
    """An entry of an SQS batch fails, under HTTP 200."""
    purge_late: float = 0.0
    """A message sent in the 60 s after a purge is purged too."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in _PLAIN and not 0.0 <= value <= 1.0:
                raise InvalidArgumentError(
                    f"fault {field.name}={value!r} is not a chance: give a number from 0 to 1"
                )
            if field.name in _SECONDS and value < 0:
                raise InvalidArgumentError(f"fault {field.name}={value!r} is below zero seconds")

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Faults:
        """Read `"duplicate=0.05,kill=0.01"`; raises InvalidArgumentError naming what is wrong."""
        pairs = [item.partition("=") for item in text.split(",") if item.strip()]
        values = {name.strip(): value.strip() for name, _, value in pairs}
        return cls.from_mapping({"seed": seed, **values})

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Faults:
        """Build from names and numbers; raises InvalidArgumentError for any that is unknown."""
        known = {field.name for field in fields(cls)}
        chosen: dict[str, float | int | str] = {}
        for name, value in values.items():
            if name not in known:
                raise InvalidArgumentError(
                    f"unknown fault {name!r}; known are: {', '.join(sorted(known))}"
                )
            if name in _TEXT:
                chosen[name] = str(value)
                continue
            try:
                chosen[name] = int(str(value)) if name in _WHOLE else float(str(value))
            except ValueError:
                raise InvalidArgumentError(f"fault {name}={value!r} is not a number") from None
        return cls(**chosen)  # type: ignore[arg-type]


class Dice:
    """Decides by chance when each fault strikes; `faults` may be replaced while running."""

    def __init__(self, faults: Faults) -> None:
        self.struck: Counter[str] = Counter()
        """How often each fault has struck so far."""
        self.set(faults)

    def set(self, faults: Faults) -> None:
        """Use these faults from now on, each generator starting anew from the seed."""
        self.faults = faults
        self._generators: dict[str, random.Random] = {}

    def generator(self, name: str) -> random.Random:
        """The generator that belongs to one kind of fault."""
        found = self._generators.get(name)
        if found is None:
            found = self._generators[name] = random.Random(f"{self.faults.seed}:{name}")
        return found

    def happens(self, name: str) -> bool:
        """Whether the fault called `name` strikes this time."""
        chance: float = getattr(self.faults, name)
        if chance <= 0.0 or self.generator(name).random() >= chance:
            return False
        self.struck[name] += 1
        return True

    @property
    def most_messages(self) -> int:
        """How many messages one sent message may become."""
        return 1 + bool(self.faults.duplicate) + bool(self.faults.poison)

    def seconds(self, name: str, most: float) -> float:
        """A uniform draw from 0 to `most` seconds."""
        return self.generator(name).uniform(0.0, most)
