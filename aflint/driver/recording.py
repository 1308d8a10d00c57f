"""Writes down what a job comes to, as much of it as another driver could use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from aflint.journal import JobIdentity, Journal
from aflint.journal.entries import (
    InputListed,
    JobBegan,
    JobClosed,
    Row,
    SaveAborted,
    SaveCommitted,
    ShuffleMade,
    TaskAccepted,
    row_of,
)
from aflint.plan.planner import ManifestOf, Stage
from aflint.task import DataSplit, FilesSplit, ShuffleHandle, TaskResult, TextSplit
from aflint.wire import pack


def identity_of(stages: Sequence[Stage], programs: Mapping[str, str]) -> JobIdentity:
    """Return what stages compute. `programs`: the fingerprints of their programs, by blob."""
    digest = blake2b(digest_size=16)
    program = blake2b(digest_size=16)
    files: dict[str, str] = {}
    for stage in stages:
        writes = stage.writes and (stage.writes.shuffle, stage.writes.partitions)
        digest.update(pack((stage.id, programs[stage.program.digest], writes)))
        program.update(pack((stage.id, programs[stage.program.digest])))
        for inputs in stage.inputs:
            digest.update(pack([(i.leaf, i.partition, _read(i.split)) for i in inputs]))
            for each in inputs:
                files.update(_versions(each.split))
    listed = blake2b(pack(sorted(files.items())), digest_size=16)
    return JobIdentity(digest.hexdigest(), program.hexdigest(), listed.hexdigest(), files)


def _versions(split: Any) -> Iterable[tuple[str, str]]:
    """Return the files that a split is read from, with their versions: by their sizes where those
    are not known.
    """
    match split:
        case TextSplit(path=path, size=size, version=version):
            return ((path, version or str(size)),)
        case FilesSplit(paths, sizes, versions=versions):
            return zip(paths, versions or map(str, sizes), strict=True)
    return ()


def _read(split: Any) -> Any:
    """Return what tells a split from others; of the driver's own data, that is its digest."""
    match split:
        case ManifestOf(shuffle, None):
            return ("shuffle", shuffle)
        case ManifestOf(shuffle, partition, maps):
            return ("shuffle", shuffle, partition, *(maps or ()))
        case DataSplit(blocks):
            return ("data", *(block.digest for block in blocks))
    return split


@dataclass(slots=True)
class JobRecord:
    """One job's entries in a journal. `writers`: which stage writes a shuffle. `listed`: the inputs
    that stand in the journal.
    """

    journal: Journal
    job: str
    writers: Mapping[int, Stage]
    listed: set[str]
    _links: dict[tuple[int, int], list[Row]] = field(default_factory=dict)

    def begin(self, name: str, identity: JobIdentity) -> None:
        """Note that the job is about to run."""
        if identity.input not in self.listed:
            self.listed.add(identity.input)
            self.journal.record(InputListed(identity.input, dict(identity.files)))
        self.journal.record(
            JobBegan(self.job, name, identity.fingerprint, identity.program, identity.input)
        )

    def opened(self, handle: ShuffleHandle) -> None:
        """Note a shuffle."""
        self.journal.record(ShuffleMade(self.writers[handle.shuffle].id, handle))

    def accepted(self, result: TaskResult, counts: bool) -> None:
        """Note an accepted task, once the last link of its attempt is there. `counts`: what it
        accumulated counts.
        """
        place = (result.id.stage, result.id.partition)
        row = row_of(result)
        if result.continuation is not None:
            self._links.setdefault(place, []).append(row)
        else:
            before = self._links.pop(place, ())
            self.journal.record(TaskAccepted((*before, row), counts))

    def closed(self, error: str) -> None:
        """Note that the job is over: with its answer, or with an error of that type."""
        self.journal.record(JobClosed(self.job, error))

    def aborted(self) -> None:
        """Note that what the job saved is about to be removed."""
        self.journal.record(SaveAborted(self.job))

    def committed(self) -> None:
        """Note that what the job saved is in its place."""
        self.journal.record(SaveCommitted(self.job))
