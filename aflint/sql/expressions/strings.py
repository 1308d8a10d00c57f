"""Text."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression
from aflint.sql.types import text


def _like(expression: Expression, emit: Emitter) -> str:
    value, pattern = (emit(child) for child in expression.children)
    escape = text(str(expression.fields.get("escapeChar", "\\")))
    return f"({value} LIKE {pattern} ESCAPE {escape})"


def _substring(expression: Expression, emit: Emitter) -> str:
    """From 1, or from the end where negative; 0 is as 1. A part before the start counts."""
    value, start, size = (emit(child) for child in expression.children)
    whole = f"length({value})"
    begin = (
        f"(CASE WHEN {start} > 0 THEN {start} - 1 WHEN {start} < 0 THEN {whole} + {start} "
        f"ELSE 0 END)::BIGINT"
    )
    end = f"({begin} + {size})"
    return (
        f"(CASE WHEN {size} <= 0 OR {end} <= 0 THEN {value}[1:0] "
        f"ELSE {value}[greatest({begin}, 0) + 1 : {end}] END)"
    )


def _upper(expression: Expression, emit: Emitter) -> str:
    """As Java has it: some letters become several, which DuckDB leaves alone."""
    value = sql = emit(expression.children[0])
    for letter, letters in _LONGER.items():
        sql = f"replace({sql}, '{letter}', '{letters}')"
    some = f"regexp_matches({value}, '[{''.join(_LONGER)}]')"
    return f"CASE WHEN {some} THEN upper({sql}) ELSE upper({value}) END"


def _lower(expression: Expression, emit: Emitter) -> str:
    """As Java has it: a dotted I keeps its dot. What a capital sigma becomes depends on what is
    around it; no text with one is changed silently.
    """
    value = emit(expression.children[0])
    dotted = f"lower(replace({value}, 'İ', 'i̇'))"
    sigma = "'aflint cannot make text with a capital sigma lower-case as Spark does'"
    return f"CASE WHEN contains({value}, 'Σ') THEN error({sigma}) ELSE {dotted} END"


_LONGER = {
    chr(code): chr(code).upper()
    for code in (*range(0x80, 0x2000), *range(0xFB00, 0xFB18))
    if len(chr(code).upper()) > 1
}


RULES: dict[str, Rule] = {
    "Upper": _upper,
    "Lower": _lower,
    "Length": "length({0})",
    "StartsWith": "starts_with({0}, {1})",
    "EndsWith": "ends_with({0}, {1})",
    "Contains": "contains({0}, {1})",
    "Like": _like,
    "Substring": _substring,
}
