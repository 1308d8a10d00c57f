"""Windows of sessions: those of one key that touch become one, whose rows the step above groups."""

from __future__ import annotations

from aflint.sql.operators.basic import unsorted
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage


def _merged(node: PlanNode, stage: Stage) -> Relation:
    """Give each row the session that its own is part of."""
    child = stage.relation(unsorted(node.child))
    fields = node.fields
    grouped = fields.get("groupingExpressions", fields.get("groupingExpression"))
    session = fields["sessionExpression"].column
    keys = [each.column for each in grouped]
    by = ", ".join(key for key in keys if key != session)
    begins, number = stage.name("begins"), stage.name("session")
    start, end = (f"struct_extract({session}, '{part}')" for part in ("start", "end"))
    over = f"({f'PARTITION BY {by} ' if by else ''}ORDER BY {start}"
    before = f"max({end}) OVER {over} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    begun = f"SELECT *, coalesce({start} > {before}, true) AS {begins} FROM ({child.sql})"
    rows = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    counted = f"SELECT *, count_if({begins}) OVER {over} {rows}) AS {number} FROM ({begun})"
    whole = f"OVER (PARTITION BY {', '.join(filter(None, (by, number)))})"
    merged = f'struct_pack(start := min({start}) {whole}, "end" := max({end}) {whole})'
    kind = child.columns[session]
    items = ", ".join(
        f"CAST({merged} AS {kind}) AS {name}" if name == session else name for name in child.columns
    )
    return Relation(f"SELECT {items} FROM ({counted})", child.columns)


OPERATORS = {"MergingSessionsExec": _merged, "UpdatingSessionsExec": _merged}
