"""The seam of the shuffle: a transport moves opaque frames, and knows nothing of what is in them.

Framing, deduplication and completeness live once, above this seam, in `aflint.executor.shuffle`.
A new transport is one file that passes `aflint.testing.check_transport`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aflint.errors import RecordTooLargeError
from aflint.task import Extent, Manifest, ShuffleHandle
from aflint.task import TransferCounts as TransferCounts


@dataclass(frozen=True, slots=True)
class TransportTraits:
    """What a transport can do: the engine decides by these, never by a transport's name.

    `max_frame_bytes`: the largest frame that can be written. `target_frame_bytes`: the size that
    wastes least, at most that. `rereadable`: a partition can be read again, and by several readers
    at once, as files and objects can and queues cannot.
    """

    max_frame_bytes: int
    target_frame_bytes: int
    rereadable: bool

    def check(self, frame: bytes) -> None:
        """Raise RecordTooLargeError for a frame that is larger than the transport can carry."""
        if len(frame) > self.max_frame_bytes:
            raise RecordTooLargeError(
                f"a frame of {len(frame)} bytes is larger than the {self.max_frame_bytes} bytes "
                "that this transport can carry; make the record smaller, or choose another "
                "transport"
            )


@dataclass(frozen=True, slots=True)
class Written:
    """Where a map attempt's frames lie, unless they went into queues or memory."""

    object: str = ""
    extents: dict[int, tuple[Extent, ...]] | None = None


class ShuffleWriter(ABC):
    """Takes the frames of one map attempt (one link of it)."""

    counts: TransferCounts

    @abstractmethod
    async def write(self, partition: int, frame: bytes) -> None:
        """Accept a frame; return when there is room for the next, not when this one is stored.

        Raises the failure of an earlier write.
        """

    @abstractmethod
    async def finish(self) -> Written:
        """Make every accepted frame readable by others; return where those outside queues lie."""

    @abstractmethod
    async def abort(self) -> None:
        """Give up: free what can be freed. Frames already sent may arrive; readers drop them."""


class ShuffleReader(ABC):
    """Yields the frames of one reduce partition."""

    counts: TransferCounts

    @abstractmethod
    def frames(self) -> AsyncIterator[bytes]:
        """Yield frames, each at least once, in any order, and perhaps strays of other attempts.

        Files and objects end once they have yielded all that the manifest names; a queue never
        ends. Raises FetchFailedError if frames are known to be lost. The consumer closes the
        iterator as soon as it has all it needs.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release what the reader holds, and leave all that it read to the next reader."""


class Transport(ABC):
    """One way to carry a shuffle. The driver opens and closes; executors write and read.

    `counts` are the requests to AWS that opening and closing shuffles have made so far.
    """

    def __init__(self, traits: TransportTraits) -> None:
        self.traits: Final = traits
        self.counts: Final = TransferCounts()

    @abstractmethod
    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Make what the shuffle needs: queues, a folder."""

    @abstractmethod
    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere. Closing twice is no error."""

    @abstractmethod
    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> ShuffleWriter:
        """Return a writer for one map attempt; attempts of one map may write at the same time."""

    @abstractmethod
    def reader(self, manifest: Manifest) -> ShuffleReader:
        """Return a reader of what the manifest names."""

    def exchange_groups(self, maps: int, partitions: int) -> int:
        """Return into how many groups reduce partitions are best put for an exchange of two levels;
        1, the default, where every block is as well read at once.
        """
        return 1

    async def survives(self, handle: ShuffleHandle) -> bool:
        """Say whether a shuffle that an earlier driver opened can still be read.

        Single frames may be missing from it. After False, the default, all of it is made again. A
        transport that returns True also implements `sweep`.
        """
        return False

    async def sweep(self, session: str) -> None:
        """Remove what shuffles of a session's jobs left anywhere, even those whose handle is lost.

        The names of its jobs begin with the session's and a hyphen.
        """
        return None

    async def aclose(self) -> None:
        """Close the clients and files that this transport holds open."""
        return None
