"""Rows made out of one row: explode and its like."""

from __future__ import annotations

from collections.abc import Callable

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.jsons import as_text, strict
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Relation, Stage
from aflint.sql.types import quoted


def _generated(node: PlanNode, stage: Stage) -> Relation:
    child = stage.relation(node.child)
    kept = [each.column for each in node.expressions("requiredChildOutput")]
    columns = {name: child.columns[name] for name in kept}
    made = node.expressions("generatorOutput")
    write = _GENERATORS.get(node.fields["generator"].kind)
    if write is None:
        raise UnsupportedPlanError(f"the generator {node.fields['generator'].kind}")
    items, source = write(node, stage, f"({child.sql})")
    for attribute, sql in zip(made, items, strict=True):
        columns[attribute.column] = attribute.type.duckdb
        kept.append(f"CAST({sql} AS {attribute.type.duckdb}) AS {attribute.column}")
    return Relation(f"SELECT {', '.join(kept) or '1 AS nothing'} FROM {source}", columns)


def _listed(sql: str, outer: bool) -> str:
    """Return a list to take apart: for an outer one, that of a row without items has one NULL."""
    return f"CASE WHEN coalesce(len({sql}), 0) = 0 THEN [NULL] ELSE {sql} END" if outer else sql


def _exploded(node: PlanNode, stage: Stage, source: str) -> tuple[list[str], str]:
    generator: Expression = node.fields["generator"]
    (child,) = generator.children
    sql, outer = stage.emit(child), bool(node.fields["outer"])
    lists = [sql]
    if child.type.name == "map":
        lists = [f"map_keys({sql})", f"map_values({sql})"]
    parts = [_listed(each, outer) for each in lists]
    if generator.kind == "PosExplode":
        positions = f"range(len({lists[0]}))"
        parts.insert(0, _listed(positions, outer))
    names = [stage.name("item") for _ in parts]
    items = ", ".join(f"unnest({part}) AS {name}" for name, part in zip(names, parts, strict=True))
    return names, f"(SELECT *, {items} FROM {source})"


def _inlined(node: PlanNode, stage: Stage, source: str) -> tuple[list[str], str]:
    (child,) = node.fields["generator"].children
    name = stage.name("item")
    part = _listed(stage.emit(child), bool(node.fields["outer"]))
    fields = [field for field, _ in child.type.part("element").parts]
    items = [f"{name}.{quoted(field)}" for field in fields]
    return items, f"(SELECT *, unnest({part}) AS {name} FROM {source})"


def _stacked(node: PlanNode, stage: Stage, source: str) -> tuple[list[str], str]:
    count, *values = node.fields["generator"].children
    rows, width = int(count.fields["value"]), len(node.expressions("generatorOutput"))
    sql = stage.emit.all(values)
    lists = [
        [sql[row * width + i] if row * width + i < len(sql) else "NULL" for row in range(rows)]
        for i in range(width)
    ]
    names = [stage.name("item") for _ in lists]
    items = ", ".join(
        f"unnest([{', '.join(each)}]) AS {name}" for name, each in zip(names, lists, strict=True)
    )
    return names, f"(SELECT *, {items} FROM {source})"


def _json_fields(node: PlanNode, stage: Stage, source: str) -> tuple[list[str], str]:
    """`json_tuple`: one row, of the text's fields by their names."""
    text, *names = node.fields["generator"].children
    doc = stage.name("doc")
    given = f"CAST({strict(stage.emit(text), last=True)} AS JSON) AS {doc}"
    paths = [f"'$.\"' || replace({each}, '\"', '\\\"') || '\"'" for each in stage.emit.all(names)]
    fields = [as_text(f"json_extract({doc}, {path})") for path in paths]
    return fields, f"(SELECT *, {given} FROM {source})"


def _replicated(node: PlanNode, stage: Stage, source: str) -> tuple[list[str], str]:
    """As many rows as the first value says."""
    count, *values = stage.emit.all(list(node.fields["generator"].children))
    return values, f"(SELECT *, unnest(range({count})) AS {stage.name('copy')} FROM {source})"


_GENERATORS: dict[str, Callable[[PlanNode, Stage, str], tuple[list[str], str]]] = {
    "Explode": _exploded,
    "PosExplode": _exploded,
    "Inline": _inlined,
    "JsonTuple": _json_fields,
    "Stack": _stacked,
    "ReplicateRows": _replicated,
}
OPERATORS = {"GenerateExec": _generated}
