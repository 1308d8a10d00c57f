"""A sort on localcloud, and what its event log tells of it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import aflint
from aflint.cost.load import StageLoad
from aflint.cost.prices import US_EAST_1
from aflint.observe.finding import find_job
from aflint.observe.loads import load_of_job
from aflint.observe.reading import Job, Run, Task

WORKERS = 2
MEMORY_MB = 1769
LINE = 100


@dataclass(frozen=True)
class Case:
    """A sort of so many megabytes, in so many map and reduce tasks."""

    mb: float
    maps: int
    reduces: int
    transport: str

    def __str__(self) -> str:
        return f"{self.mb:g} MB, {self.maps} x {self.reduces}, {self.transport}"


@dataclass(frozen=True)
class Measured:
    """What a sort took."""

    case: Case
    run: Run
    job: Job

    @cached_property
    def loads(self) -> tuple[StageLoad, StageLoad]:
        """What a map task took on average, and a reduce task."""
        maps, reduces = load_of_job(self.run, self.job).stages
        return maps, reduces

    @property
    def maps(self) -> list[Task]:
        """Its map tasks."""
        return self.job.stages[0].ended()

    @property
    def reduces(self) -> list[Task]:
        """Its reduce tasks."""
        return self.job.stages[1].ended()

    @property
    def tasks(self) -> list[Task]:
        """All of them."""
        return [*self.maps, *self.reduces]

    @property
    def requests(self) -> int:
        """To S3 and SQS, of the tasks: of SQS as they are billed."""
        return sum(task.gets + task.puts + task.sqs for task in self.tasks)

    @property
    def seconds(self) -> float:
        """From its submission to its end."""
        return _known(self.job.completed) - self.job.submitted

    @property
    def opening(self) -> float:
        """How long the driver took before its first stage."""
        return _known(self.job.stages[0].submitted) - self.job.submitted

    @property
    def closing(self) -> float:
        """How long the driver took after its last stage."""
        return _known(self.job.completed) - _known(self.job.stages[-1].completed)


def billed(task: Task) -> float:
    """Return the seconds that a task was billed: what of its dollars is for no request."""
    asked = (
        task.sqs * US_EAST_1.sqs_request
        + task.puts * US_EAST_1.s3_put
        + task.gets * US_EAST_1.s3_get
        + US_EAST_1.lambda_request
    )
    return (task.dollars - asked) / (US_EAST_1.lambda_gb_second_x86 * MEMORY_MB / 1024)


@contextmanager
def history_in(folder: str) -> Iterator[None]:
    """Keep the event logs of what runs meanwhile in a folder, and not in the user's own."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = f"{folder}/state"
    try:
        yield
    finally:
        del os.environ["XDG_STATE_HOME"]
        if before is not None:
            os.environ["XDG_STATE_HOME"] = before


async def record(case: Case, folder: Path) -> Measured:
    """Run a sort of text from the emulator's S3 to the emulator's S3."""
    source = folder / f"{case.mb:g}.txt"
    if not source.exists():
        source.write_text("".join(lines(round(case.mb * 1e6 / LINE))))
    async with aflint.connect(
        backend="localcloud",
        workers=WORKERS,
        transport=case.transport,
        memory_mb=MEMORY_MB,
        progress=False,
        history_mb=64,
    ) as session:
        await session.warm(WORKERS)
        assert session.localcloud is not None
        bucket = f"s3://{next(iter(session.localcloud.snapshot().buckets))}"
        await session.text_file(str(source), 1).save_as_text_file(f"{bucket}/in")
        pairs = session.text_file(f"{bucket}/in", case.maps).map(_pair)
        await pairs.sort_by_key(num_partitions=case.reduces).save_as_text_file(f"{bucket}/out")
        assert session.last_job is not None
        job = session.last_job.id
    return Measured(case, *find_job(job))


def lines(count: int) -> list[str]:
    """Return lines as gensort -a makes them: a key of ten characters, and 90 more bytes."""
    chance = random.Random(count)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return [
        f"{''.join(chance.choices(letters, k=10))}{number:032d}"
        f"{f'{chance.getrandbits(104):026X}' * 2}\n"
        for number in range(count)
    ]


def _pair(line: str) -> tuple[str, str]:
    return line[:10], line[10:]


def _known(moment: float | None) -> float:
    assert moment is not None
    return moment
