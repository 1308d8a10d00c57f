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

What a function gives to flat_map may be such a built-in (`map`, `itertools`). The first records of
a partition go through a loop of their own, which looks at what each function gives and checks each
of its records. Only where that was lazy, the loop over all other records asks what a function gave,
once it has ended, for one record more: there is one if a StopIteration had ended it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache, partial
from itertools import islice, repeat
from typing import Any

from aflint.executor.lazily import checked, leaked, may_leak
from aflint.plan.lineage import PerRecord, RecordStep

Loop = Callable[[Iterator[Any]], Iterator[Any]]

FUSED = "<aflint fused steps>"
"""What tracebacks show as the file of a fused loop."""

_INDENT = "    "
_DEEPEST = 12
"""Loops within the loop over the records; Python allows 20 blocks within each other."""

_LONGEST = 200
"""Steps compiled as one: time and memory of the compiler grow with it."""

_LOOKED_AT = 16
"""Records of a partition for which it is looked at what functions give."""

_CALL = re.compile(r"f\d+\(\w\)")
_END = object()


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
        depth += step.step.loops
        if depth > _DEEPEST or place - start == _LONGEST:
            yield steps[start:place]
            start, depth = place, step.step.loops
    yield steps[start:]


class _Given(Enum):
    """What a loop makes of what functions give to flat_map."""

    TAKEN = auto()
    LOOKED_AT = auto()
    ASKED = auto()
    """Whether there is more after its end."""


# By shape, not by function: the loops of a second stage of the same steps are compiled already.
@lru_cache(maxsize=256)
def _compile(shape: tuple[RecordStep, ...]) -> Callable[..., Iterator[Any]]:
    names = ", ".join(f"f{place}" for place in range(len(shape)))
    lines = ["def fused(functions, records):", f"[{names}] = functions"]
    if any(step.value.endswith(":") for step in shape):
        lines.append("records, lazy = iter(records), False")
        lines += _loop(f"islice(records, {_LOOKED_AT})", shape, _Given.LOOKED_AT)
        lines.append("if lazy:")
        lines += (_INDENT + line for line in _loop("records", shape, _Given.ASKED))
    lines += _loop("records", shape, _Given.TAKEN)  # after the other one it finds no records
    namespace: dict[str, Any] = {
        "END": _END,
        "checked": checked,
        "islice": islice,
        "leaked": leaked,
        "may_leak": may_leak,
        "repeat": repeat,
    }
    exec(compile(f"\n{_INDENT}".join(lines), FUSED, "exec"), namespace)
    fused: Callable[..., Iterator[Any]] = namespace["fused"]
    return fused


def _loop(records: str, shape: Sequence[RecordStep], given: _Given) -> Iterator[str]:
    """Yield the lines of a loop over records that does all steps."""
    yield f"for x in {records}:"
    depth, ends = 1, list[str]()
    for place, step in enumerate(shape):
        for line in step.value.replace("f(", f"f{place}(").replace("_", str(place)).splitlines():
            called = _CALL.search(line) if line.startswith("for") else None
            if called is not None and given is not _Given.TAKEN:
                y, call = f"y{place}", called.group()
                yield f"{_INDENT * depth}{y} = iter({call})"
                if given is _Given.LOOKED_AT:
                    yield f"{_INDENT * depth}if may_leak({y}): lazy = True; {y} = checked({y})"
                else:
                    end = f"if next({y}, END) is not END: raise leaked(f{place})"
                    ends.append(f"{_INDENT * depth}{end}")
                line = line.replace(call, y)
            yield f"{_INDENT * depth}{line}"
            depth += line.endswith(":")
    yield f"{_INDENT * depth}yield x"
    yield from reversed(ends)
