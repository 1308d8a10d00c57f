"""What executors are sent beside tasks: programs, broadcasts and records of the driver's, as blobs.

In a stage's program the functions of different branches share no state. A function may keep
something from record to record: a counter, the generator of a sample. In Spark every pipeline of
narrow steps unpickles its functions by itself, once for each partition that it computes. A task of
aflint may compute several: the sides of a zip, a product or a cogroup, and the partitions that a
coalesce or a union puts together. What lies below such a step is pickled by itself, and unpickled
for each evaluation. The steps above all branches, and the sink, are one pipeline, which runs once:
they stay as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aflint.aio import together
from aflint.codec import closure, frame
from aflint.codec.digest import digest_of
from aflint.journal.fingerprint import fingerprint
from aflint.plan.lineage import Aggregator
from aflint.plan.program import (
    Aggregate,
    Anew,
    CoGroup,
    Concatenate,
    Merge,
    Product,
    Program,
    ReadShuffle,
    ReadSplit,
    Step,
    Store,
    Transform,
    Zip,
)
from aflint.storage.base import Storage
from aflint.task import Blob

Wrap = Callable[[Program, Program, int], Any]
"""Given a stage's program, the program as it is packed, and how many tasks run it, returns what
travels in place of the packed one, and is unpickled as it.
"""


@dataclass(slots=True)
class Programs:
    """Makes blobs for the jobs of one session: what is small travels inline, the rest in storage.

    Blobs of more than `inline_bytes` are to lie in `folder`, where `upload` writes them.
    `fingerprinted`: the run may be resumed, so another driver must be able to tell programs apart.
    """

    storage: Storage
    folder: str
    inline_bytes: int
    fingerprinted: bool
    wrap: Wrap | None = None
    # Blobs that are not written yet, by digest: where each is to lie, and its bytes.
    _waiting: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    # The digests of blobs that are there.
    _uploaded: set[str] = field(default_factory=set)
    _uploading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def pack(self, program: Program, name: str, tasks: int) -> Blob:
        """Return a stage's program as a blob. Raises ClosureError, with the stage's name in it."""
        carried: Any = separated(program, name)
        if self.wrap is not None:
            carried = self.wrap(program, carried, tasks)
        return self.blob(frame.compress(closure.dumps(carried, name)))

    def blob(self, data: bytes) -> Blob:
        """Return bytes as a blob, to be uploaded with the next job where they are many."""
        if len(data) > self.inline_bytes:
            return self.stored_blob(data)
        return Blob(digest_of(data), len(data), data)

    def stored_blob(self, data: bytes) -> Blob:
        """Return bytes as a blob that lies in storage from the next job on."""
        digest = digest_of(data)
        location = f"{self.folder}/{digest}"
        if digest not in self._uploaded:
            self._waiting[digest] = (location, data)
        return Blob(digest, len(data), location=location)

    async def upload(self) -> None:
        """Write the blobs that wait; returns when all that were asked for are there."""
        # One at a time: of jobs that begin side by side, one may write what the others need too.
        async with self._uploading:
            waiting, self._waiting = self._waiting, {}
            try:
                await together(self.storage.write(place, data) for place, data in waiting.values())
            except BaseException:
                self._waiting.update(waiting)
                raise
            self._uploaded.update(waiting)

    def fingerprint(self, value: Any, blob: Blob) -> str:
        """Return the fingerprint of a program or a broadcast that is packed in a blob; empty where
        the run cannot be resumed.
        """
        if not self.fingerprinted:
            return ""
        try:
            return fingerprint(value)
        except Exception:  # taking an object apart runs the user's code; pickling it went well
            return blob.digest


_NO_PARENT = ReadSplit(-1)


def separated(program: Program, name: str) -> Program:
    """Return a program in which no two branches share a function; `name` names it in errors."""
    return replace(program, root=_Separating(name).step(program.root, branched=False))


@dataclass(slots=True)
class _Separating:
    name: str
    _known: dict[bytes, bytes] = field(default_factory=dict)
    """Equal pickles, as the members of a union of many RDDs have: they travel once."""

    def step(self, step: Step, *, branched: bool) -> Step:
        """Return a step; `branched` says that it lies below one that computes several branches."""
        match step:
            case Transform(parent) | Aggregate(parent):
                parent = self.step(parent, branched=branched)
                if branched:
                    return Anew(parent, self._pickled(replace(step, parent=_NO_PARENT)))
                return replace(step, parent=parent)
            case ReadShuffle() if branched and _has_functions(step):
                return Anew(None, self._pickled(step))
            case Concatenate(members):  # for each partition, only one of them is computed
                return replace(step, members=self._all(members, branched=branched))
            case CoGroup(members):
                return replace(step, members=self._all(members, branched=True))
            case Merge(parent) | Store(parent):  # Spark, too, begins a pipeline at what it keeps
                return replace(step, parent=self.step(parent, branched=True))
            case Zip(left, right) | Product(left, right):
                left, right = self._all((left, right), branched=True)
                return replace(step, left=left, right=right)
        return step

    def _all(self, steps: tuple[Step, ...], *, branched: bool) -> tuple[Step, ...]:
        return tuple(self.step(step, branched=branched) for step in steps)

    def _pickled(self, step: Step) -> bytes:
        data = closure.dumps(step, self.name)
        return self._known.setdefault(data, data)


def _has_functions(step: ReadShuffle) -> bool:
    ordered_by = step.ordering.key if step.ordering is not None else None
    return isinstance(step.aggregator, Aggregator) or ordered_by is not None
