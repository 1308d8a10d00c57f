"""Calls of some 300 functions of Spark SQL, beside Spark's own answers."""

from __future__ import annotations

import pytest

from aflint.sql.java_patterns import re2
from tests.sql.differential import Differential
from tests.sql.functions import FAMILIES, REFUSED

_DIGITS = {"math": 14}  # Java's own sines and logarithms differ in the last bits


@pytest.fixture(scope="module")
def calls(edges: Differential) -> Differential:
    """With the table `f`: also `nice`, the days whose neighbours Python has, too."""
    view = edges.frame("SELECT *, if(id IN (4, 5), NULL, day) AS nice FROM t")
    view.createOrReplaceTempView("f")
    return edges


@pytest.mark.parametrize("family", FAMILIES)
def test_functions_give_what_spark_gives(calls: Differential, family: str) -> None:
    expressions = [each for listed in FAMILIES[family].values() for each in listed]
    calls.check_expressions(expressions, "f", _DIGITS.get(family, 17))


def test_exponentials_have_sparks_own_digits(edges: Differential) -> None:
    numbers = (
        "(id - 6000) / 8.3D",
        "id / 1e6D",
        "-1 / (id + 1D)",
        "(id - 6000) * (id - 6000) / 1e9D",
    )
    asked = ", ".join(f"exp({x}), cosh(1 + abs({x}) / 50)" for x in numbers)
    edges.check(f"SELECT id, {asked} FROM range(12000)")
    edges.check("SELECT id, exp(d), exp(e), cosh(d) FROM t")


FAILS = (
    "parse_url(concat('http://', t, ' '), 'HOST')",
    "hmac(cast(t AS binary), bin)",
    "cast(t AS int)",
    "cast(t AS double)",
    "cast(t AS date)",
    "cast(t AS timestamp)",
    "to_timestamp(t, 'yyyy-MM-dd')",
    "a[100]",
    "element_at(a, 100)",
    "element_at(a, i - i)",
    "elt(i, t, u)",
    "make_date(2020, 2, 30 + j)",
    "next_day(day, 'nonsense')",
    "raise_error('no: ' || t)",
    "map(id, 1, id, 2)",
    "url_decode('%z' || t)",
    # the errors of an argument are none of what tries
    "try_divide(1 / (i - i), 2)",
    "try_cast(cast(t AS int) AS tinyint)",
    "try_cast(l * 9223372036854775807 AS int)",
)


@pytest.mark.parametrize("expression", FAILS)
def test_functions_fail_where_spark_fails(calls: Differential, expression: str) -> None:
    calls.check_fails(f"SELECT {expression} FROM f")


@pytest.mark.parametrize("expression", REFUSED)
def test_what_duckdb_has_no_equal_of_is_refused(calls: Differential, expression: str) -> None:
    calls.refused(f"SELECT {expression} FROM f")


def test_a_pattern_of_javas_means_the_same_in_duckdb() -> None:
    assert re2(r"a.c\s\d") == r"a[^\n\r\x{85}\x{2028}\x{2029}]c[ \t\n\x{0B}\f\r][0-9]"
    assert re2("(?i)ab[c-e]") == "[aA][bB][c-eC-E]"


LEGACY = (
    "i + 2147483647", "l * l", "l - 9223372036854775807 - l", "-i", "abs(i)", "b + b", "s * s",
    "cast(l AS int)", "cast(i AS tinyint)", "cast(d AS int)", "cast(d AS bigint)",
    "cast(e * 1000 AS tinyint)", "cast(t AS int)", "cast('1.5' || t AS int)",
    "cast(concat(j, '.7') AS int)", "cast(t AS double)", "cast(t AS date)", "a[100]", "1 / (i - i)",
    "i % (i - i)", "element_at(a, 100)", "wide * wide * wide", "cast(wide AS decimal(4, 2))",
    "cast('.' AS int)", "cast(concat('-', u, '.5') AS int)", "make_date(2020, 2, 28 + j)",
)  # fmt: skip


def test_without_ansi_integers_wrap_around_and_what_fails_is_null(calls: Differential) -> None:
    with calls.with_settings(spark__sql__ansi__enabled="false"):
        calls.check_expressions(LEGACY, "f")
        calls.check("SELECT sum(l * 9000000) AS s, sum(wide) AS w, sum(i) AS i FROM f")
