"""What a stage's program is packed as, so that the functions of its branches share no state.

A function may keep something from record to record: a counter, the generator of a sample. In
Spark every pipeline of narrow steps unpickles its functions by itself, once for each partition that
it computes. A task of aflint may compute several: the sides of a zip, a product or a cogroup, and
the partitions that a coalesce or a union puts together. What lies below such a step is pickled by
itself, and unpickled for each evaluation. The steps above all branches, and the sink, are one
pipeline, which runs once: they stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from aflint.codec import closure
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
            case Concatenate(members):  # one of them is computed for each partition
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
