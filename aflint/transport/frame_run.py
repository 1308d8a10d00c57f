"""Frames side by side in one stretch of bytes, each behind its length: pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from aflint.task import Extent

LENGTH = struct.Struct("<I")


def lay_out(frames: Mapping[int, Sequence[bytes]], offset: int) -> tuple[bytes, dict[int, Extent]]:
    """Return the bytes of all frames, those of a partition together, and where each one's lie.

    `offset` is where the bytes will begin.
    """
    pieces: list[bytes] = []
    extents: dict[int, Extent] = {}
    for partition in sorted(frames):
        length = 0
        for frame in frames[partition]:
            pieces += (LENGTH.pack(len(frame)), frame)
            length += LENGTH.size + len(frame)
        extents[partition] = Extent(offset, length)
        offset += length
    return b"".join(pieces), extents


def cut(run: bytes) -> Iterator[bytes]:
    """Yield the frames of a stretch of whole ones.

    Raises ValueError where it does not end with a frame.
    """
    at = 0
    while at < len(run):
        begin = at + LENGTH.size
        if begin > len(run):
            raise ValueError("a run of frames ends in the middle of a length")
        at = begin + LENGTH.unpack_from(run, at)[0]
        if at > len(run):
            raise ValueError("a run of frames ends in the middle of one")
        yield run[begin:at]
