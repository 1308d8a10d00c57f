"""An order of records that does not depend on the order in which they came.

A round robin places a record by its turn. Where records come out of a shuffle, in whichever order
its frames arrive, another attempt of the same task would deal them differently; and when the
output of one task is lost and made again, what some readers took from the first deal and others
take from the second would not fit together. Such records are sorted by their content first.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from aflint.codec.records import dumps
from aflint.executor.aggregate import Spiller, sort
from aflint.executor.fusion import Flow
from aflint.plan.lineage import Ordering
from aflint.plan.program import (
    Aggregate,
    Anew,
    CoGroup,
    Concatenate,
    Merge,
    Product,
    ReadShuffle,
    ReadSplit,
    Step,
    Store,
    Transform,
    Zip,
)

_LONGEST = 32
"""Bytes of content compared as they are; longer ones go by their hash."""


def comes_in_any_order(step: Step) -> bool:
    """Say whether two attempts may see the records of a step in different orders."""
    match step:
        case ReadShuffle() | CoGroup():
            return True
        case ReadSplit(any_order=any_order):
            # What is dealt out of a cached partition must be dealt as out of its lineage: a task
            # may run by the one, and again, when its output is lost, by the other.
            return any_order
        case Anew(parent):  # without a parent it reads a shuffle
            return parent is None or comes_in_any_order(parent)
        case Transform(parent) | Aggregate(parent) | Merge(parent) | Store(parent):
            return comes_in_any_order(parent)
        case Concatenate(members):
            return any(map(comes_in_any_order, members))
        case Zip(left, right) | Product(left, right):
            return comes_in_any_order(left) or comes_in_any_order(right)


def by_content(records: Iterator[Any], spiller: Spiller) -> Iterator[Any]:
    """Yield the records in an order that only they themselves decide, in bounded memory."""
    rank = _Ranks().rank
    ranked = ((rank(record), record) for record in records)
    return map(itemgetter(1), sort(Flow.of(ranked), Ordering(), spiller))


class _Ranks:
    """Makes bytes of records: equal ones for equal records, whichever objects they share."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._pickler = pickle.Pickler(self._buffer, 5)
        self._pickler.fast = True  # no memory of objects seen before

    def rank(self, record: Any) -> bytes:
        """Return what a record is sorted by."""
        self._buffer.seek(0)
        self._buffer.truncate()
        try:
            self._pickler.dump(record)
            data = self._buffer.getvalue()
        except (ValueError, RecursionError, pickle.PicklingError, AttributeError, TypeError):
            # It holds itself, or something that only cloudpickle can pickle.
            data = dumps(record)
        return data if len(data) <= _LONGEST else blake2b(data, digest_size=16).digest()
