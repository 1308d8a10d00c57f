"""Neighbouring per-record steps compiled into one generator function.

`rdd.map(f).filter(g).map(h)` runs as

    def fused(records, f0, f1, f2):
        for x in records:
            x = f0(x)
            if not f1(x): continue
            x = f2(x)
            yield x

which calls nothing but the user's functions: about a sixth faster than the same chain of `map` and
`filter` built-ins, as the interpreter runs Python functions called from Python without leaving its
loop. A generator also turns a StopIteration that escapes from user code into an error; a built-in
would take it for the end of the data and lose the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import repeat
from typing import Any

from aflint.plan.lineage import PerRecord, RecordStep

Loop = Callable[[Iterator[Any]], Iterator[Any]]

FUSED = "<aflint fused steps>"
"""What tracebacks show as the file of a fused loop."""

_INDENT = "    "
_DEEPEST = 12
"""Loops within the loop over the records; Python allows 20 blocks within each other."""

_LONGEST = 200
"""Steps compiled as one: time and memory of the compiler grow with it."""


def fuse(steps: Sequence[PerRecord]) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return a function from records to records that does all steps in order."""
    loops = [_fuse_one(part) for part in _parts(steps)]
    return loops[0] if len(loops) == 1 else partial(_one_after_the_other, loops)


def _one_after_the_other(loops: Sequence[Loop], records: Iterator[Any]) -> Iterator[Any]:
    for loop in loops:
        records = loop(records)
    return records


def _fuse_one(steps: Sequence[PerRecord]) -> Loop:
    functions = [step.function for step in steps]
    return partial(_compile(tuple(map(_shape, steps))), functions)


def _shape(step: PerRecord) -> RecordStep:
    """Return what to compile for a step; `filter(bool)` needs no call."""
    plain_truth = step.step is RecordStep.FILTER and step.function is bool
    return RecordStep.FILTER_TRUE if plain_truth else step.step


def _parts(steps: Sequence[PerRecord]) -> Iterator[Sequence[PerRecord]]:
    """Cut steps where Python would not nest the loops of flat_map any deeper, or grow too long."""
    start = depth = 0
    for place, step in enumerate(steps):
        depth += step.step.value.endswith(":")
        if depth > _DEEPEST or place - start == _LONGEST:
            yield steps[start:place]
            start, depth = place, 1
    yield steps[start:]


@lru_cache(maxsize=256)
def _compile(shape: tuple[RecordStep, ...]) -> Callable[..., Iterator[Any]]:
    names = ", ".join(f"f{place}" for place in range(len(shape)))
    lines = ["def fused(functions, records):", f"{_INDENT}[{names}] = functions"]
    depth = 1
    lines.append(f"{_INDENT * depth}for x in records:")
    depth += 1
    for place, step in enumerate(shape):
        for line in step.value.replace("f(", f"f{place}(").splitlines():
            lines.append(f"{_INDENT * depth}{line}")
            depth += line.endswith(":")
    lines.append(f"{_INDENT * depth}yield x")
    namespace: dict[str, Any] = {"repeat": repeat}
    exec(compile("\n".join(lines), FUSED, "exec"), namespace)
    fused: Callable[..., Iterator[Any]] = namespace["fused"]
    return fused
