"""Numbers that differ from row to row: of its place, and at random.

Random ones come of a seed, the partition and the row's place in it, so that another attempt of a
task gives the same. They are not those that Spark's generator gives for the seed.
"""

from __future__ import annotations

import math

from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression

PARTITION = "getvariable('partition')::BIGINT"
ROW = "row_number() OVER ()"
"""A row's place in its partition, from 1. It can stand in a SELECT and a QUALIFY only."""


def uniform(seed: str, stream: int = 0) -> str:
    """Return a number from 0 up to 1 for a row; other streams give others."""
    return f"((hash({ROW}, {PARTITION}, {seed}, {stream}) >> 11)::DOUBLE / {float(1 << 53)!r})"


def _seed(expression: Expression, emit: Emitter) -> str:
    return str(int(emit.literal(expression.children[0], "a seed") or 0))


def _rand(expression: Expression, emit: Emitter) -> str:
    return uniform(_seed(expression, emit))


def _normal(expression: Expression, emit: Emitter) -> str:
    """By Box and Muller."""
    seed = _seed(expression, emit)
    radius = f"sqrt(-2 * ln(1 - {uniform(seed)}))"
    return f"({radius} * cos({2 * math.pi!r} * {uniform(seed, 1)}))"


def _uuid(expression: Expression, emit: Emitter) -> str:
    """One of version 4, as random ones are."""
    seed = str(int(expression.fields["randomSeed"] or 0))
    digits = f"md5(concat_ws(' ', {ROW}, {PARTITION}, {seed}))"
    parts = (
        f"{digits}[1:8]",
        f"{digits}[9:12]",
        f"'4' || {digits}[14:16]",
        f"'a' || {digits}[18:20]",
        f"{digits}[21:32]",
    )
    return f"concat_ws('-', {', '.join(parts)})"


RULES: dict[str, Rule] = {
    "SparkPartitionID": f"({PARTITION})",
    "MonotonicallyIncreasingID": f"(({PARTITION} << 33) + {ROW} - 1)",
    "Rand": _rand,
    "Randn": _normal,
    "Uuid": _uuid,
}
