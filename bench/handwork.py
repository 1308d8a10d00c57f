"""What a program by hand for one machine is made of: `multiprocessing`, and nothing else.

It is the limit that the engines are measured against: two processes kept warm, 4 MiB reads, one
split for each block, a dict that combines, files that processes exchange. No scheduler, no retry,
no limit on memory. The functions applied to a record are those of the other peers.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context
from typing import Any

import cloudpickle

BLOCK = 4 << 20
PROCESSES = 2

Pairs = Iterable[tuple[Any, Any]]


HELD: dict[Any, Any] = {}
"""What one of the processes keeps from one piece of work to the next."""


class Hands:
    """Two warm processes; what has the same number is always done by the same one."""

    def __init__(self) -> None:
        # Forked: they make the same hash of the same text.
        self._pools = [get_context("fork").Pool(1) for _ in range(PROCESSES)]
        self.exchanged = 0

    def close(self) -> None:
        """End the processes."""
        for pool in self._pools:
            pool.terminate()
            pool.join()

    def each(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Return what `work` makes of each item."""
        packed = cloudpickle.dumps(work)
        pending = [
            self._pools[number % PROCESSES].apply_async(_call, (packed, item))
            for number, item in enumerate(items)
        ]
        return [each.get() for each in pending]

    def exchange(
        self,
        items: Sequence[Any],
        deal: Callable[[Any], Sequence[Any]],
        take: Callable[[int, Iterator[Any]], Any],
        partitions: int,
    ) -> list[Any]:
        """Have `deal` make a part of each item for each partition, and `take` see these parts."""
        with tempfile.TemporaryDirectory() as folder:
            sizes = self.each(partial(_deal, deal, folder), enumerate(items))
            self.exchanged += sum(sizes)
            return self.each(partial(_take, take, folder, len(items)), range(partitions))


def _call(packed: bytes, item: Any) -> Any:
    return cloudpickle.loads(packed)(item)


def _deal(deal: Callable[[Any], Sequence[Any]], folder: str, item: tuple[int, Any]) -> int:
    number, given = item
    size = 0
    for partition, part in enumerate(deal(given)):
        data = pickle.dumps(part, 5)
        size += len(data)
        with open(f"{folder}/{number}-{partition}", "wb") as file:
            file.write(data)
    return size


def _take(take: Callable[[int, Iterator[Any]], Any], folder: str, items: int, number: int) -> Any:
    return take(number, (_load(f"{folder}/{item}-{number}") for item in range(items)))


def _load(path: str) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)


def by_hash(pairs: Pairs, partitions: int) -> list[list[tuple[Any, Any]]]:
    """Return the pairs by the hash of their key."""
    parts: list[list[tuple[Any, Any]]] = [[] for _ in range(partitions)]
    adds = [part.append for part in parts]
    for pair in pairs:
        adds[hash(pair[0]) % partitions](pair)
    return parts


@dataclass(frozen=True)
class Chunk:
    """Bytes `start` to `stop` of a file; the lines that begin in it are its own."""

    path: str
    start: int
    stop: int


def chunks(paths: list[str], count: int) -> list[list[Chunk]]:
    """Cut the files, laid end to end, into `count` bins of as many bytes each."""
    sizes = [os.path.getsize(path) for path in paths]
    total = sum(sizes)
    bins: list[list[Chunk]] = []
    for number in range(count):
        low, high = total * number // count, total * (number + 1) // count
        pieces, offset = [], 0
        for path, size in zip(paths, sizes, strict=True):
            start, stop = max(low - offset, 0), min(high - offset, size)
            if start < stop:
                pieces.append(Chunk(path, start, stop))
            offset += size
        bins.append(pieces)
    return bins


def lines(chunk: Chunk) -> Iterator[list[str]]:
    """Yield the lines that begin in a chunk, a block of them at a time, without line feeds."""
    for block in _blocks(chunk):
        split = block.decode().split("\n")
        if not split[-1]:
            split.pop()
        yield split


def _blocks(chunk: Chunk) -> Iterator[bytes]:
    with open(chunk.path, "rb", buffering=0) as file:
        at = chunk.start
        if at:
            file.seek(at - 1)
            while True:  # the line that the chunk's first byte lies in belongs to the one before
                piece = file.read(1 << 12)
                end = piece.find(b"\n")
                if end >= 0 or not piece:
                    break
                at += len(piece)
            at += end if piece else 0
            file.seek(at)
        rest = b""
        while at < chunk.stop:
            block = file.read(min(BLOCK, chunk.stop - at))
            if not block:
                break
            at += len(block)
            if at >= chunk.stop and not block.endswith(b"\n"):
                block += _rest_of_line(file)
            block = rest + block
            end = block.rfind(b"\n") + 1 if at < chunk.stop else len(block)
            rest = block[end:]
            yield block[:end]


def all_lines(pieces: Iterable[Chunk]) -> Iterator[str]:
    """Return the lines of some chunks."""
    return chain.from_iterable(block for piece in pieces for block in lines(piece))


def raw_lines(pieces: Iterable[Chunk]) -> Iterator[bytes]:
    """Return the lines of some chunks as bytes, with their line feeds."""
    for piece in pieces:
        for block in _blocks(piece):
            yield from block.splitlines(keepends=True)


def combine(function: Callable[[Any, Any], Any], pairs: Pairs) -> dict[Any, Any]:
    """Reduce the values of each key."""
    totals: dict[Any, Any] = {}
    for key, value in pairs:
        try:
            totals[key] = function(totals[key], value)
        except KeyError:
            totals[key] = value
    return totals


def _rest_of_line(file: Any) -> bytes:
    parts = []
    while piece := file.read(1 << 12):
        end = piece.find(b"\n") + 1
        parts.append(piece[:end] if end else piece)
        if end:
            break
    return b"".join(parts)
