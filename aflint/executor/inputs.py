"""What a task reads, by leaf and partition, and what it has read so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aflint.codec.secret import Secret
from aflint.errors import InternalError
from aflint.executor.aggregate import Spiller
from aflint.executor.chaining import Chain
from aflint.executor.held import HeldPartitions
from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import Completeness, ReadCounts, read_blocks
from aflint.executor.sources import Source, SourceCounts, open_source
from aflint.executor.spill import SpillFile
from aflint.storage.base import Storage
from aflint.task import BlocksSplit, FrameId, Manifest, TaskDescription
from aflint.transport.base import Transport

ReducePartition = tuple[str, int, int]
"""The job that opened a shuffle, its number there, and one of its reduce partitions."""


@dataclass(slots=True)
class Inputs:
    """A task's inputs, and the means to read them."""

    task: TaskDescription
    secret: Secret
    storage: Storage
    transport: Transport | None
    io: IOLoop
    spiller: Spiller
    chain: Chain
    held: HeldPartitions = field(default_factory=HeldPartitions)
    source_counts: SourceCounts = field(default_factory=SourceCounts)
    shuffle_counts: ReadCounts = field(default_factory=ReadCounts)
    # What the task cached on its way: (node, partition, the split that reads it).
    stored: list[tuple[int, int, BlocksSplit]] = field(default_factory=list)
    # By leaf and partition.
    _splits: dict[tuple[int, int], Any] = field(default_factory=dict)
    # Where two leaves read one queue, and the files into which it was read: see `frames`.
    _read_twice: set[ReducePartition] = field(default_factory=set)
    _held: dict[ReducePartition, SpillFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._splits = {(item.leaf, item.partition): item.split for item in self.task.inputs}
        if self.task.keep:  # read whole, so that all of it can be kept where the task fails
            self._read_twice = set(map(place_of, filter(_is_manifest, self._splits.values())))
        elif self.transport is not None and not self.transport.traits.rereadable:
            counts = Counter(map(place_of, filter(_is_manifest, self._splits.values())))
            self._read_twice = {place for place, count in counts.items() if count > 1}

    def frame_key(self, job: str) -> bytes:
        """Return the key of the frames of a job: this task's own, or one whose shuffle is kept."""
        return self.secret.key("job", job)

    def split(self, leaf: int, partition: int) -> Any:
        """Return what a leaf reads for one of its partitions."""
        return self._splits[leaf, partition]

    def manifest(self, leaf: int, partition: int) -> Manifest:
        """Return the manifest that a leaf reads by."""
        manifest = self.split(leaf, partition)
        if not isinstance(manifest, Manifest):
            raise InternalError(f"leaf {leaf} of {self.task.id} has no manifest")
        return manifest

    def frames(
        self, manifest: Manifest, seen: Sequence[FrameId]
    ) -> Generator[tuple[FrameId, Sequence[Any]], None, None]:
        """Yield the frames of a reduce partition that were not seen yet, each with its records.

        Two leaves of one task may read the same partition, even in turns. Two readers of a queue
        would hide its messages from each other, so there it is read once, whole, into a file.
        """
        place = place_of(manifest)
        if place not in self._read_twice:
            yield from self._fetch(Completeness(manifest, seen))
            return
        if place not in self._held:
            file = self._held[place] = SpillFile(self.spiller.folder)
            # All frames, whatever one leaf has seen: the other may not have seen them.
            for id, block in self._fetch(Completeness(manifest)):
                file.append([id, list(block)])
        skipped = set(seen)
        for id, block in self._held[place].read():
            if id not in skipped:
                yield id, block

    def _fetch(
        self, progress: Completeness
    ) -> Generator[tuple[FrameId, Sequence[Any]], None, None]:
        if self.transport is None:
            raise InternalError(f"{self.task.id} reads a shuffle, but was given no transport")
        return read_blocks(
            progress,
            self.frame_key(progress.manifest.handle.job),
            self.transport,
            self.io,
            self.task.fetch_timeout_s,
            self.shuffle_counts,
        )

    def hold(self, place: ReducePartition, blocks: Iterator[list[Any]]) -> None:
        """Have the frames of a reduce partition, as [id, records], read from here."""
        file = self._held[place] = SpillFile(self.spiller.folder)
        for block in blocks:
            file.append(block)

    def close(self) -> None:
        """Free what was held of partitions that are read twice."""
        for file in self._held.values():
            file.close()

    def open(self, split: Any, position: Any = None) -> Source:
        """Return a source of a split, from a position on."""
        key = self.file_key(split.path) if isinstance(split, BlocksSplit) else None
        source = open_source(split, self.storage, self.io, self.source_counts, position, key)
        if isinstance(split, BlocksSplit) and split.held and not position:
            return self.held.open(split.path, source)
        return source

    def counted(self, blocks: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Give the blocks of a source, and count their records."""
        for block in blocks:
            self.source_counts.input_records += len(block)
            yield block

    def file_key(self, path: str) -> bytes:
        """Return the key of a file of blocks that only aflint's own tasks read."""
        return self.secret.key("file", path)


def _is_manifest(split: Any) -> bool:
    return isinstance(split, Manifest)


def place_of(manifest: Manifest) -> ReducePartition:
    """Return which partition of which shuffle a manifest reads."""
    return manifest.handle.job, manifest.handle.shuffle, manifest.partition
