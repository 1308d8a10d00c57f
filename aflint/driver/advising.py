"""What a finished job's own metrics say of its work, for `aflint.cost.advice` to judge: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aflint.cost.advice import MATTERS_S, MATTERS_USD, Advice, advise
from aflint.cost.forecast import Setup, ShuffleRequests, StageWork, shuffle_requests

_FIXED_S: Final = 0.01
"""Of each task, beside the loading of its program."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A stage that ran: `ran` attempts, with what they came to together."""

    id: int
    name: str
    tasks: int
    ran: int
    parents: tuple[int, ...]
    seconds: float
    load_s: float
    cpu_s: float
    input_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    write_records: int = 0
    peak_bytes: int = 0
    longest: float = 1.0


def work_of(stages: Sequence[Measured], setup: Setup) -> list[StageWork]:
    """Return the work of stages; what ran on less than one vCPU would have been done sooner."""
    readers = {id: stage for stage in stages for id in stage.parents}
    found: dict[int, StageWork] = {}
    for stage in stages:
        reader = readers.get(stage.id)
        share = min(1.0, stage.cpu_s / stage.seconds) if stage.seconds else 1.0
        seconds = stage.seconds / (1.0 + share * (setup.slowdown - 1.0))
        overhead = min(_FIXED_S + stage.load_s / max(1, stage.ran), seconds / max(1, stage.ran))
        work = StageWork(
            stage.id,
            stage.name,
            stage.tasks if stage.ran else 0,
            stage.parents,
            overhead_s=overhead,
            work_s=max(0.0, seconds - overhead * stage.ran),
            cpu_share=share,
            longest=stage.longest,
            input_bytes=stage.input_bytes,
            read_bytes=stage.read_bytes,
            write_bytes=stage.write_bytes,
            write_records=stage.write_records,
            partitions=reader.tasks if reader is not None else 0,
            peak_bytes=stage.peak_bytes,
        )
        # What its requests took is counted by the model again.
        calls = _asked(work, setup).writes * setup.write_s
        above = [found[id] for id in stage.parents if id in found]
        calls += sum(_asked(each, setup).reads(stage.tasks) for each in above) * setup.read_s
        found[stage.id] = replace(work, work_s=max(0.0, work.work_s - calls))
    return list(found.values())


def _asked(work: StageWork, setup: Setup) -> ShuffleRequests:
    return shuffle_requests(
        setup.transport, work.tasks, work.partitions, work.write_bytes, work.write_records,
        setup.message_bytes,
    )  # fmt: skip


def advice_for(stages: Sequence[Measured], setup: Setup) -> list[Advice]:
    """Return what would have been better for a job, that which gives most first."""
    return advise(work_of(stages, setup), setup)


def hint(stages: Sequence[Measured], setup: Setup, seconds: float, dollars: float) -> str:
    """Return a line for the end of a job that took and cost so much; empty where none matters."""
    if seconds < MATTERS_S and dollars < MATTERS_USD:
        return ""
    return next((str(each) for each in advice_for(stages, setup) if each.matters), "")
