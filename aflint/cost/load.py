"""What a job asks of the cloud: for each stage, the work and the bytes of one task. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from aflint import limits
from aflint.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class StageLoad:
    """A stage of `tasks` alike, and what one of them takes.

    `cpu_s` is of one vCPU. `input_bytes` are read from S3 and `output_bytes` written to it;
    `fetched_bytes` and `shuffled_bytes`, compressed, are read from shuffles and written to one that
    has `targets` partitions. It reads what `parents` (places in the job) wrote.
    """

    name: str
    tasks: int
    cpu_s: float
    input_bytes: float = 0.0
    fetched_bytes: float = 0.0
    shuffled_bytes: float = 0.0
    output_bytes: float = 0.0
    targets: int = 0
    parents: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class JobLoad:
    """Stages, each after those that it reads."""

    name: str
    stages: tuple[StageLoad, ...]

    @property
    def input_bytes(self) -> float:
        """What the job reads from S3."""
        return sum(stage.input_bytes * stage.tasks for stage in self.stages)

    @property
    def pairs(self) -> int:
        """Of the largest shuffle, the map tasks times the reduce partitions."""
        return max((stage.tasks * stage.targets for stage in self.stages), default=0)


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of job: what it takes for each byte, as it was measured.

    CPU seconds are of one vCPU: `passes_s` for a byte of input in each pass over all of it that
    comes before (counting, sampling), `map_s` in the map tasks, `reduce_s` for a byte that a reduce
    task fetches. A byte of input becomes `shuffled` bytes of the shuffle, and where values are
    combined a map task sends `combined_bytes`, whatever it read. A reduce task writes `written`
    times what it fetches; there are `rounds` of reduce stages, one after the other. Each task takes
    `task_s` beside.
    """

    map_s: float
    reduce_s: float = 0.0
    passes_s: tuple[float, ...] = ()
    shuffled: float = 0.0
    combined_bytes: float = 0.0
    written: float = 0.0
    reducers: int | None = None
    rounds: int = 1
    task_s: float = 0.0


TASK_BYTES: Final = 128 * limits.MIB
"""What a task takes in, where nothing else is asked for and there are few enough of them."""

MOST_TASK_BYTES: Final = 2 * limits.GIB
"""What a task takes in at most: it spills what does not fit into its memory, and has 15 minutes."""

WAVES: Final = 4
"""Tasks for each function, where there would be more: their number is what a shuffle's requests
grow with."""


def load_of(
    name: str,
    workload: Workload,
    size: float,
    tasks: int | None = None,
    reducers: int | None = None,
    concurrency: int = limits.LAMBDA_CONCURRENCY,
) -> JobLoad:
    """Return what a workload over `size` bytes asks for: where that is left open, in as many tasks
    as suit `concurrency`.

    Raises InvalidArgumentError for a size or a number of tasks that is not positive, and for reduce
    tasks of a workload that has none.
    """
    for what, value in (("size", size), ("tasks", tasks), ("reducers", reducers)):
        if value is not None and not value > 0:
            raise InvalidArgumentError(f"{what} must be more than 0, and is {value:g}")
    # Where next to nothing is shuffled, more tasks cost no more requests, and even out stragglers.
    most = WAVES * concurrency if workload.shuffled else math.inf
    maps = tasks or _tasks_for(size, most)
    taken = size / maps
    mapping = workload.task_s + workload.map_s * taken
    stages = [
        StageLoad(f"{name}: pass {number}", maps, workload.task_s + seconds * taken, taken)
        for number, seconds in enumerate(workload.passes_s, 1)
    ]
    # Each stage waits for the one before, whether it reads what that wrote or not.
    before = (len(stages) - 1,) if stages else ()
    sent = min(taken, workload.combined_bytes) + workload.shuffled * taken
    if not sent:
        if reducers is not None:
            raise InvalidArgumentError(f"{name} shuffles nothing, and so has no reduce tasks")
        return JobLoad(name, (StageLoad(name, maps, mapping, taken),))
    wanted = reducers or workload.reducers or _tasks_for(sent * maps, most)
    stages.append(
        StageLoad(
            f"{name}: map", maps, mapping, taken, shuffled_bytes=sent,
            targets=wanted, parents=before,
        )
    )  # fmt: skip
    fetched = sent * maps / wanted
    for number in range(1, workload.rounds + 1):
        last = number == workload.rounds
        stages.append(
            StageLoad(
                f"{name}: reduce" + (f" {number}" if workload.rounds > 1 else ""),
                wanted,
                workload.task_s + workload.reduce_s * fetched,
                fetched_bytes=fetched,
                shuffled_bytes=0.0 if last else fetched,
                output_bytes=workload.written * fetched if last else 0.0,
                targets=0 if last else wanted,
                parents=(len(stages) - 1,),
            )
        )
    return JobLoad(name, tuple(stages))


