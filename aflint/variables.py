"""Variables that driver and tasks share: Broadcast (written once), Accumulator (added to)."""

from __future__ import annotations

import copy
import operator
import secrets
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Self, TypeVar

from aflint.errors import SessionError
from aflint.executor import context
from aflint.executor.context import (
    NO_SHARE,
    Share,
    broadcast_value,
    in_task,
    task_context,
    unpack_broadcast,
)
from aflint.task import Blob

T = TypeVar("T")

_UNSET = object()


class Broadcast(Generic[T]):
    """A value that is sent to each executor once, however many tasks use it.

    Made by `session.broadcast`. Read `value` inside functions; it must not be changed. Driver and
    tasks see what the value was when the broadcast was made: `data` is that, packed. `computed` is
    its fingerprint, where the run keeps a journal.
    """

    def __init__(self, blob: Blob, data: bytes | None = None, computed: str = "") -> None:
        self._blob = blob
        self._data = data
        self._computed = computed
        self._value: Any = _UNSET
        self._destroyed = False
        if data is not None:
            _broadcasts[blob.digest] = self

    @property
    def value(self) -> T:
        """The value. Raises SessionError once it was destroyed."""
        if self._destroyed:
            raise SessionError("this broadcast was destroyed; make another with session.broadcast")
        if self._value is _UNSET and self._data is not None:
            self._value = unpack_broadcast(self._data)
        elif self._value is _UNSET:
            self._value = broadcast_value(self._blob)
        value: T = self._value
        return value

    def unpersist(self) -> None:
        """Do nothing: executors keep the latest few broadcasts only, and read others again."""

    def destroy(self) -> None:
        """Make the value unusable from now on, here and in tasks to come."""
        self._destroyed = True
        self._value = self._data = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self._destroyed:
            raise SessionError("a destroyed broadcast cannot be used in a task")
        if _noticed is not None:
            _noticed.append(self._blob)
        return (_remote_broadcast, (self._blob.digest, self._blob.size, self._blob.location))

    def __fingerprint__(self) -> str:
        return self._computed or self._blob.digest

    def __repr__(self) -> str:
        return f"<Broadcast {self._blob.digest[:8]}, {self._blob.size:,} bytes>"


def _remote_broadcast(digest: str, size: int, location: str | None) -> Broadcast[Any]:
    if not in_task() and (known := _broadcasts.get(digest)) is not None:
        return known  # a broadcast in a broadcast, or in a result, is read in the driver
    return Broadcast(Blob(digest, size, location=location))


_broadcasts: weakref.WeakValueDictionary[str, Broadcast[Any]] = weakref.WeakValueDictionary()
"""Those that were made in this process, by the digest of what they hold."""

_noticed: list[Blob] | None = None


def data_of(blob: Blob) -> bytes | None:
    """Return what a broadcast that was made in this process holds, or None."""
    known = _broadcasts.get(blob.digest)
    return None if known is None else known._data


@contextmanager
def noticing_broadcasts() -> Iterator[list[Blob]]:
    """Collect the blobs of the broadcasts that are pickled meanwhile."""
    global _noticed
    before, _noticed = _noticed, []
    try:
        yield _noticed
    finally:
        _noticed = before


class Accumulator(Generic[T]):
    """A variable that tasks add to and only the driver reads.

    Made by `session.accumulator`. What a task added counts once, when its result is accepted:
    never for attempts that failed, were superseded or are run again after their output was lost.
    By its `id` a driver that resumes a run knows what tasks had added to it.
    """

    def __init__(
        self, initial: T, add: Callable[[T, Any], T] = operator.add, id: str | None = None
    ) -> None:
        self._id = id or secrets.token_hex(16)
        self._value = initial
        self._add = add
        self._sums = add is operator.add
        self._share = NO_SHARE
        self._remote = False
        _live[self._id] = self

    @property
    def value(self) -> T:
        """What was added so far. Raises SessionError inside a task."""
        if self._remote or in_task():
            raise SessionError("an accumulator's value can be read by the driver only")
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        if self._remote:
            raise SessionError("an accumulator's value can be set by the driver only")
        self._value = value

    def add(self, term: Any) -> None:
        """Add a term: in a task to that task's share, else to the value itself."""
        share = self._share
        if share.task is context.current:
            # Once for each record, perhaps: a sum is spelled out, as that spares a call.
            share.value = share.value + term if self._sums else self._add(share.value, term)
        elif not in_task():
            self._value = self._add(self._value, term)
        elif (known := task_context().shares.get(self._id)) is not None:
            self._share = known
            known.value = self._add(known.value, term)
        else:
            # A copy, as `add` may change its first argument, and this one is the caller's.
            self._share = Share(context.current, copy.copy(term))
            task_context().shares[self._id] = self._share

    def __iadd__(self, term: Any) -> Self:
        self.add(term)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_remote_accumulator, (self._id, self._add))

    def __repr__(self) -> str:
        return f"<Accumulator {'in a task' if self._remote else self._value!r}>"


def _remote_accumulator(id: str, add: Callable[[Any, Any], Any]) -> Accumulator[Any]:
    if id in _live and not in_task():
        return _live[id]
    accumulator: Accumulator[Any] = Accumulator.__new__(Accumulator)
    accumulator._id, accumulator._add, accumulator._remote = id, add, True
    accumulator._sums, accumulator._share = add is operator.add, NO_SHARE
    return accumulator


_live: weakref.WeakValueDictionary[str, Accumulator[Any]] = weakref.WeakValueDictionary()


def apply_updates(updates: dict[str, Any]) -> None:
    """Add what a task accumulated to the accumulators that are still alive here."""
    for id, share in updates.items():
        accumulator = _live.get(id)
        if accumulator is not None:
            accumulator.add(share)
