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

What takes in all records, a shuffle or a table, is no iterator's consumer but the end of the loop
itself (`fuse_into`): a record is put where it belongs without leaving the loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache, partial
from itertools import chain, islice, repeat
from typing import Any

from aflint.codec.hashing import STABLE, portable_hash, unportable
from aflint.executor.lazily import checked, leaked, may_leak
from aflint.executor.memory import chunks, slices
from aflint.executor.pacing import MANY, SIZED, paced, paced_groups
from aflint.plan.lineage import JOINS, PerRecord, RecordStep

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
_ABSENT = object()


class Ending(Enum):
    """What becomes of a record at the end of a loop that takes in all of them, as Python.

    They go into a list, or by their keys into a table. A record is unpacked in a line of its own,
    so that an error can show one that is not a pair: see `failure.hint_for`.
    """

    ADDED = "add(x)"
    # Into the columns of its key's reduce partition. Whatever is no pair, by exact type, goes to
    # `odd`: what is read of it must be just what it was.
    PLACED = """if type(x) is tuple and len(x) == 2:
    key, value = x
    place = (hash(key) if type(key) in STABLE else portable_hash(key)) % partitions
    keys[place](key)
    values[place](value)
else: odd(x)"""
    GROUPED = """key, value = x
values = get(key)
if values is None: into[key] = [value]
else: values.append(value)"""
    CREATED = """key, value = x
sofar = get(key, ABSENT)
into[key] = create(value) if sofar is ABSENT else merge(sofar, value)"""
    MERGED = """key, value = x
sofar = get(key, ABSENT)
into[key] = value if sofar is ABSENT else merge(sofar, value)"""
    SUMMED = """key, value = x
sofar = get(key, ABSENT)
into[key] = value if sofar is ABSENT else sofar + value"""
    # Of equal ones `min` and `max` keep the first.
    LEAST = """key, value = x
sofar = get(key, ABSENT)
if sofar is ABSENT or value < sofar: into[key] = value"""
    GREATEST = """key, value = x
sofar = get(key, ABSENT)
if sofar is ABSENT or value > sofar: into[key] = value"""
    FIRST = """key, value = x
if get(key, ABSENT) is ABSENT: into[key] = value"""
    # Groups of several members by key: `create` makes them, and `merge` is the member's number.
    COGROUPED = """key, value = x
groups = get(key)
if groups is None: groups = into[key] = create()
groups[merge].append(value)"""


_OPENINGS = {
    Ending.ADDED: "add = into.append",
    Ending.PLACED: "keys, values, odd, partitions = into",
}
"""What a loop begins with, where it does not end in a table."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Records on their way into a list or a table: in blocks between which memory can be looked at,
    each to be used up, with the steps that are still to be done, few enough for one loop.
    """

    blocks: Iterator[Iterable[Any]]
    steps: Sequence[PerRecord] = ()

    @classmethod
    def of(cls, records: Iterator[Any]) -> Flow:
        """Return records that nothing is to be done to."""
        return cls(chunks(records))

    @classmethod
    def of_blocks(cls, blocks: Iterable[Sequence[Any]]) -> Flow:
        """Return records that come in blocks of any length."""
        return cls(slices(blocks))

    def then(self, steps: Sequence[PerRecord]) -> Flow:
        """Return the records with more steps to be done."""
        *before, last = _parts([*self.steps, *steps])
        if not before:
            return Flow(self.blocks, last)
        loops = [_fuse_one(part) for part in before]
        records = _one_after_the_other(loops, chain.from_iterable(self.blocks))
        return Flow(chunks(records), last)

    @property
    def records(self) -> Iterator[Any]:
        """The records, all steps done to them, one by one."""
        records = chain.from_iterable(self.blocks)
        return fuse(self.steps)(records) if self.steps else records


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


def fuse_into(steps: Sequence[PerRecord], ending: Ending) -> Callable[..., None]:
    """Return `loop(records, into, pause, create, merge)`, which does all steps to some records and
    puts what comes of them into a list, a table, or the columns of reduce partitions.

    `pause` is called between records wherever one of them becomes very many; it may empty `into`.
    The steps are those of a Flow. Raises UnportableKeyError for a key that cannot be hashed.
    """
    functions = [step.function for step in steps]
    return partial(_compile_into(tuple(map(_shape, steps)), ending), functions)


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
    PACED = auto()
    """It is taken with pauses, and checked, unless it is a collection of a few."""


