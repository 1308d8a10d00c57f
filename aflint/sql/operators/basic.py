"""Projections, filters, sorts and limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions import Emitter
from aflint.sql.expressions.orders import ordered
from aflint.sql.expressions.random import ROW
from aflint.sql.operators.exchanges import gathered
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.scans import FILE
from aflint.sql.stages import Relation, Stage


def selected(expressions: Iterable[Expression], source: str, emit: Emitter) -> Relation:
    """Return the SELECT of named expressions over a source."""
    named = {each.column: each for each in expressions}
    items = [f"{emit(each)} AS {column}" for column, each in named.items()]
    columns = {column: each.type.duckdb for column, each in named.items()}
    if not items:  # rows without columns still count
        items, columns = ["1 AS nothing"], {"nothing": "INTEGER"}
    return Relation(f"SELECT {', '.join(items)} {source}", columns)


def _project(node: PlanNode, stage: Stage) -> Relation:
    items, carries = node.expressions("projectList"), stage.names_files
    with _files_named(node, items, stage):
        child = stage.relation(node.child)
        made = selected(items, f"FROM ({child.sql})", stage.emit)
    if not carries:
        return made
    files = made.sql.replace("SELECT ", f"SELECT {FILE}, ", 1)
    return Relation(files, {FILE: "VARCHAR", **made.columns})


def _filter(node: PlanNode, stage: Stage) -> Relation:
    with _files_named(node, [node.fields["condition"]], stage):
        child = stage.relation(node.child)
        condition = stage.emit(node.fields["condition"])
    # What counts rows, as random numbers do, can stand behind the WHERE only
    word = "QUALIFY" if ROW in condition else "WHERE"
    return Relation(f"SELECT * FROM ({child.sql}) {word} {condition}", child.columns)


@contextmanager
def _files_named(node: PlanNode, items: list[Expression], stage: Stage) -> Iterator[None]:
    """Have the scan below a step tell its rows' files, where the step asks for them, within a
    block. Behind an exchange rows have no files.
    """
    before = stage.names_files, stage.emit.file
    if any(each.kind == "InputFileName" for item in items for each in item.walk()):
        below = node.child
        while below.kind in _KEEP_FILES:
            below = below.child
        if below.kind != "FileSourceScanExec" and below.kind not in _NO_FILES:
            raise UnsupportedPlanError(
                f"input_file_name() over {below}", instead="Take it right after reading the files."
            )
        stage.names_files = below.kind == "FileSourceScanExec"
        stage.emit.file = FILE if stage.names_files else "''"
    try:
        yield
    finally:
        stage.names_files, stage.emit.file = before


_KEEP_FILES = (
    "ColumnarToRowExec", "FilterExec", "InputAdapter", "ProjectExec", "WholeStageCodegenExec",
)  # fmt: skip
_NO_FILES = (
    "CommandResultExec", "HashAggregateExec", "InMemoryTableScanExec", "LocalTableScanExec",
    "ObjectHashAggregateExec", "OneRowRelationExec", "RangeExec", "RDDScanExec",
    "ReusedExchangeExec", "ShuffleExchangeExec", "SortAggregateExec",
)  # fmt: skip


def _sort(node: PlanNode, stage: Stage) -> Relation:
    child = stage.relation(node.child)
    orders = ordered(node.expressions("sortOrder"), stage.emit)
    return Relation(f"SELECT * FROM ({child.sql}) ORDER BY {orders}", child.columns)


def unsorted(node: PlanNode) -> PlanNode:
    """Return a plan without a sort that only the step above it needs: DuckDB does without."""
    while node.kind == "SortExec" and not node.fields["global"]:
        node = node.child
    return node


def _limit(node: PlanNode, stage: Stage) -> Relation:
    child = stage.relation(node.child)
    return limited(child, node.fields["limit"], node.fields.get("offset", 0))


def limited(relation: Relation, limit: int, offset: int = 0) -> Relation:
    """Return the first rows of a relation. `limit` counts the skipped ones, too; -1 is no limit."""
    sql = f"SELECT * FROM ({relation.sql})"
    if limit >= 0:
        sql += f" LIMIT {max(0, limit - offset)}"
    if offset > 0:
        sql += f" OFFSET {offset}"
    return Relation(sql, relation.columns)


def _top(node: PlanNode, stage: Stage) -> Relation:
    """The first rows of each partition, then the first of all."""
    limit, offset = node.fields["limit"], node.fields.get("offset", 0)

    def first(within: Stage, relation: Relation) -> Relation:
        orders = ordered(node.expressions("sortOrder"), within.emit)
        return Relation(
            f"SELECT * FROM ({relation.sql}) ORDER BY {orders} LIMIT {limit}", relation.columns
        )

    below = stage.below()
    rows = first(below, below.relation(node.child))
    if below is not stage:
        rows = first(stage, gathered(node, stage, below, rows))
    top = limited(rows, limit, offset)
    return selected(node.expressions("projectList"), f"FROM ({top.sql})", stage.emit)


def _collected(node: PlanNode, stage: Stage) -> Relation:
    """A limit at the root: an action that reads the first partitions only takes it off before."""
    limit, offset = node.fields["limit"], node.fields.get("offset", 0)
    below = stage.below()
    child = below.relation(node.child)
    rows = gathered(node, stage, below, limited(child, limit) if limit >= 0 else child)
    return limited(rows, limit, offset)


def _child(node: PlanNode, stage: Stage) -> Relation:
    return stage.relation(node.child)


def _expanded(node: PlanNode, stage: Stage) -> Relation:
    """Every row once for each projection."""
    child = stage.relation(node.child)
    projections: list[list[Expression]] = node.fields["projections"]
    number = stage.name("grouping")
    columns = {each.column: each.type.duckdb for each in node.output}
    items = []
    for place, column in enumerate(columns):
        branches = " ".join(
            f"WHEN {i} THEN {stage.emit(each[place])}" for i, each in enumerate(projections)
        )
        items.append(f"CAST(CASE {number} {branches} END AS {columns[column]}) AS {column}")
    source = f"({child.sql}) CROSS JOIN range({len(projections)}) {number}({number})"
    return Relation(f"SELECT {', '.join(items)} FROM {source}", columns)


OPERATORS = {
    "ProjectExec": _project,
    "FilterExec": _filter,
    "SortExec": _sort,
    "LocalLimitExec": _limit,
    "GlobalLimitExec": _limit,
    "TakeOrderedAndProjectExec": _top,
    "CollectLimitExec": _collected,
    "ExpandExec": _expanded,
    "WindowGroupLimitExec": _child,  # what it leaves out a filter above does, too
    "CollectMetricsExec": _child,  # an Observation asks for its metrics by itself
    "WholeStageCodegenExec": _child,
    "InputAdapter": _child,
    "ColumnarToRowExec": _child,
    "SubqueryExec": _child,
    "SubqueryAdaptiveBroadcastExec": _child,
    "ReusedSubqueryExec": lambda node, stage: stage.relation(node.fields["child"]),
}
