"""Expressions and queries made up at random: none has an answer that differs from Spark's.

One may fail on both, or be refused, or fail on aflint alone and say so: it is never wrong silently.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from py4j.protocol import Py4JError

from aflint.errors import AflintError
from tests.sql.differential import Differential, difference, exact
from tests.sql.generated import EXPRESSIONS, expression, query

_KINDS = [kind for kind in EXPRESSIONS if kind not in ("number", "word")]
_DIGITS = 12
_BATCH = 20


@pytest.fixture(scope="module")
def made(edges: Differential) -> Differential:
    view = edges.frame("SELECT *, if(id IN (4, 5), NULL, day) AS nice FROM t")
    view.createOrReplaceTempView("f")
    return edges


def _compared(spark: Differential, sql: str) -> str:
    """Return how the answers to a query compare: equal, refused, fails or a difference."""
    try:
        theirs = [exact(row, _DIGITS) for row in spark.spark(sql)]
    except Py4JError:
        theirs = None
    try:
        ours = [exact(row, _DIGITS) for row in spark.aflint(sql)]
    except (AflintError, Py4JError) as error:
        both = "fails on both" if theirs is None else "fails on aflint alone"
        return f"{both}: {type(error).__name__} {str(error)[:200]}"
    if theirs is None:
        return f"difference: only Spark fails: {sql}"
    if Counter(ours) != Counter(theirs):
        return f"difference: {difference(sql, ours, theirs)}"
    return "equal"


def _all_compared(spark: Differential, queries: list[str], least_equal: float) -> None:
    found = [_compared(spark, sql) for sql in queries]
    wrong = [each for each in found if each.startswith("difference")]
    assert not wrong, "\n".join(wrong)
    alone = [f"{q}\n    {r}" for q, r in zip(queries, found, strict=True) if "alone" in r]
    equal = found.count("equal") / len(found)
    assert equal >= least_equal, f"{equal:.0%} are equal\n" + "\n".join(alone[:20])


def _expressions(spark: Differential, seed: int, count: int) -> None:
    """Ask for many at once, and for each alone only where one of them fails."""
    random, alone = Random(seed), list[str]()
    listed = [expression(random, random.choice(_KINDS), 3) for _ in range(count)]
    for start in range(0, count, _BATCH):
        group = listed[start : start + _BATCH]
        items = ", ".join(f"({each}) AS e{i}" for i, each in enumerate(group))
        if _compared(spark, f"SELECT id, {items} FROM f") != "equal":
            alone += [f"SELECT id, ({each}) AS e FROM f" for each in group]
    if alone:
        _all_compared(spark, alone, 0.6)


def test_a_few_generated_expressions_give_what_spark_gives(made: Differential) -> None:
    _expressions(made, seed=1, count=40)


def test_a_few_generated_queries_give_what_spark_gives(made: Differential) -> None:
    random = Random(1)
    _all_compared(made, [query(random) for _ in range(8)], 0.7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_generated_expressions_give_what_spark_gives(made: Differential, seed: int) -> None:
    _expressions(made, seed, 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_generated_queries_give_what_spark_gives(made: Differential, seed: int) -> None:
    random = Random(seed)
    _all_compared(made, [query(random) for _ in range(30)], 0.7)
