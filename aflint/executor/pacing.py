"""Pauses within what one record becomes, where that is much: time to look at memory.

A loop over records looks at memory between blocks of them. One record may become any number, by
flat_map or as a key of a join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from aflint.executor.lazily import checked

MANY = 8192
"""How many records one may become without a pause."""

SIZED = frozenset({list, tuple, set, frozenset, dict, str, bytes})
"""Collections that hold what they give, and whose length is known."""

Pause = Callable[[], None]


def paced(records: Iterator[Any], pause: Pause) -> Iterator[Any]:
    """Yield records, with a pause between each MANY; each is checked as `lazily` does."""
    return _paced(checked(records), pause, MANY)


def paced_groups(left: Sequence[Any], right: Sequence[Any], pause: Pause) -> tuple[Any, Any]:
    """Return the groups of a key to pair, all right ones with each left one, with a pause between
    at most MANY pairs.
    """
    every = max(1, MANY // (len(right) or 1))
    return _Paced(left, pause, every), _Paced(right, pause, MANY) if len(right) > MANY else right


class _Paced:
    """A group that is iterated with a pause between each `every`, as often as wanted."""

    __slots__ = ("_every", "_pause", "_records")

    def __init__(self, records: Sequence[Any], pause: Pause, every: int) -> None:
        self._records = records
        self._pause = pause
        self._every = every

    def __iter__(self) -> Iterator[Any]:
        return _paced(iter(self._records), self._pause, self._every)

    def __len__(self) -> int:
        return len(self._records)


def _paced(records: Iterator[Any], pause: Pause, every: int) -> Iterator[Any]:
    # No pause at the end: most of what is lazy is short, and a look at memory takes as long as a
    # hundred records.
    yield from islice(records, every)
    for first in records:
        pause()
        yield first
        yield from islice(records, every - 1)
