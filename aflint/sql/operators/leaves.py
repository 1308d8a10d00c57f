"""What a plan begins with: files, rows that the driver has, ranges of numbers."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from itertools import pairwise
from typing import Any

from aflint.plan.lineage import Mapped, Node, PerPartition, Unresolved
from aflint.sql import line_scans, one_task, scans
from aflint.sql.arrays import rows_to_batches
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.operators.exchanges import renamed
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage, in_order
from aflint.sql.types import literal


def _files(node: PlanNode, stage: Stage) -> Relation:
    compiler, name = stage.compiler, stage.name("scan")
    settings = compiler.settings
    if stage.whole:
        return _whole_files(node, stage, name)
    most = scans.split_bytes(node, settings.split_bytes, settings.partitions)
    if node.fields["format"] in line_scans.FORMATS:
        parts = line_scans.splits(node, name, most, stage.names_files)
        stage.read_variables(compiler.source(str(node), parts))
        return line_scans.scan(node, name, most, stage.emit, stage.names_files)
    relation = scans.scan(node, name, most, stage.names_files)
    if not scans.cuts(node, most):
        stage.read_variables(compiler.source(str(node), scans.splits(node, name, most)))
        return relation

    async def cut() -> Node:
        storage = compiler.runner.storage
        with tempfile.TemporaryDirectory(prefix="aflint-footers-") as folder:
            footers = await scans.fetch_footers(node, most, storage, folder)
            cuts = await asyncio.to_thread(scans.splits, node, name, most, footers)
        return compiler.source(str(node), cuts)

    stage.read_variables(Unresolved(name=str(node), resolve=cut))
    return relation


def _whole_files(node: PlanNode, stage: Stage, name: str) -> Relation:
    """All files, in every task of a stage: those of one folder of values, see `one_task`."""
    if node.fields["format"] in line_scans.FORMATS:
        (only,) = line_scans.splits(node, name, one_task.ALL_BYTES, stage.names_files)
        stage.variables |= only[0]
        return line_scans.scan(node, name, one_task.ALL_BYTES, stage.emit, stage.names_files)
    (only,) = scans.splits(node, name, one_task.ALL_BYTES)
    stage.variables |= only[0]
    return scans.scan(node, name, one_task.ALL_BYTES, stage.names_files)


def _local(node: PlanNode, stage: Stage) -> Relation:
    """Rows of the driver's, written into the query."""
    columns = {each.column: each.type.duckdb for each in node.output}
    rows: list[list[Any]] = node.fields["rows"]
    _read_once(node, stage)
    names = list(columns) or ["nothing"]
    columns = columns or {"nothing": "INTEGER"}
    kinds = [each.type for each in node.output]
    if not rows:
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns.items())
        return Relation(f"SELECT {nothing} WHERE false", columns)
    values = ", ".join(
        "(" + (", ".join(literal(v, t) for v, t in zip(row, kinds, strict=True)) or "1") + ")"
        for row in rows
    )
    return Relation(f"SELECT * FROM (VALUES {values}) rows({', '.join(names)})", columns)


def _range(node: PlanNode, stage: Stage) -> Relation:
    """Numbers, in as many parts as Spark has."""
    fields = node.fields
    start, end, step, parts = (fields[name] for name in ("start", "end", "step", "numSlices"))
    numbers = range(start, end, step)
    name = stage.name("range")
    parts = 1 if stage.whole else parts
    cuts = [len(numbers) * i // parts for i in range(parts + 1)]
    splits = [[{f"{name}_from": low, f"{name}_to": high}] for low, high in pairwise(cuts)]
    if stage.whole:
        stage.variables |= splits[0][0]
    else:
        stage.read_variables(stage.compiler.source(str(node), splits))
    (column,) = node.output
    low, high = (f"getvariable('{name}_{part}')::BIGINT" for part in ("from", "to"))
    sql = f"SELECT {start} + {step}::BIGINT * range AS {column.column} FROM range({low}, {high})"
    return Relation(sql, {column.column: "BIGINT"})


def _rows(node: PlanNode, stage: Stage) -> Relation:
    """The rows of an RDD, as Spark SQL keeps them."""
    name = str(node.fields["rddName"])
    rows = stage.compiler.settings.tables.get(name)
    if rows is None:
        raise UnsupportedPlanError("reading an RDD of the JVM's", instead="Make it with PySpark.")
    if isinstance(rows, line_scans.Lines):
        return _lines(node, stage, rows)
    if name.startswith(BATCHES):
        return _batches(node, stage, rows)
    columns = {each.column: each.type.duckdb for each in node.output}
    to_batches = partial(rows_to_batches, tuple((e.column, e.type) for e in node.output))
    batches = Mapped(name=str(node), parent=rows, operator=PerPartition(to_batches))
    return stage.read(batches, columns or {"nothing": "INTEGER"})


BATCHES = "aflint-batches:/"
"""What the names of RDDs begin with whose records are batches, with columns named by their places:
v0, v1 and so on.
"""


def _batches(node: PlanNode, stage: Stage, rows: Node) -> Relation:
    places = {f"v{i}": each.type.duckdb for i, each in enumerate(node.output)}
    read = stage.read(rows, places or {"nothing": "INTEGER"})
    return by_place(node, read.sql) if places else read


def _lines(node: PlanNode, stage: Stage, lines: line_scans.Lines) -> Relation:
    read = stage.read(lines.node, {"v0": "VARCHAR"})
    return by_place(node, lines.rows(node.output, read.sql, stage.emit))


def by_place(node: PlanNode, rows: str) -> Relation:
    """Return rows v0, v1 ... as a step's output."""
    columns = {each.column: each.type.duckdb for each in node.output}
    items = [f"CAST(v{i} AS {kind}) AS {name}" for i, (name, kind) in enumerate(columns.items())]
    if not items:
        items, columns = ["1 AS nothing"], {"nothing": "INTEGER"}
    return Relation(f"SELECT {', '.join(items)} FROM ({rows})", columns)


def _cached(node: PlanNode, stage: Stage) -> Relation:
    """The rows of a cached DataFrame: kept by the first job that computes all of its partitions."""
    plan: PlanNode = node.fields["cached"]
    known, number = stage.compiler.settings.cached, int(node.fields["cache"])
    below = Stage(stage.compiler)
    relation = in_order(below.relation(plan), plan.output)
    if number not in known:
        known[number] = below.lineage(str(node), relation.sql)
        known[number].persisted, known[number].in_memory = True, False
    rows = stage.read(known[number], relation.columns)
    return renamed(rows, plan.output, tuple(node.expressions("cachedOutput")))


def _one_row(node: PlanNode, stage: Stage) -> Relation:
    _read_once(node, stage)
    return Relation("SELECT 1 AS nothing", {"nothing": "INTEGER"})


def _read_once(node: PlanNode, stage: Stage) -> None:
    """Have a stage that reads nothing else run in one task."""
    if not stage.whole:
        stage.read_variables(stage.compiler.source(str(node), [[]]))


OPERATORS = {
    "FileSourceScanExec": _files,
    "LocalTableScanExec": _local,
    "CommandResultExec": _local,
    "RangeExec": _range,
    "InMemoryTableScanExec": _cached,
    "OneRowRelationExec": _one_row,
    "RDDScanExec": _rows,
}
