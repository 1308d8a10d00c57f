"""What a task reads, by leaf and partition, and what it has read so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aflint.codec.secret import Secret
from aflint.errors import InternalError
from aflint.executor.aggregate import Spiller
from aflint.executor.chaining import Chain
from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import ReadCounts
from aflint.executor.sources import Source, SourceCounts, open_source
from aflint.storage.base import Storage
from aflint.task import BlocksSplit, Manifest, TaskDescription
from aflint.transport.base import Transport


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
    source_counts: SourceCounts = field(default_factory=SourceCounts)
    shuffle_counts: ReadCounts = field(default_factory=ReadCounts)
    stored: list[tuple[int, int, BlocksSplit]] = field(default_factory=list)
    _splits: dict[tuple[int, int], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._splits = {(item.leaf, item.partition): item.split for item in self.task.inputs}

    @property
    def frame_key(self) -> bytes:
        """The key of the frames of this task's job."""
        return self.secret.key("job", self.task.id.job)

    def split(self, leaf: int, partition: int) -> Any:
        """Return what a leaf reads for one of its partitions."""
        return self._splits[leaf, partition]

    def manifest(self, leaf: int, partition: int) -> Manifest:
        """Return the manifest that a leaf reads by."""
        manifest = self.split(leaf, partition)
        if not isinstance(manifest, Manifest):
            raise InternalError(f"leaf {leaf} of {self.task.id} has no manifest")
        return manifest

    def open(self, split: Any, position: Any = None) -> Source:
        """Return a source of a split, from a position on."""
        key = self.file_key(split.path) if isinstance(split, BlocksSplit) else None
        return open_source(split, self.storage, self.io, self.source_counts, position, key)

    def file_key(self, path: str) -> bytes:
        """Return the key of a file of blocks that only aflint's own tasks read."""
        return self.secret.key("file", path)