def _tasks_for(size: float, most: float) -> int:
    """Return how many tasks take in so many bytes: `most`, unless each would take too much."""
    small, large = math.ceil(size / TASK_BYTES), math.ceil(size / MOST_TASK_BYTES)
    return max(large, int(min(small, most)))


def scaled(load: JobLoad, factor: float) -> JobLoad:
    """Return a job over `factor` times the input, with that many times the tasks, of the same size.

    A stage that reads a shuffle has as many tasks more as it has bytes more.
    """
    counts = [max(1, round(stage.tasks * factor)) for stage in load.stages]
    stages = []
    for place, stage in enumerate(load.stages):
        grown = stage.tasks * factor / counts[place]  # 1, but for rounding
        readers = [n for n, other in enumerate(load.stages) if place in other.parents]
        stages.append(
            replace(
                stage,
                tasks=counts[place],
                cpu_s=stage.cpu_s * grown,
                input_bytes=stage.input_bytes * grown,
                fetched_bytes=stage.fetched_bytes * grown,
                shuffled_bytes=stage.shuffled_bytes * grown,
                output_bytes=stage.output_bytes * grown,
                targets=counts[readers[0]] if readers else 0,
            )
        )
    return JobLoad(load.name, tuple(stages))


def two_level(load: JobLoad, merge_s: float) -> JobLoad:
    """Return the job with a stage between the map tasks and the reduce tasks of each shuffle that
    brings what is for a group of reduce partitions together, from a group of map tasks.

    `merge_s` is what that takes for a byte. Groups are square roots of the counts.

    Raises InvalidArgumentError for a job without a shuffle.
    """
    if not load.pairs:
        raise InvalidArgumentError(f"{load.name} shuffles nothing, and so has no levels")
    stages: list[StageLoad] = []
    place: dict[int, int] = {}
    for number, stage in enumerate(load.stages):
        parents = tuple(place[parent] for parent in stage.parents)
        if not stage.targets:
            place[number] = len(stages)
            stages.append(replace(stage, parents=parents))
            continue
        groups = groups_of(stage.targets)
        stages.append(replace(stage, parents=parents, targets=groups))
        moved = stage.shuffled_bytes
        stages.append(
            StageLoad(
                f"{stage.name}, merged",
                stage.tasks,
                merge_s * moved,
                fetched_bytes=moved,
                shuffled_bytes=moved,
                targets=math.ceil(stage.targets / groups),
                parents=(len(stages) - 1,),
            )
        )
        place[number] = len(stages) - 1
    return JobLoad(f"{load.name}, two levels", tuple(stages))


def groups_of(partitions: int) -> int:
    """Return into how many groups reduce partitions are put for an exchange of two levels."""
    return max(1, math.isqrt(partitions))


MOST_BYTES: Final = 1e21

_UNITS: Final[Mapping[str, float]] = {
    "": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50,
}  # fmt: skip


def parse_size(text: str) -> float:
    """Return the bytes that a text such as 100TB or 1.5GiB stands for.

    Raises InvalidArgumentError for any other text, for nothing, and for more than MOST_BYTES.
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise InvalidArgumentError(
            f"{text!r} is no size: write it as 100TB, 215GB or 1.5GiB (B to PB, KiB to PiB)"
        )
    size = float(found[1]) * unit
    if size < 1:
        raise InvalidArgumentError(f"a size of {text} leaves nothing to do: it must be more than 0")
    if size > MOST_BYTES:
        raise InvalidArgumentError(
            f"a size of {text[:20]} is more than can be simulated (1,000 EB)"
        )
    return size
