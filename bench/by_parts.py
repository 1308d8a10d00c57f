"""What engines without a shuffle make of one part of a file, before its parts are put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from operator import add
from typing import Any

from bench import handwork as h
from bench import programs as p

Chunks = Iterable[h.Chunk]


def count_lines(part: Chunks) -> int:
    """Count the lines."""
    return sum(1 for _ in h.all_lines(part))


def count_trips(case: str, part: Chunks) -> dict[Any, int]:
    """Count what a taxi query counts."""
    return h.combine(add, p.taxi_pairs(case, h.all_lines(part)))


def count_words(part: Chunks) -> Counter[str]:
    """Count the words."""
    return Counter(chain.from_iterable(map(str.split, h.all_lines(part))))


def add_pairs(part: Chunks) -> dict[int, int]:
    """Add the numbers of each key."""
    return h.combine(add, map(p.pair, h.all_lines(part)))


def add_named(names_path: str, part: Chunks) -> dict[str, int]:
    """Add the numbers of each name."""
    names = p.names_in(names_path)
    return h.combine(add, ((names[key], value) for key, value in map(p.pair, h.all_lines(part))))


def keys(part: Chunks) -> set[int]:
    """Return the keys."""
    return {key for key, _ in map(p.pair, h.all_lines(part))}


def sums(centres: Any, part: Chunks) -> list[Any]:
    """Add the points nearest to each centre."""
    near = (p.nearest(centres, p.point(line)) for line in h.all_lines(part))
    return list(h.combine(p.add_points, near).items())


def squares(low: int, high: int) -> int:
    """Add the squares of a range."""
    return sum(map(p.square, range(low, high)))


def names(low: int, high: int) -> list[Any]:
    """Return the numbers of a range with their names."""
    return list(map(p.named, range(low, high)))


def add_up(found: Iterable[dict[Any, Any]]) -> dict[Any, Any]:
    """Add the totals of all parts."""
    return h.combine(add, chain.from_iterable(part.items() for part in found))
