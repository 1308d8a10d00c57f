"""Window functions as columns added to the rows of a partition: see `expressions.windows`."""

from __future__ import annotations

from aflint.sql.expressions.orders import comparable, ordered
from aflint.sql.operators.basic import unsorted
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage


def _window(node: PlanNode, stage: Stage) -> Relation:
    child = stage.relation(unsorted(node.child))
    added = {each.column: each for each in node.expressions("windowExpression")}
    items = [f"{stage.emit(each)} AS {column}" for column, each in added.items()]
    columns = {column: each.type.duckdb for column, each in added.items()}
    keys = node.expressions("partitionSpec")
    orders = [f"{comparable(stage.emit(key), key.type)} NULLS FIRST" for key in keys]
    orders += [ordered([each], stage.emit) for each in node.expressions("orderSpec")]
    sql = f"SELECT *, {', '.join(items)} FROM ({child.sql})"
    if order := stage.settled(node, orders):  # rows that are alike stay as they came
        came = f"SELECT *, row_number() OVER () AS came FROM ({child.sql})"
        sql = f"SELECT * EXCLUDE came, {', '.join(items)} FROM ({came}){order}, came"
    return Relation(sql, {**child.columns, **columns})


OPERATORS = {"WindowExec": _window}
