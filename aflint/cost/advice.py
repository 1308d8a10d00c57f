"""Which settings would be better for the work of a job: pure, by the model of `forecast`.

Better is what makes dollars times seconds less: half the time is worth twice the dollars, and the
other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aflint import limits
from aflint.cost.bill import format_dollars
from aflint.cost.forecast import Forecast, Setup, StageWork, forecast

MEMORY_SIZES_MB: Final = (512, 885, 1769, 3538, 7076, 10240)
TRANSPORTS: Final = ("hybrid", "s3", "sqs")

WORTH: Final = 0.1
"""A change is advised that saves this part of dollars times seconds."""

MATTERS_USD: Final = 0.01
MATTERS_S: Final = 10.0
"""Less than both is not worth a line at a job's end."""

_ROOM: Final = 0.8
"""The part of a function's memory that tasks may fill."""

_BASE_BYTES: Final = 150 << 20
"""What a function's process holds before it has read anything."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A setting that would have been better: what it is, what it should be, and what that gives."""

    setting: str
    now: str
    better: str
    why: str
    seconds: float
    dollars: float
    saved_s: float
    saved_usd: float

    @property
    def matters(self) -> bool:
        """Whether it is worth a line at the job's end."""
        return self.saved_usd >= MATTERS_USD or self.saved_s >= MATTERS_S

    def __str__(self) -> str:
        gains = f"{_change(self.saved_s, 's')}, {_change(self.saved_usd, '$')}"
        return f"{self.setting} = {self.better} in place of {self.now}: {gains} ({self.why})"


def _change(saved: float, unit: str) -> str:
    word = "less" if saved >= 0 else "more"
    amount = format_dollars(float(f"{abs(saved):.2g}")) if unit == "$" else f"{abs(saved):.1f} s"
    return f"{amount} {word}"


def advise(stages: Sequence[StageWork], setup: Setup) -> list[Advice]:
    """Return what would have been better, that which gives most first; each alone."""
    now = forecast(stages, setup)
    found = []
    for setting, before, after, why, changed, work in _changes(stages, setup):
        then = forecast(work, changed)
        if _score(then) < (1 - WORTH) * _score(now):
            found.append(
                Advice(
                    setting, before, after, why, then.seconds, then.dollars,
                    now.seconds - then.seconds, now.dollars - then.dollars,
                )
            )  # fmt: skip
    return sorted(found, key=lambda each: each.dollars * each.seconds)


def _score(found: Forecast) -> float:
    return found.dollars * found.seconds


Change = tuple[str, str, str, str, Setup, Sequence[StageWork]]


def _changes(stages: Sequence[StageWork], setup: Setup) -> Iterator[Change]:
    """Yield, for each setting, its best value where that is another one.

    Of what ran on this machine's workers, it is that of the functions which it would cost: they
    have no memory size, and how many of them are of use is a matter of its processors.
    """
    here = setup.transport == "file"
    memory = best_memory(stages, setup)
    if memory != setup.memory_mb:
        share = _cpu_share(stages)
        why = f"{share:.0%} of the time is computing, {_peak(stages) >> 20} MB were the most in use"
        why += "; on Lambda" if here else ""
        changed = replace(setup, memory_mb=memory)
        yield "memory_mb", str(setup.memory_mb), str(memory), why, changed, stages
    transport = best_transport(stages, setup)
    if transport != setup.transport:
        why = "by the sizes of its blocks"
        changed = replace(setup, transport=transport)
        yield "transport", f'"{setup.transport}"', f'"{transport}"', why, changed, stages
    partitions = best_partitions(stages, setup)
    now = max((s.partitions for s in stages), default=0)
    if partitions and partitions != now:
        why = "of its shuffles"
        work = repartitioned(stages, partitions)
        yield "default_parallelism", str(now), str(partitions), why, setup, work
    concurrency = best_concurrency(stages, setup)
    if concurrency != setup.slots and not here:
        why = f"its largest stage has {max(s.tasks for s in stages):,} tasks"
        changed = replace(setup, slots=concurrency)
        yield "concurrency", str(setup.slots), str(concurrency), why, changed, stages


# ---- what `auto` chooses


def best_memory(
    stages: Sequence[StageWork], setup: Setup, sizes: Sequence[int] = MEMORY_SIZES_MB
) -> int:
    """Return the best memory size that has room for what tasks held; the largest where none has."""
    roomy = [size for size in sizes if _peak(stages) <= _ROOM * (size << 20)] or [max(sizes)]
    return min(roomy, key=lambda size: _score(forecast(stages, replace(setup, memory_mb=size))))


def best_transport(stages: Sequence[StageWork], setup: Setup) -> str:
    """Return the best transport of Lambda; that which there is where nothing is shuffled."""
    if setup.transport not in TRANSPORTS or not any(s.partitions for s in stages):
        return setup.transport
    # The one that there is comes first: of equal ones it stays.
    ordered = sorted(TRANSPORTS, key=lambda name: name != setup.transport)
    return min(ordered, key=lambda name: _score(forecast(stages, replace(setup, transport=name))))


def best_partitions(stages: Sequence[StageWork], setup: Setup) -> int:
    """Return the best number of reduce partitions for all shuffles of a job, 0 where it has none.

    Fewer partitions hold more each: what does not fit the memory is not considered.
    """
    now = max((stage.partitions for stage in stages), default=0)
    if not now:
        return 0
    found = [now]
    for factor in (0.125, 0.25, 0.5, 2.0, 4.0, 8.0):
        count = max(1, round(now * factor))
        held = _BASE_BYTES + max(0, _peak(stages) - _BASE_BYTES) * now / count
        if held <= _ROOM * (setup.memory_mb << 20) or count > now:
            found.append(count)
    return min(found, key=lambda n: _score(forecast(repartitioned(stages, n), setup)))


def best_concurrency(
    stages: Sequence[StageWork], setup: Setup, most: int = limits.LAMBDA_CONCURRENCY
) -> int:
    """Return the best number of functions at once, of those that make a difference."""
    tasks = max((stage.tasks for stage in stages), default=0)
    if not tasks:
        return setup.slots
    # In n waves: fewer functions that end as late are as fast, and fewer start cold.
    found = {setup.slots, min(most, tasks)}
    found |= {max(1, min(most, -(-tasks // waves))) for waves in (2, 3, 4, 8, 16)}
    ordered = sorted(found, key=lambda slots: slots != setup.slots)
    return min(ordered, key=lambda slots: _score(forecast(stages, replace(setup, slots=slots))))


def repartitioned(stages: Sequence[StageWork], partitions: int) -> list[StageWork]:
    """Return the work of the same job with so many partitions in each of its shuffles."""
    return [
        replace(
            stage,
            partitions=partitions if stage.partitions else 0,
            tasks=partitions if stage.parents and stage.tasks else stage.tasks,
        )
        for stage in stages
    ]


def _peak(stages: Sequence[StageWork]) -> int:
    return max((stage.peak_bytes for stage in stages), default=0)


def _cpu_share(stages: Sequence[StageWork]) -> float:
    total = sum(stage.work_s + stage.overhead_s * stage.tasks for stage in stages)
    computing = sum(
        (stage.work_s + stage.overhead_s * stage.tasks) * stage.cpu_share for stage in stages
    )
    return computing / total if total else 1.0
