"""Arrays, maps and structs."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression
from aflint.sql.types import quoted, text


def _field(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    name = child.type.parts[expression.fields["ordinal"]][0]
    return f"struct_extract({emit(child)}, {text(name)})"


def _struct(expression: Expression, emit: Emitter) -> str:
    """Children are name, value, name, value ..."""
    values = emit.all(list(expression.children[1::2]))
    members = zip(expression.type.parts, values, strict=True)
    return f"struct_pack({', '.join(f'{quoted(name)} := {sql}' for (name, _), sql in members)})"


def _size(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    size = f"{'cardinality' if child.type.name == 'map' else 'len'}({emit(child)})"
    if expression.fields["legacySizeOfNull"]:
        size = f"coalesce({size}, -1)"
    return f"CAST({size} AS INTEGER)"


RULES: dict[str, Rule] = {
    "GetStructField": _field,
    "CreateNamedStruct": _struct,
    "CreateArray": "[{*}]",
    "Size": _size,
}
