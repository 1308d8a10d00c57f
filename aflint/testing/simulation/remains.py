"""What there is of a run when its driver is killed, and must not be made again by the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aflint.errors import FetchFailedError
from aflint.journal import Entry, Past, PastJob
from aflint.journal.entries import ShuffleMade
from aflint.task import ShuffleHandle, TaskDescription, TaskResult
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.faults import Fault

if TYPE_CHECKING:
    from aflint.testing.simulation.cloud import SimulatedCloud

Place = tuple[str, int, int]
"""Job, stage, partition."""


@dataclass(slots=True)
class Remains:
    """What a later driver must not run again: tasks that the journal has as accepted, and whose
    output is there yet.
    """

    past: Past = field(default_factory=lambda: Past(""))
    broken: list[str] = field(default_factory=list)
    """The promises that were not kept, in words."""
    _writers: dict[tuple[str, int], int] = field(default_factory=dict)
    _done: dict[Place, ShuffleHandle | None] = field(default_factory=dict)

    def find(self, entries: Iterable[Entry]) -> None:
        """Take in the journal that a driver left."""
        entries = list(entries)
        self.past = Past("", entries)
        for entry in entries:
            if isinstance(entry, ShuffleMade):
                self._writers[entry.handle.job, entry.handle.shuffle] = entry.stage

    def forget(self) -> None:
        """Expect nothing: the driver before goes on, and may remove what it has."""
        self._done = {}

    async def lose_some(self, cloud: SimulatedCloud, number: int) -> None:
        """Let some of the shuffles go, and note what of the others is there."""
        self._done = {}
        transport = cloud.transport(cloud.unharmed())
        for job in self.past.jobs.values():
            handles: dict[int, ShuffleHandle] = {}
            for shuffle, handle in job.handles.items():
                if not await transport.survives(handle):
                    continue
                if cloud.dice.strikes(Fault.LOST_SHUFFLE, f"{number} {job.id}/{shuffle}"):
                    await transport.close(handle)
                else:
                    handles[self._writers[job.id, shuffle]] = handle
            self._note(job, handles)

    def _note(self, job: PastJob, handles: dict[int, ShuffleHandle]) -> None:
        for (stage, partition), links in job.results.items():
            if stage in handles and (stage, partition) not in job.outdated:
                self._done[job.id, stage, partition] = handles[stage]
            elif links[-1].value is not None:
                self._done[job.id, stage, partition] = None

    def invoked(self, task: TaskDescription, dice: Dice) -> None:
        """Take in that a later driver runs an attempt."""
        id = task.id
        handle = self._done.get((id.job, id.stage, id.partition), task)
        if handle is task or task.combines_a_share:  # what is a share, each driver decides anew
            return
        gone = handle != task.output and Fault.DELETED_QUEUE in dice.counts
        if not gone:
            self.broken.append(f"{id} is run again, and its output is there")

    def ended(self, result: TaskResult) -> None:
        """Take in that an attempt has ended: it may have found that output was lost."""
        failure = result.failure
        if failure is None or failure.kind != FetchFailedError.__name__:
            return
        job = failure.details["job"]  # which may be one before, that left its shuffle to later ones
        writer = self._writers.get((job, failure.details["shuffle"]), -1)
        for map_ in failure.details["maps"]:
            self._done.pop((job, writer, map_), None)
