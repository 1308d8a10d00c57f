"""Lineage to a Job of Stages: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aflint.task import Blob, Input


@dataclass(frozen=True, slots=True)
class ShuffleRead:
    """In an Input, in place of a split: the manifest of `shuffle` for that partition."""

    shuffle: int


@dataclass(frozen=True, slots=True)
class ShuffleWrite:
    """What a shuffle-map stage writes: one shuffle of so many reduce partitions."""

    shuffle: int
    partitions: int


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What every TaskDescription of a job has in common."""

    transport: tuple[Any, ...] = ()
    storage: str = ""
    memory_mb: int = 0
    max_result_bytes: int = 0
    fetch_timeout_s: float = 60.0
    logs: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Tasks that run the same program, one for each partition.

    `parents` are the ids of the stages whose shuffles its inputs read. `inputs[p]` is what task p
    reads. `writes` is None for the result stage. `cuttable`: a task of it may be continued by another
    invocation when time runs out.
    """

    id: int
    name: str
    program: Blob
    inputs: Sequence[tuple[Input, ...]]
    parents: tuple[int, ...] = ()
    writes: ShuffleWrite | None = None
    cuttable: bool = False

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return len(self.inputs)


@dataclass(frozen=True, slots=True)
class Job:
    """Stages in dependency order; the last is the result stage. `key` authenticates its frames."""

    id: str
    name: str
    key: bytes
    stages: tuple[Stage, ...]
    settings: TaskSettings

    @property
    def result_stage(self) -> Stage:
        """The stage whose tasks return values."""
        return self.stages[-1]
