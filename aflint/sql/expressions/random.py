"""Numbers that differ from row to row: of its place, and at random as Spark draws them.

Random ones come of a seed, the partition and the row's place in it, so that another attempt of a
task gives the same: see `spark_random`, whose functions tasks call.
"""

from __future__ import annotations

from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression

PARTITION = "getvariable('partition')::BIGINT"
ROW = "row_number() OVER ()"
"""A row's place in its partition, from 1. It can stand in a SELECT and a QUALIFY only."""


def uniform(seed: int) -> str:
    """Return a number from 0 up to 1 for a row."""
    return _drawn("uniform", seed)


def poisson(seed: int, mean: float) -> str:
    """Return how often a row stands in a sample with replacement."""
    return f"aflint_poisson({seed}, {PARTITION}, {mean!r}, {ROW})"


def _drawn(kind: str, seed: int) -> str:
    return f"aflint_{kind}({seed} + {PARTITION}, {ROW})"


def _seed(expression: Expression, emit: Emitter) -> int:
    return int(emit.literal(expression.children[0], "a seed") or 0)


def _rand(expression: Expression, emit: Emitter) -> str:
    return uniform(_seed(expression, emit))


def _normal(expression: Expression, emit: Emitter) -> str:
    return _drawn("normal", _seed(expression, emit))


def _uuid(expression: Expression, emit: Emitter) -> str:
    return _drawn("uuid", int(expression.fields["randomSeed"] or 0))


def _shuffled(expression: Expression, emit: Emitter) -> str:
    """Each array's order continues where that of the row before it has ended: of one place in the
    query, by its number.
    """
    array, seed = emit(expression.children[0]), int(expression.fields["randomSeed"] or 0)
    number = emit.name("").removeprefix("_")
    place = f"{number}, {seed} + {PARTITION}, {ROW}"
    return f"list_select({array}, aflint_order({place}, len({array})::BIGINT))"


RULES: dict[str, Rule] = {
    "SparkPartitionID": f"({PARTITION})",
    "MonotonicallyIncreasingID": f"(({PARTITION} << 33) + {ROW} - 1)",
    "Rand": _rand,
    "Randn": _normal,
    "Shuffle": _shuffled,
    "Uuid": _uuid,
}
