"""Stopping a task before its function's time is up, so that another invocation can go on.

A task is cut between two records: where reading stood is its position, and what was aggregated so
far is written to storage. The next link of the chain gets both in a `Continuation`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aflint.errors import UncuttableTaskError
from aflint.executor.order import comes_in_any_order
from aflint.executor.sources import Source
from aflint.plan.lineage import Aggregator, RoundRobinPartitioner
from aflint.plan.program import (
    CoGroup,
    Concatenate,
    Count,
    Program,
    ReadShuffle,
    ReadSplit,
    Return,
    Step,
    Transform,
    WriteShuffle,
)
from aflint.task import BlocksSplit, Continuation, InShuffle, InSource, TaskId

# What is kept of a task's time for writing what it carries; see `TimeLimit`.
_SHARE = 0.1
_LEAST_MARGIN_S, _MOST_MARGIN_S = 0.5, 60.0
# The seconds and the records between two looks at the time.
_SLICE_S = 0.05
_FIRST_SLICE, _MOST_SLICE = 64, 16384


class PausedError(Exception):
    """Unwinds a task that was cut while it was still aggregating; never leaves the executor."""

    def __init__(self, position: InShuffle) -> None:
        super().__init__("the task goes on in another invocation")
        self.position = position


@dataclass(slots=True)
class TimeLimit:
    """When a task must stop. `deadline` is in seconds of `clock`; None for a task that may go on.

    A task that can be cut stops at a tenth of its time before the deadline, at least half a second
    and at most a minute: that is for writing what it carries. One that cannot be cut goes on until
    the last half of that.
    """

    deadline: float | None = None
    clock: Callable[[], float] = time.monotonic
    _margin: float = 0.0

    def __post_init__(self) -> None:
        if self.deadline is not None:
            share = (self.deadline - self.clock()) * _SHARE
            self._margin = min(max(share, _LEAST_MARGIN_S), _MOST_MARGIN_S)

    @property
    def bounded(self) -> bool:
        """Whether there is a deadline at all."""
        return self.deadline is not None

    def is_near(self) -> bool:
        """Whether to stop taking input."""
        return self.deadline is not None and self.clock() > self.deadline - self._margin

    def is_over(self) -> bool:
        """Whether even a task that cannot be cut must stop."""
        return self.deadline is not None and self.clock() > self.deadline - self._margin / 2


@dataclass(slots=True)
class Chain:
    """What one link of a task knows of the chain: where it begins, and where it was cut."""

    task: TaskId
    limit: TimeLimit
    cuttable: bool
    # What the link before handed over; None for the first.
    begin: Continuation | None = None
    # Where the next link begins; None as long as this one has not stopped early.
    cut: InSource | InShuffle | None = None
    # Records until the next look at the time.
    _slice: int = field(default=_FIRST_SLICE)

    @property
    def is_cut(self) -> bool:
        """Whether this link stopped before the end of its input."""
        return self.cut is not None

    @property
    def in_source(self) -> InSource:
        """Where in a source this link begins: for one that does not, at its beginning."""
        position = self.begin.position if self.begin is not None else None
        return position if isinstance(position, InSource) else InSource()

    @property
    def in_shuffle(self) -> InShuffle:
        """Where in the shuffles that it reads this link begins, as `in_source`."""
        position = self.begin.position if self.begin is not None else None
        return position if isinstance(position, InShuffle) else InShuffle()

    def source_blocks(
        self, source: Source, skip: int = 0, stored: BlocksSplit | None = None
    ) -> Iterator[Sequence[Any]]:
        """Yield blocks of a source, after `skip` records, until time is short.

        `cut` then says where the next link begins, in the file `stored` if that is the source.
        """
        position = source.position
        for block in source.blocks():
            start = min(skip, len(block))
            skip -= start
            while start < len(block):
                before = self.limit.clock()
                stop = min(start + self._slice, len(block))
                yield block[start:stop]
                start = stop
                self._adapt(self.limit.clock() - before)
                if self.must_stop():
                    # Sources can be opened only where a block begins: within one, the next link
                    # skips.
                    whole = start == len(block)
                    at, skipped = (source.position, 0) if whole else (position, start)
                    self.cut = InSource(at, skipped, stored)
                    return
            position = source.position

    def slices(self, records: Iterator[Any]) -> Iterator[list[Any]]:
        """Cut records into lists that take about a twentieth of a second each."""
        while block := list(islice(records, self._slice)):
            before = self.limit.clock()
            yield block
            self._adapt(self.limit.clock() - before)

    def must_stop(self) -> bool:
        """Say whether to cut here.

        Raises UncuttableTaskError when there is no time left for a task that cannot be cut.
        """
        if self.cuttable:
            return self.is_cut or self.limit.is_near()
        if self.limit.is_over():
            raise UncuttableTaskError(
                f"Partition {self.task.partition} of stage {self.task.stage} needs more time than "
                "its function has, and cannot be continued by another invocation: it works on its "
                "partition as a whole (a function over partitions, glom, pipe, sample, a save, or "
                "a fold that cannot be merged). Use more partitions (split_mb, repartition), "
                "per-record transformations, or a function with a longer timeout"
            )
        return False

    def _adapt(self, seconds: float) -> None:
        if seconds < _SLICE_S / 2:
            self._slice = min(self._slice * 2, _MOST_SLICE)
        elif seconds > _SLICE_S * 2:
            self._slice = max(1, self._slice // 2)


def is_cuttable(program: Program, partition: int) -> bool:
    """Say whether a task may stop at any record and be continued by another invocation."""
    sink = program.sink
    dealt = isinstance(sink, WriteShuffle) and isinstance(sink.partitioner, RoundRobinPartitioner)
    if dealt and comes_in_any_order(program.root):
        return False  # it is sorted as a whole before it is dealt out: see `order`
    mergeable = isinstance(sink, WriteShuffle | Count) or (
        isinstance(sink, Return) and sink.merge is not None
    )
    return mergeable and _leaf_is_cuttable(program.root, partition)


def _leaf_is_cuttable(step: Step, partition: int) -> bool:
    match step:
        case ReadShuffle(aggregator=Aggregator(), combined=False):
            return False  # what is carried are combiners, which cannot be told from values
        case ReadSplit() | ReadShuffle():
            return True
        case CoGroup(members):
            # Only of plain reads is it known which frames went into what is carried.
            return all(map(is_plain_read, members))
        case Transform(parent, operators):
            # Steps over single records have no such field: they can always be cut.
            splittable = all(getattr(operator, "splittable", True) for operator in operators)
            return splittable and _leaf_is_cuttable(parent, partition)
        case Concatenate(members, offsets):
            member = max(m for m, offset in enumerate(offsets) if offset <= partition)
            return _leaf_is_cuttable(members[member], partition - offsets[member])
        case _:
            return False


def is_plain_read(step: Step) -> bool:
    """Say whether a step gives the pairs of a shuffle just as they were written."""
    return isinstance(step, ReadShuffle) and step.aggregator is None and step.ordering is None
