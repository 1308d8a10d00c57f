"""Joins, by hash of a broadcast side or of both, and without equal keys.

How Spark would join does not matter here, only where the rows are: a broadcast side is whole in
every task, and shuffled sides lie by the same keys. The rest is DuckDB's.
"""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.alignment import as_type_of
from aflint.sql.operators.basic import unsorted
from aflint.sql.operators.exchanges import broadcast, gathered
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Relation, Stage, in_order

_WORDS = {
    "Inner": "INNER JOIN",
    "Cross": "INNER JOIN",
    "LeftOuter": "LEFT JOIN",
    "RightOuter": "RIGHT JOIN",
    "FullOuter": "FULL JOIN",
    "LeftSemi": "SEMI JOIN",
    "LeftAnti": "ANTI JOIN",
}


_LEFT_IN_PARTS = ("Inner", "Cross", "LeftOuter", "LeftSingle", "LeftSemi", "LeftAnti")
_RIGHT_IN_PARTS = ("Inner", "Cross", "RightOuter")
"""Joins whose rows of that side may be joined part by part with all rows of the other."""


def _by_keys(node: PlanNode, stage: Stage) -> str:
    pairs = zip(node.expressions("leftKeys"), node.expressions("rightKeys"), strict=True)
    return " AND ".join(
        f"{stage.emit(left)} = {stage.emit(as_type_of(right, left.json_type))}"
        for left, right in pairs
    )


def _condition(node: PlanNode, stage: Stage) -> str:
    """Return all of a join's condition; `true` where it has none."""
    parts = [_by_keys(node, stage)] if node.fields.get("leftKeys") else []
    if node.fields.get("condition") is not None:
        parts.append(stage.emit(node.fields["condition"]))
    return " AND ".join(parts) or "true"


def _joined(node: PlanNode, stage: Stage, left: Relation, right: Relation) -> Relation:
    stage.joins = True
    kind, on = node.fields.get("joinType", "Inner"), _condition(node, stage)
    if not isinstance(kind, str):  # ExistenceJoin has a column of its own
        return _existence(node, left, right, on)
    if node.fields.get("isNullAwareAntiJoin"):
        return _null_aware(node, stage, left, right)
    if kind == "LeftSingle":
        return _single(left, right, on)
    word = _WORDS.get(kind)
    if word is None:
        raise UnsupportedPlanError(f"a join of the kind {kind}")
    names = dict.fromkeys(each.column for each in node.output)
    both = {**right.columns, **left.columns}
    columns = {name: both[name] for name in names} or {"nothing": "INTEGER"}
    items = ", ".join(names) or "1 AS nothing"
    sql = f"SELECT {items} FROM ({left.sql}) l {word} ({right.sql}) r ON {on}"
    return Relation(sql, columns)


def _existence(node: PlanNode, left: Relation, right: Relation, on: str) -> Relation:
    """The left rows, each with whether it has a match."""
    marked: Expression = node.fields["joinType"]["exists"]
    exists = f"EXISTS (SELECT 1 FROM ({right.sql}) r WHERE {on})"
    columns = {**left.columns, marked.column: "BOOLEAN"}
    return Relation(f"SELECT l.*, {exists} AS {marked.column} FROM ({left.sql}) l", columns)


def _single(left: Relation, right: Relation, on: str) -> Relation:
    """The left rows, each with its only match, if it has one; two are an error."""
    match = ", ".join(f"{name} := r.{name}" for name in right.columns)
    found = f"(SELECT struct_pack({match}) FROM ({right.sql}) r WHERE {on}) AS single"
    items = ", ".join(f"single.{name} AS {name}" for name in right.columns)
    sql = f"SELECT * EXCLUDE (single), {items} FROM (SELECT l.*, {found} FROM ({left.sql}) l)"
    return Relation(sql, {**left.columns, **right.columns})


def _null_aware(node: PlanNode, stage: Stage, left: Relation, right: Relation) -> Relation:
    """NOT IN: no row is left where the right side has NULL, nor one whose own key is NULL, unless
    the right side has no rows.
    """
    (key,), (other,) = node.expressions("leftKeys"), node.expressions("rightKeys")
    keys = f"SELECT {stage.emit(as_type_of(other, key.json_type))} FROM ({right.sql}) r"
    sql = f"SELECT * FROM ({left.sql}) l WHERE {stage.emit(key)} NOT IN ({keys})"
    return Relation(sql, left.columns)


def _broadcast_join(node: PlanNode, stage: Stage) -> Relation:
    left, right = node.children
    kind = node.fields["joinType"]
    if node.fields["buildSide"] == "BuildLeft":
        whole = broadcast(left, stage)
        other = _streamed(node, right, stage, kind in ("Inner", "Cross", "RightOuter"))
        return _joined(node, stage, whole, other)
    other = _streamed(node, left, stage, kind not in ("RightOuter", "FullOuter"))
    return _joined(node, stage, other, broadcast(right, stage))


def _streamed(node: PlanNode, side: PlanNode, stage: Stage, alone: bool) -> Relation:
    """Return the side that is joined part by part, where each part's join can stand `alone`.

    A join that keeps rows of its broadcast side cannot: which of them have no match, no part knows.
    """
    if alone:
        return stage.relation(side)
    below = stage.below()
    return gathered(node, stage, below, in_order(below.relation(side), side.output))


def _shuffled_join(node: PlanNode, stage: Stage) -> Relation:
    start = len(stage.inputs)
    left = stage.relation(unsorted(node.children[0]))
    middle = len(stage.inputs)
    right = stage.relation(unsorted(node.children[1]))
    kind = node.fields.get("joinType", "Inner")
    if kind not in _LEFT_IN_PARTS:
        stage.keep(start, middle)
    if kind not in _RIGHT_IN_PARTS:
        stage.keep(middle)
    return _joined(node, stage, left, right)


def _product(node: PlanNode, stage: Stage) -> Relation:
    """Every row of the left with all of the right, which is sent to every task."""
    left, right = node.children
    below = stage.below()
    whole = below.relation(right)
    if below is not stage:
        whole = stage.read_broadcast(below.lineage(str(node), whole.sql, ends=True), whole.columns)
    product = stage.relation(left)
    return _joined(node, stage, product, whole)


OPERATORS = {
    "BroadcastHashJoinExec": _broadcast_join,
    "BroadcastNestedLoopJoinExec": _broadcast_join,
    "SortMergeJoinExec": _shuffled_join,
    "ShuffledHashJoinExec": _shuffled_join,
    "CartesianProductExec": _product,
}
