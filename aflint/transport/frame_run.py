"""Frames side by side in a file or an object, each behind its length: pure.

A map attempt writes all its frames into one file or object, those of a reduce partition next to
each other, in runs. A reader plans which runs to read from its manifest, and cuts each into frames.
A run that does not end with a frame was damaged: it is lost output, as if the file were gone, and
the map is run again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aflint.map_outputs import FRAME_HEAD_BYTES
from aflint.task import Extent, MapOutput

_LENGTH = struct.Struct("<I")
assert _LENGTH.size == FRAME_HEAD_BYTES


class LostOutputError(Exception):
    """What an attempt of `map` wrote is gone, or is not what it was."""

    def __init__(self, map: int, reason: str) -> None:
        super().__init__(reason)
        self.map = map


class Layout:
    """Where the frames of one file or object lie.

    A run is not made longer than `most_bytes` (a single frame may be), so that it is one read.
    """

    def __init__(self, most_bytes: int) -> None:
        self.size = 0
        self._most = most_bytes
        self._runs: dict[int, list[Extent]] = {}

    def add(self, frames: Mapping[int, Sequence[bytes]]) -> list[bytes]:
        """Place frames, those of a partition together; return the pieces to append, in order."""
        pieces: list[bytes] = []
        for partition in sorted(frames):
            for frame in frames[partition]:
                self._place(partition, _LENGTH.size + len(frame))
                pieces += (_LENGTH.pack(len(frame)), frame)
        return pieces

    def _place(self, partition: int, length: int) -> None:
        runs = self._runs.setdefault(partition, [])
        extent = Extent(self.size, length)
        self.size += length
        if runs and (joined := _join(runs[-1], extent, self._most)) is not None:
            runs[-1] = joined
        else:
            runs.append(extent)

    def extents(self) -> dict[int, tuple[Extent, ...]]:
        """Return where the frames of each partition lie, in the order in which they were added."""
        return {partition: tuple(runs) for partition, runs in self._runs.items()}


def _join(first: Extent, second: Extent, most_bytes: int) -> Extent | None:
    """Return two extents as one, where they touch and that is not too long."""
    length = first.length + second.length
    touch = first.offset + first.length == second.offset
    return Extent(first.offset, length) if touch and length <= most_bytes else None


@dataclass(frozen=True, slots=True)
class Run:
    """Whole frames of one map partition, read by one call."""

    map: int
    object: str
    extent: Extent


def plan_runs(outputs: Iterable[MapOutput], most_bytes: int) -> list[Run]:
    """Return what to read for the outputs of a manifest; extents that touch are read together."""
    runs: list[Run] = []
    for output in outputs:
        own: list[Extent] = []
        for extent in output.extents:
            if own and (joined := _join(own[-1], extent, most_bytes)) is not None:
                own[-1] = joined
            else:
                own.append(extent)
        runs += [Run(output.map, output.object, extent) for extent in own]
    return runs


def batched(runs: Iterable[Run], most_bytes: int) -> list[list[Run]]:
    """Put runs together into batches of about `most_bytes`, in order."""
    batches: list[list[Run]] = []
    room = 0
    for run in runs:
        if run.extent.length > room:
            batches.append([])
            # A run that is longer than a batch is one by itself.
            room = most_bytes
        room -= run.extent.length
        batches[-1].append(run)
    return batches


def cut(run: Run, data: bytes) -> list[bytes]:
    """Return the frames of a run, given the bytes that were read for it.

    Raises LostOutputError where they are too few, or do not end with a frame.
    """
    if len(data) != run.extent.length:
        raise LostOutputError(run.map, f"{run.object} is shorter than it was")
    frames: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        begin = at + _LENGTH.size
        # A slice that is cut short by the end still gives a number: `at` then lies past the end.
        at = begin + int.from_bytes(data[at:begin], "little")
        if at > end:
            raise LostOutputError(run.map, f"{run.object} has other bytes than were written")
        frames.append(data[begin:at])
    return frames
