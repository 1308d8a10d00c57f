"""Window functions as columns added to the rows of a partition: see `expressions.windows`."""

from __future__ import annotations

from aflint.sql.operators.basic import unsorted
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage


def _window(node: PlanNode, stage: Stage) -> Relation:
    child = stage.relation(unsorted(node.child))
    added = {each.column: each for each in node.expressions("windowExpression")}
    items = [f"{stage.emit(each)} AS {column}" for column, each in added.items()]
    columns = {column: each.type.duckdb for column, each in added.items()}
    sql = f"SELECT *, {', '.join(items)} FROM ({child.sql})"
    return Relation(sql, {**child.columns, **columns})


OPERATORS = {"WindowExec": _window}
