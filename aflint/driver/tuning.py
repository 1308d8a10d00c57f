"""What `auto` chooses for a job: by the model of `aflint.cost`, and what earlier jobs showed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from aflint.config import Auto, Config
from aflint.cost import dollars
from aflint.cost.advice import best_concurrency, best_memory, best_partitions
from aflint.cost.forecast import Setup, StageWork
from aflint.driver.advising import work_of
from aflint.driver.report import JobReport, measured
from aflint.driver.weights import FILES, size_of, weight
from aflint.plan.lineage import Node, Source
from aflint.plan.planner import Stage, TaskSettings, partition_count

_S_PER_BYTE: Final = 1 / 20e6
"""Of computing, until a job has shown another: about what splitting lines takes."""

_SHUFFLED: Final = 0.5
"""Bytes that are shuffled for each that is read."""

_RECORD_BYTES: Final = 64.0

_TASK_S: Final = 0.02
"""Of each task, whatever it reads."""


@dataclass(slots=True)
class Tuning:
    """Chooses for the jobs of one session, where the configuration leaves it to aflint.

    `sizes_mb` are those of the functions that there are; none where tasks run in no function.
    `slots` attempts may run at once, which `limit` bounds further. `jobs` returns the session's
    jobs so far.
    """

    config: Config
    sizes_mb: Sequence[int]
    slots: int
    setup: Callable[[], Setup]
    limit: Callable[[int], None]
    jobs: Callable[[], Sequence[JobReport]]
    # The concurrency that each running job was found to be worth.
    _wanted: list[int] = field(default_factory=list)

    @contextmanager
    def tuned(self, stages: Sequence[Stage], settings: TaskSettings) -> Iterator[TaskSettings]:
        """Run a job of these stages: yields the settings for its tasks."""
        sizes, concurrency = (
            isinstance(asked, Auto) and bool(self.sizes_mb)
            for asked in (self.config.memory_mb, self.config.concurrency)
        )
        if not sizes and not concurrency:
            yield settings
            return
        setup, known = self.setup(), self._known()
        if sizes:
            settings = replace(settings, memory_mb=self._memory(known, setup))
        if not concurrency:
            yield settings
            return
        # More than there are tasks are as good to the model, and would be no bound to other jobs.
        most = max(1, min(self.slots, max(stage.tasks for stage in stages)))
        planned = self._planned(stages, known)
        wanted = best_concurrency(planned, replace(setup, slots=most), most=most)
        self._wanted.append(wanted)
        self.limit(sum(self._wanted))
        try:
            yield settings
        finally:
            self._wanted.remove(wanted)
            self.limit(sum(self._wanted) or self.slots)

    def partitions(self, parents: Sequence[Node]) -> int:
        """Return how many partitions a shuffle of resolved nodes gets, by what these read.

        By that alone, and not by what jobs have shown: an RDD has as many each time it is asked,
        and in a run that is resumed.
        """
        tasks = max(map(partition_count, parents))
        read = sum(map(_listed, parents))
        rate, sent = _S_PER_BYTE, _SHUFFLED * read
        work = [
            StageWork(
                0, "map", tasks, overhead_s=_TASK_S, work_s=read * rate, write_bytes=sent,
                write_records=sent / _RECORD_BYTES, partitions=max(1, tasks),
            ),
            StageWork(1, "reduce", tasks, (0,), overhead_s=_TASK_S, work_s=sent * rate),
        ]  # fmt: skip
        return best_partitions(work, replace(self.setup(), slots=self.slots))

    def _memory(self, known: Sequence[StageWork], setup: Setup) -> int:
        """Return the size that the dearest job so far should have had; one vCPU before any."""
        if known:
            return best_memory(known, setup, self.sizes_mb)
        whole = [size for size in self.sizes_mb if size >= self.config.memory_mb]
        return min(whole or self.sizes_mb)

    def _known(self) -> list[StageWork]:
        """Return the work of the job that cost most so far."""
        ended = [job for job in self.jobs() if not job.running and not job.error and job.tasks]
        if not ended:
            return []
        dearest = max(ended, key=lambda job: dollars(job.usage))
        return work_of(measured(dearest), self.setup())

    def _planned(self, stages: Sequence[Stage], known: Sequence[StageWork]) -> list[StageWork]:
        rate = _rate(known)
        return [
            StageWork(
                stage.id, stage.name, stage.tasks, stage.parents, overhead_s=_TASK_S,
                work_s=weight(stage, FILES) * rate,
            )
            for stage in stages
        ]  # fmt: skip


def _rate(known: Sequence[StageWork]) -> float:
    read = sum(stage.input_bytes for stage in known)
    return sum(stage.work_s for stage in known if stage.input_bytes) / read if read else _S_PER_BYTE


def _listed(root: Node) -> float:
    """Return the bytes of the files that a resolved node is made of."""
    total, waiting, seen = 0.0, [root], set[int]()
    while waiting:
        node = waiting.pop()
        if node.id in seen:
            continue
        seen.add(node.id)
        waiting.extend(node.parents)
        if isinstance(node, Source):
            total += sum(size_of(split) for split in node.splits if isinstance(split, FILES))
    return total
