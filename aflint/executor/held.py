"""Cached partitions whose records this process holds, each beside its file.

What is held is never needed: a partition that was dropped is read from its file. Only records that
nothing can change are held, or lists of such, which are copied for each reader: a task that changes
a record it was given must not change the next one's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from sys import getsizeof
from typing import Any, Final, Self

from aflint.codec.pairs import Block, Pairs
from aflint.executor.sources import Source

SHARE: Final = 0.25
"""Of a worker's memory, what may be held: about what Spark's storage fraction leaves to caches."""

_SCALARS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_SAMPLED: Final = 64
_UNLIMITED_MB: Final = 1024
_POINTER: Final = 8


@dataclass(frozen=True, slots=True)
class _Column:
    """Values that nothing can change, or lists of such, held as tuples."""

    # A tuple of what holds no other objects is none that the cyclic collector walks.
    values: tuple[Any, ...]
    lists: bool = False

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self | None:
        """Return values as a column, or None if they could be changed."""
        kinds = set(map(type, values))
        if kinds <= _SCALARS:
            return cls(tuple(values))
        # Records are all tuples, or all lists; of one of each, not the tuples would be copied.
        if kinds not in ({tuple}, {list}):
            return None
        if not set(map(type, chain.from_iterable(values))) <= _SCALARS:
            return None
        lists = kinds == {list}
        return cls(tuple(map(tuple, values)) if lists else tuple(values), lists)

    def fresh(self) -> list[Any]:
        """Return the values in a list, and lists, of their own."""
        return list(map(list, self.values)) if self.lists else list(self.values)

    @property
    def bytes(self) -> int:
        """About what the values take."""
        sample = self.values[:: max(1, len(self.values) // _SAMPLED)]
        taken = sum(map(_size, sample)) // len(sample) if sample else 0
        return len(self.values) * (_POINTER + taken)


def _size(value: Any) -> int:
    inner = sum(map(getsizeof, value)) if type(value) is tuple else 0
    return getsizeof(value) + inner


class _Held:
    """The blocks of one partition."""

    def __init__(self) -> None:
        self.blocks: list[tuple[_Column, ...]] = []
        self.bytes = 0

    def add(self, block: Block) -> bool:
        """Take in a block; False, if its records could be changed."""
        parts = (block.keys, block.values) if isinstance(block, Pairs) else (block,)
        columns = tuple(filter(None, map(_Column.of, parts)))
        self.blocks.append(columns)
        self.bytes += sum(column.bytes for column in columns)
        return len(columns) == len(parts)


class HeldPartitions:
    """What one process holds, by the partition's file; what was used least recently goes first."""

    def __init__(self) -> None:
        self._most = 0
        self._held: OrderedDict[str, _Held] = OrderedDict()

    @property
    def bytes(self) -> int:
        """About what is held."""
        return sum(held.bytes for held in self._held.values())

    def allow_share_of(self, memory_mb: int) -> None:
        """Hold at most the share of a task's memory; without a limit, that of what a worker has."""
        self.allow(int((memory_mb if memory_mb > 0 else _UNLIMITED_MB) * SHARE) << 20)

    def allow(self, most_bytes: int) -> None:
        """Hold at most so much from now on."""
        self._most = most_bytes
        while self._held and self.bytes > most_bytes:
            self._held.popitem(last=False)

    def release(self) -> bool:
        """Drop everything, and hold nothing until more is allowed; False if nothing was held."""
        some = bool(self._held)
        self.allow(0)
        return some

    def drop(self, paths: Iterable[str]) -> None:
        """Drop partitions."""
        for path in paths:
            self._held.pop(path, None)

    def open(self, path: str, file: Source) -> Source:
        """Return what reads a partition from its beginning: from memory, or from its file."""
        held = self._held.get(path)
        if held is None:
            return _FileSource(file, Gathered(self, path))
        self._held.move_to_end(path)
        return _HeldSource(held)

    def has_room(self, path: str, held: _Held) -> bool:
        """Make room for what is gathered of a partition; False if there is none.

        Other partitions of its RDD are not dropped for it: a scan of more than may be held would
        drop each one shortly before it is needed.
        """
        own = _rdd(path)
        free = self._most - self.bytes - held.bytes
        for other in list(self._held):
            if free >= 0:
                break
            if _rdd(other) != own:
                free += self._held.pop(other).bytes
        return free >= 0

    def keep(self, path: str, held: _Held) -> None:
        """Hold a partition that was gathered whole."""
        if self.has_room(path, held):
            self._held[path] = held


class Gathered:
    """The blocks of a partition on their way to its file, or out of it, to be held."""

    def __init__(self, partitions: HeldPartitions, path: str) -> None:
        self._partitions = partitions
        self._path = path
        self._held: _Held | None = _Held()

    def add(self, block: Block) -> None:
        """Take in the next block. One that cannot be held ends it for the partition."""
        held = self._held
        if held is None:
            return
        if not self._partitions.has_room(self._path, held) or not held.add(block):
            self._held = None

    def keep(self) -> None:
        """Hold the partition, whose last block was added."""
        if self._held is not None:
            self._partitions.keep(self._path, self._held)


class _HeldSource:
    """A partition out of memory; `position` counts the blocks given, as that of its file does."""

    def __init__(self, held: _Held) -> None:
        self.position = 0
        self._held = held

    def blocks(self) -> Iterator[Sequence[Any]]:
        """Yield the records, each time in lists that belong to the caller."""
        for columns in self._held.blocks:
            self.position += 1
            if len(columns) == 1:
                yield columns[0].fresh()
            else:
                yield Pairs(*(column.fresh() for column in columns))

    def count(self) -> int:
        """Count the records."""
        return sum(len(columns[0].values) for columns in self._held.blocks)


class _FileSource:
    """A partition out of its file, to be held if it is read to its end."""

    def __init__(self, file: Source, gathered: Gathered) -> None:
        self.position = 0
        self._file = file
        self._gathered = gathered

    def blocks(self) -> Iterator[Sequence[Any]]:
        """Yield the records as the file's source does."""
        for block in self._file.blocks():
            self._gathered.add(block if isinstance(block, Pairs | list) else list(block))
            self.position = self._file.position
            yield block
        self._gathered.keep()

    def count(self) -> int:
        """Count the records, which makes none of them."""
        return self._file.count()


def _rdd(path: str) -> str:
    # Of "folder/node-partition-token".
    return path.rsplit("-", 2)[0]
