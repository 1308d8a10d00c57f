"""Which queries, and which parts of queries, one task does as a whole: those over so few bytes that
to share them out would cost more than it gains.

Without exchanges, what Spark plans for many tasks is one query of DuckDB's. Only exchanges that
Spark put in by itself are left out; what a program asked for, and what depends on partitions, as
random numbers do, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from aflint.config import Config
from aflint.limits import LAMBDA_MEMORY_PER_VCPU_MB
from aflint.sql.expressions import random
from aflint.sql.plan import Expression, PlanNode

ALL_BYTES = 1 << 62
"""More than any file has."""

SMALL = 4 << 20
"""Rows of files of so many bytes are read anew by every task that joins with them: it takes less
than a job that collects and sends them.
"""

LINE_FORMATS = ("TextFileFormat", "JsonFileFormat", "CSVFileFormat")
_LINES = 16 << 20
"""More lines than this are read sooner by several tasks: their reader has one thread."""

_NUMBER_BYTES = 8
_WIDTHS = {"string": 20, "binary": 100, "boolean": 1, "byte": 1, "short": 2, "integer": 4,
           "date": 4, "float": 4}  # fmt: skip
"""As Spark assumes for the types whose values are not of 8 bytes."""

_IN_ORDER = frozenset({"First", "Last", "CollectList", "CollectSet", "ListAgg", "AnyValue"})
"""Aggregate functions whose result depends on the order in which rows come."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a task can do that is a query's only one: how many bytes it may read, and how many
    threads it has.
    """

    most: int = 0
    threads: int = 1


def room(config: Config, memory_mb: int, slots: int, split_bytes: int) -> Room:
    """Return the room of a session's tasks.

    Here a task has the threads of all workers, so that several of them would gain nothing; in a
    function it has that one's virtual CPUs, and no more to read for each than a split has. Half of
    a task's memory is the database's; what needs more is spilled.
    """
    local = config.backend == "local"
    threads = slots if local else max(1, memory_mb // LAMBDA_MEMORY_PER_VCPU_MB)
    if config.sql_one_task_mb is not None:
        return Room(config.sql_one_task_mb << 20, threads)
    held = memory_mb << 19
    return Room(held if local else min(held, split_bytes * threads), threads)


def fits(plan: PlanNode, room: Room) -> bool:
    """Say whether a plan is one task's work."""
    return room.most > 0 and size_of(plan) <= room.most


def threads_for(plan: PlanNode, threads: int) -> int:
    """Return how many of the threads there are a plan can use."""
    all_parts = list(parts(plan))
    ordered = any(part.kind in _IN_ORDER for part in all_parts)
    # DuckDB's threads have no task, of which the readers of lines and of objects ask
    alone = all(_opened_by_duckdb(part) for part in all_parts if isinstance(part, PlanNode))
    return threads if alone and not ordered else 1


def reused(plan: PlanNode) -> frozenset[int]:
    """Return the exchanges of a plan that stand in several places."""
    nodes = [part for part in parts(plan) if part.kind == "ReusedExchangeExec"]
    return frozenset(part.fields["child"].id for part in nodes)


def size_of(plan: PlanNode) -> int:
    """Return about how many bytes a plan reads; more than any file has for one that needs several
    tasks.
    """
    return sum(map(_size, parts(plan)))


def _size(part: PlanNode | Expression) -> int:
    if isinstance(part, Expression):
        return ALL_BYTES if part.kind in random.RULES else 0
    if part.kind == "FileSourceScanExec":
        return _scanned(part)
    if part.kind == "RangeExec":
        fields = part.fields
        return _NUMBER_BYTES * len(range(fields["start"], fields["end"], fields["step"]))
    if part.kind == "ShuffleExchangeExec":
        own = part.fields["shuffleOrigin"] == {"opaque": "ENSURE_REQUIREMENTS"}
        return 0 if own else ALL_BYTES
    return 0 if part.kind in _steps() else ALL_BYTES


@cache
def _steps() -> frozenset[str]:
    """Return the steps that do the same whatever the partitions of their rows are."""
    from aflint.sql.operators import aggregates, basic, generators, joins, windows

    families = (aggregates, basic, generators, joins, windows)
    others = ("BroadcastExchangeExec", "ReusedExchangeExec", "UnionExec")
    leaves = ("LocalTableScanExec", "CommandResultExec", "OneRowRelationExec")
    return frozenset({*others, *leaves}.union(*(family.OPERATORS for family in families)))


def _scanned(scan: PlanNode) -> int:
    directories = scan.fields["directories"]
    if len(directories) != 1 or not directories[0]["files"]:
        return ALL_BYTES  # each folder's values are a split's own
    size = bytes_of(scan)
    return ALL_BYTES if scan.fields["format"] in LINE_FORMATS and size > _LINES else size


def bytes_of(scan: PlanNode) -> int:
    """Return about how many bytes are read: of Parquet's columns, a share by their types' sizes."""
    size = sum(int(file["size"]) for each in scan.fields["directories"] for file in each["files"])
    if scan.fields["format"] in LINE_FORMATS:
        return size
    whole = _width(scan.fields["dataSchema"])
    read = sum(_width(each.json_type) for each in scan.output)
    return size * min(read, whole) // max(1, whole)


def _width(kind: Any) -> int:
    """Return about how many bytes a value of a type has, given in Spark's JSON."""
    if isinstance(kind, dict):
        parts = [kind.get(part) for part in ("elementType", "keyType", "valueType", "sqlType")]
        parts += [field["type"] for field in kind.get("fields", ())]
        return sum(_width(part) for part in parts if part is not None)
    return _WIDTHS.get(str(kind).partition("(")[0], 8)


def _opened_by_duckdb(node: PlanNode) -> bool:
    if node.kind != "FileSourceScanExec":
        return True
    paths = (file["path"] for d in node.fields["directories"] for file in d["files"])
    here = all(path.startswith(("file:", "/")) for path in paths)
    return here and node.fields["format"] not in LINE_FORMATS


def parts(plan: PlanNode) -> Iterator[PlanNode | Expression]:
    """Yield each step and expression of a plan once, also those of its subqueries."""
    seen: set[int] = set()
    waiting: list[Any] = [plan]
    while waiting:
        part = waiting.pop()
        if isinstance(part, PlanNode | Expression):
            if id(part) not in seen:
                seen.add(id(part))
                yield part
                waiting += [*part.children, *part.fields.values()]
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
