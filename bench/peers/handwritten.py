"""The seven queries as a person would write them for one machine: multiprocessing, nothing else.

This is the limit that aflint is measured against: two processes kept warm, sixteen chunks, 4 MiB
reads, one split for each block, `map` and `filter` built in, a dict that combines. No scheduler, no
shuffle, no retry, no limit on memory. The functions applied to a record are those of the other
peers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context
from operator import add
from typing import Any

from examples.taxi import records as r

BLOCK = 4 << 20
CHUNKS = 16
PROCESSES = 2

Pairs = Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Chunk:
    """Bytes `start` to `stop` of a file; the lines that begin in it are its own."""

    path: str
    start: int
    stop: int


class Handwritten(AbstractContextManager["Handwritten"]):
    """A warm pool of two processes that answers the queries."""

    def __init__(self, trips: list[str], weather: str) -> None:
        self._bins = chunks(trips, CHUNKS)
        self._weather = weather
        self._pool = get_context("spawn").Pool(PROCESSES)

    def __exit__(self, *exc: object) -> None:
        self._pool.terminate()
        self._pool.join()

    def answer(self, name: str) -> Any:
        """Return the answer to one query."""
        parts = self._pool.imap_unordered(partial(_run, name), self._bins)
        if name == "Q0":
            return sum(parts)
        totals = combine(add, chain.from_iterable(part.items() for part in parts))
        return sorted((_join(totals, self._weather) if name == "Q6" else totals).items())


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
            split = block[:end].decode().split("\n")
            if not split[-1]:
                split.pop()
            yield split


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


def _run(name: str, pieces: list[Chunk]) -> Any:
    if name == "Q0":
        return sum(len(block) for piece in pieces for block in lines(piece))
    pairs = PIPELINES[name]
    return combine(add, chain.from_iterable(pairs(b) for piece in pieces for b in lines(piece)))


def _at(
    near: Callable[[str], bool], inside: Callable[[list[str]], bool], block: list[str]
) -> Pairs:
    return map(r.hour_of_drop_off, filter(inside, map(r.split, filter(near, block))))


def _tips(block: list[str]) -> Pairs:
    rows = filter(r.at_goldman, map(r.split, filter(r.near_goldman, block)))
    return map(r.hour_of_drop_off, filter(r.tipped_over_ten, rows))


def _known(pair: Callable[[str], Any], block: list[str]) -> Pairs:
    return filter(None, map(pair, block))


PIPELINES: dict[str, Callable[[list[str]], Pairs]] = {
    "Q1": partial(_at, r.near_goldman, r.at_goldman),
    "Q2": partial(_at, r.near_citigroup, r.at_citigroup),
    "Q3": _tips,
    "Q4": partial(_known, r.month_and_payment),
    "Q5": partial(_known, r.month_and_colour),
    "Q6": partial(_known, r.date_of_pick_up),
}


def _join(daily: dict[str, int], weather: str) -> dict[float, tuple[int, int]]:
    with open(weather, encoding="utf-8") as file:
        rain = dict(filter(None, map(r.date_and_precipitation, file)))
    joined = ((day, (trips, rain[day])) for day, trips in daily.items() if day in rain)
    return combine(r.add_pairs, map(r.by_precipitation, joined))
