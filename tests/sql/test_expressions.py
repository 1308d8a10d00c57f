"""Each expression that aflint runs, beside Spark's own answer.

Add a row for each expression that you add a rule for: an expression over the columns of
tests/sql/edges.py. FAILS has those that must fail, with the same class of error.
"""

from __future__ import annotations

import pytest

from tests.sql.differential import Differential

ROWS = {
    "names": ("i", "t", "st", "m", "a", "1", "'it''s'", "NULL", "date '2020-01-01'", "1.50BD"),
    "predicates": (
        "i = j", "i < j", "d > e", "d <=> e", "NOT p", "p AND q", "p OR q", "i IS NULL",
        "i IN (1, 3, NULL)", "t IN ('abc', '123')", "isnan(d)", "d = d", "d < double('nan')",
        "dec = 1.25", "t > 'A'", "day > date '1970-01-01'",
    ),
    "arithmetic": (
        "i + j", "i - j", "l * 2", "d * e", "dec + dec", "dec * dec", "dec - wide", "dec / 3",
        "dec / (dec + 100000)", "i div j", "i % j", "l % 7", "dec % 7", "pmod(i, j)", "-i", "-dec",
        "-d", "abs(i)", "abs(dec)", "d / 4", "i / j", "try_divide(i, 0)",
        "try_add(i, 2147483647)",
        "dec div 3", "pmod(dec, 3)", "wide / 7",
    ),
    "conditional": (
        "if(p, i, j)", "CASE WHEN i > 0 THEN 'a' WHEN i < 0 THEN 'b' END", "coalesce(i, j, 0)",
        "nullif(i, j)", "nvl(t, 'none')",
        "coalesce(t, '{2}', u)", "if(p, '{2}', t)",
        "greatest(i, j)", "least(d, e)", "greatest(d, e)",
        "nanvl(d, e)",
    ),
    "casts": (
        "cast(i AS bigint)", "cast(b AS smallint)", "cast(i AS double)", "cast(dec AS int)",
        "cast(dec AS double)", "cast(i AS decimal(20, 2))", "cast(dec AS decimal(12, 4))",
        "cast(dec AS decimal(10, 1))", "cast(i AS string)", "cast(dec AS string)",
        "cast(day AS string)", "cast(p AS int)", "cast(i AS boolean)", "cast(e AS int)",
        "cast(day AS timestamp)",
        "cast(ts AS date)", "cast(p AS string)",
    ),
    "strings": (
        "upper(t)", "lower(t)", "upper(if(p, 'ßﬁŉΐ', t))",
        "lower(if(p, 'İ', t))", "length(t)", "substring(t, 2, 3)", "substring(t, 0, 2)",
        "substring(t, -2, 1)", "substring(t, -10, 9)", "startswith(t, u)", "endswith(t, u)",
        "contains(t, u)", "t LIKE '%b%'", "t LIKE 'A\\\\_b\\\\%_\\\\\\\\d'", "substring(t, 2)",
    ),
    "dates": (
        "year(day)", "month(day)", "day(day)", "quarter(day)", "dayofyear(day)", "date_add(day, 1)",
        "date_sub(day, 1)", "datediff(day, date '2000-01-01')",
    ),
    "math": ("floor(e)", "ceil(e)", "sign(e)", "exp(e)"),
    "collections": ("st.x", "struct(i, t)", "named_struct('a', i, 'b', d)", "array(i, j)"),
}  # fmt: skip

FAILS = {
    "arithmetic": (
        "1 / (i - i)",
        "i % (i - i)",
        "i + 2147483647",
        "l * 9223372036854775807",
        "-b * 0 + 1 div 0",
    ),
    "casts": ("cast(l AS int)", "cast(i AS tinyint)"),
}

_DIGITS = {"math": 15}  # Java's own exponentials and logarithms differ in the last bit


@pytest.mark.parametrize("family", ROWS)
def test_expressions_give_what_spark_gives(edges: Differential, family: str) -> None:
    edges.check_expressions(ROWS[family], digits=_DIGITS.get(family, 17))


@pytest.mark.parametrize("family", FAILS)
def test_expressions_fail_where_spark_fails(edges: Differential, family: str) -> None:
    for expression in FAILS[family]:
        edges.check_fails(f"SELECT {expression} FROM t")


def test_an_expression_without_a_rule_is_refused_by_name(edges: Differential) -> None:
    error = edges.refused("SELECT sentences(t) FROM t")
    assert "Sentences" in str(error)
    assert error.node == "Project"
