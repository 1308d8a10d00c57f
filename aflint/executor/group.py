"""The values of one key, as `group_by_key` and `cogroup` give them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, overload

from aflint.codec import records
from aflint.executor.memory import MemoryWatch
from aflint.executor.spill import SpillFile, SpillFolder


class Group(Sequence[Any]):
    """All values of one key: a read-only sequence that equals a list of the same values.

    A group too large for memory lies on disk and is read block by block while it is iterated;
    indexing such a group reads it from its beginning. It can be iterated as often as wanted while
    its task runs; sent anywhere else, it travels as a whole.
    """

    __slots__ = ("_length", "_spilled", "_values")
    # As a list, which it equals, has none.
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, values: list[Any], spilled: SpillFile | None = None, length: int = 0
    ) -> None:
        self._values = values
        self._spilled = spilled
        self._length = length or len(values)

    def __iter__(self) -> Iterator[Any]:
        if self._spilled is None:
            return iter(self._values)
        return chain(chain.from_iterable(self._spilled.read()), self._values)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if self._spilled is None:
            return self._values[index]
        if isinstance(index, slice):
            return list(self)[index]
        # A range counts negative indices from the end, and raises IndexError, as a list does.
        place = range(self._length)[index]
        return next(islice(self, place, None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | tuple | Group):
            return NotImplemented
        if len(self) != len(other):
            return False
        return all(a is b or a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, islice(self, 20)))
        return f"[{shown}{', ...' if len(self) > 20 else ''}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Group, (list(self),))


class GroupBuilder:
    """Collects the values of one key from many runs, on disk when memory is short."""

    def __init__(self, folder: SpillFolder, watch: MemoryWatch) -> None:
        self._folder = folder
        self._watch = watch
        self._values: list[Any] = []
        self._pieces = 0
        self._file: SpillFile | None = None
        self._length = 0

    def extend(self, piece: list[Any]) -> None:
        """Add values in order: one piece as `pieces` cuts them."""
        self._values += piece
        self._pieces += 1
        if self._pieces % _LOOK_EVERY == 0 and self._watch.pressed():
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = SpillFile(self._folder)
        for piece in pieces(self._values):
            self._file.append(piece)
        self._length += len(self._values)
        self._values = []

    def build(self) -> Group:
        """Return the group; the builder is used up."""
        return Group(self._values, self._file, self._length + len(self._values))


def pieces(values: list[Any]) -> Iterator[list[Any]]:
    """Cut values into lists of at most about 128 KiB encoded, judged by the first of them."""
    most = 1024
    if len(values) > 16:
        most = max(1, min(most, _PIECE_BYTES // len(records.encode(values[:1]))))
    for start in range(0, len(values), most):
        yield values[start : start + most]


_PIECE_BYTES = 128 * 1024
_LOOK_EVERY = 16