# By shape, not by function: the loops of a second stage of the same steps are compiled already.
@lru_cache(maxsize=256)
def _compile(shape: tuple[RecordStep, ...]) -> Callable[..., Iterator[Any]]:
    names = ", ".join(f"f{place}" for place in range(len(shape)))
    lines = ["def fused(functions, records):", f"[{names}] = functions"]
    if any(step.value.endswith(":") for step in shape):
        lines.append("records, lazy = iter(records), False")
        lines += _loop(f"islice(records, {_LOOKED_AT})", shape, _Given.LOOKED_AT, "yield x")
        lines.append("if lazy:")
        asked = _loop("records", shape, _Given.ASKED, "yield x")
        lines += (_INDENT + line for line in asked)
    # After the other one it finds no records.
    lines += _loop("records", shape, _Given.TAKEN, "yield x")
    return _function(lines)


@lru_cache(maxsize=256)
def _compile_into(shape: tuple[RecordStep, ...], ending: Ending) -> Callable[..., Any]:
    names = ", ".join(f"f{place}" for place in range(len(shape)))
    lines = ["def fused(functions, records, into, pause, create=None, merge=None):"]
    lines.append(f"[{names}] = functions")
    lines.append(_OPENINGS.get(ending, "get, key = into.get, None"))
    lines.append("try:")
    lines += (_INDENT + line for line in _loop("records", shape, _Given.PACED, ending.value))
    lines.append("except TypeError as error:")
    hashing = next((n for n, line in enumerate(lines, 1) if "get(key" in line), 0)
    lines.append(f"{_INDENT}if is_of_key(error, {hashing}): raise unportable(key, str(error))")
    lines.append(f"{_INDENT}raise")
    # As it would come out of a generator: no iterator is to take it for the end of its records.
    lines.append("except StopIteration as stop:")
    lines.append(f"{_INDENT}raise RuntimeError('a function raised StopIteration') from stop")
    return _function(lines)


def _function(lines: Sequence[str]) -> Callable[..., Any]:
    namespace: dict[str, Any] = {
        "ABSENT": _ABSENT,
        "END": _END,
        "MANY": MANY,
        "SIZED": SIZED,
        "STABLE": STABLE,
        "checked": checked,
        "is_of_key": _is_of_key,
        "islice": islice,
        "leaked": leaked,
        "may_leak": may_leak,
        "paced": paced,
        "paced_groups": paced_groups,
        "portable_hash": portable_hash,
        "repeat": repeat,
        "unportable": unportable,
    }
    exec(compile(f"\n{_INDENT}".join(lines), FUSED, "exec"), namespace)
    fused: Callable[..., Any] = namespace["fused"]
    return fused


def _is_of_key(error: TypeError, line: int) -> bool:
    """Say whether a loop raised an error because a key cannot be hashed, which it does in a line.

    The error is the loop's own, or that of a `__hash__` written in Python; a function of the user's
    may have hashed something of its own.
    """
    step = error.__traceback__
    if step is None or step.tb_lineno != line:
        return False
    own = step.tb_next is None or step.tb_next.tb_frame.f_code.co_name == "__hash__"
    return own and str(error).startswith("unhashable type")


def _loop(records: str, shape: Sequence[RecordStep], given: _Given, ending: str) -> Iterator[str]:
    """Yield the lines of a loop over records that does all steps."""
    yield f"for x in {records}:"
    depth, ends = 1, list[str]()
    for place, step in enumerate(shape):
        for line in step.value.replace("f(", f"f{place}(").replace("_", str(place)).splitlines():
            called = _CALL.search(line) if line.startswith("for") else None
            if called is not None and given is not _Given.TAKEN:
                y, call = f"y{place}", called.group()
                if given is _Given.PACED:
                    yield f"{_INDENT * depth}{y} = {call}"
                    many = f"if {y}.__class__ not in SIZED or len({y}) > MANY:"
                    yield f"{_INDENT * depth}{many} {y} = paced(iter({y}), pause)"
                else:
                    yield f"{_INDENT * depth}{y} = iter({call})"
                if given is _Given.LOOKED_AT:
                    yield f"{_INDENT * depth}if may_leak({y}): lazy = True; {y} = checked({y})"
                elif given is _Given.ASKED:
                    end = f"if next({y}, END) is not END: raise leaked(f{place})"
                    ends.append(f"{_INDENT * depth}{end}")
                line = line.replace(call, y)
            yield f"{_INDENT * depth}{line}"
            depth += line.endswith(":")
            if given is _Given.PACED and step in JOINS and line.endswith("= x"):
                a, b = f"a{place}", f"b{place}"  # the groups of either side
                many = f"if len({a}) * (len({b}) or 1) > MANY:"
                yield f"{_INDENT * depth}{many} {a}, {b} = paced_groups({a}, {b}, pause)"
    yield from (f"{_INDENT * depth}{line}" for line in ending.splitlines())
    yield from reversed(ends)
