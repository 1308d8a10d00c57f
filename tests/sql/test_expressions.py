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
        "dec div 3", "pmod(dec, 3)", "wide / 7", "dec * 99999999.99", "wide * 1.5", "wide * dec",
        "wide / 0.000003", "cast(wide % 0.0000007 AS double)", "dec % -7.123456789",
        "try_divide(dec - 1, wide)", "try_divide(-7, wide)",
        "try_multiply(wide, wide)", "l div 7",
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
        "cast(ts AS date)", "cast(p AS string)", "cast(dec AS timestamp)",
        "try_cast(e AS timestamp)",
        "cast(ts AS decimal(20, 6))", "cast(d * 1e300 AS float)", "cast(f * -1e300 AS float)",
        "cast(date_add(day, 2932900 + i) AS string)", "cast(wide / 1000 AS string)",
        "cast(array(NULL, i) AS string)", "cast(date_sub(day, 800000) AS string)",
    ),
    "strings": (
        "upper(t)", "lower(t)", "upper(if(p, 'ßﬁŉΐ', t))",
        "lower(if(p, 'İ', t))", "length(t)", "substring(t, 2, 3)", "substring(t, 0, 2)",
        "substring(t, -2, 1)", "substring(t, -10, 9)", "startswith(t, u)", "endswith(t, u)",
        "contains(t, u)", "split_part(t, u, 1)", "t LIKE ALL ('%a%', '%b%')",
        "t LIKE ANY ('%a%', NULL)", "t NOT LIKE ANY ('%a%', '1%')", "t NOT LIKE ALL ('a%', NULL)",
        "t ILIKE ANY ('ABC%', 'x')", "u LIKE u",
        "t LIKE '%b%'", "t LIKE 'A\\\\_b\\\\%_\\\\\\\\d'", "substring(t, 2)",
    ),
    "dates": (
        "year(day)", "month(day)", "day(day)", "quarter(day)", "dayofyear(day)", "date_add(day, 1)",
        "date_sub(day, 1)", "datediff(day, date '2000-01-01')",
    ),
    "math": (
        "floor(e)", "ceil(e)", "sign(e)", "exp(e)", "expm1(d)",
        "cast(expm1(e / 1000000) * 1e6 AS decimal(20, 9))", "log1p(f)",
        "log1p(e / 10000000000)", "round(f, 1)", "round(cast(2.675 AS float) + f, 2)",
        "round(d, 400)", "round(-i, -1)",
    ),
    "structs whose fields have other names": (
        "st = named_struct('a', 1, 'b', 'z')", "st <=> named_struct('y', 0, 'x', u)",
        "st < named_struct('a', 2, 'b', 'a')", "st IN (struct(1, 'z'), struct(i, u))",
        "nullif(st, named_struct('a', 1, 'b', 'z'))",
    ),
    "collections": ("st.x", "struct(i, t)", "named_struct('a', i, 'b', d)", "array(i, j)"),
}  # fmt: skip

_MOMENTS = (
    "array('2020-01-01T', '2020-01-01 24:00:00', '2020-06-01 10:11+01:00', '2020-06-01 1:2:3-08', "
    "'2020-06-01 1:2:3-0800', '2020-06-01 10:11:12 +01:02:03', '2020-06-01 10:11:12+19:00', "
    "'2020-06-01 10:11:12 UT+3', "
    "'2020-06-01 10:11:12.5 PST', '2020-06-01 10:11:12 EST', '2020-06-01 10:11:12 CET', '2020-1', "
    "'2020-06-01 10:11:12 Etc/GMT+5', '2020-06-01 10:11:12 No/Where', '2020-06-01 10:11:12 UTC+1', "
    "'2020-06-01 10:11:12 europe/paris', '2020-06-01 10:11:12z', '2020-06-01 10:11:12.1234567Z')"
)
ROWS["moments in texts"] = (
    f"transform({_MOMENTS}, x -> cast(try_cast(concat(x, left(u, 0)) AS timestamp) AS string))",
    f"transform({_MOMENTS}, x -> cast(try_cast(concat(x, left(u, 0)) AS timestamp_ntz) AS string))",
)

FAILS = {
    "arithmetic": (
        "1 / (i - i)",
        "i % (i - i)",
        "i + 2147483647",
        "l * 9223372036854775807",
        "-b * 0 + 1 div 0",
    ),
    "casts": (
        "cast(l AS int)",
        "cast(i AS tinyint)",
        "cast(wide AS int)",
        "cast(i AS decimal(3, 1))",
        "cast(l + 0.5d AS decimal(2, 1))",
        "cast(string(l) AS decimal(3, 1))",
        "cast(concat(l, 'x') AS decimal(3, 1))",
        "cast(d AS timestamp)",
    ),
    "decimals": (
        "wide * 1e25BD",
        "1e35BD / (dec * dec * 0.01 + 0.001)",
        "cast('9e37' AS decimal(38, 0)) + id + cast('9e37' AS decimal(38, 0))",
    ),
    "patterns": ("t LIKE 'a\\\\bc'", "t LIKE 'ab\\\\'", "t LIKE concat(u, '\\\\')"),
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
