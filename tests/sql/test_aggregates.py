"""Aggregate functions beside Spark's own answers: in one group, in several, merged from several
partitions, with filters, over windows.
"""

from __future__ import annotations

import pytest

from tests.sql.differential import Differential

CALLS = (
    "sort_array(collect_set(j))", "size(collect_set(t))", "percentile(e, 0.3)", "median(e)",
    "percentile(i, array(0.25, 0.75))", "percentile_approx(i, 0.4)",
    "approx_percentile(e, array(0.1, 0.9), 100)", "approx_count_distinct(j)", "corr(i, e)",
    "corr(d, e)", "covar_pop(i, e)", "covar_samp(i, e)", "stddev(e)", "stddev_pop(e)", "stddev(d)",
    "variance(e)", "var_pop(e)", "skewness(e)", "kurtosis(e)", "mode(id % 1)", "max_by(t, i)",
    "min_by(t, i)", "min_by(i, e)", "count_if(i > 0)", "any(p)", "every(q)", "some(q)",
    "bool_and(p)", "regr_count(d, e)", "regr_slope(e, i)", "regr_intercept(e, i)", "regr_r2(e, i)",
    "regr_avgx(e, i)", "regr_avgy(e, i)", "regr_sxx(e, i)", "regr_syy(e, i)", "regr_sxy(e, i)",
    "max_by(t, id, 3)", "min_by(i, id, 2)", "mode() WITHIN GROUP (ORDER BY j)",
    "mode() WITHIN GROUP (ORDER BY u DESC)",
    "try_sum(l * 9000000)", "try_avg(i)", "sum(DISTINCT j)", "count(DISTINCT j, b)",
    "sort_array(split(listagg(u, ','), ','))", "stddev(e) FILTER (WHERE i > 0)",
    "percentile(e, 0.5) FILTER (WHERE i > 100000000)", "collect_set(i) FILTER (WHERE false)",
)  # fmt: skip
SOURCES = {
    "one group": "SELECT {} FROM t",
    "no row": "SELECT {} FROM t WHERE id < 0",
    "groups": "SELECT q, {} FROM t GROUP BY q",
    "merged from partitions": (
        "SELECT id % 2, {} FROM (SELECT * FROM t DISTRIBUTE BY id) GROUP BY id % 2"
    ),
    "one group merged": "SELECT {} FROM (SELECT * FROM t DISTRIBUTE BY id)",
}
_DIGITS = 11  # the order in which parts are added up differs


@pytest.mark.parametrize("source", SOURCES)
def test_aggregates_give_what_spark_gives(edges: Differential, source: str) -> None:
    items = [f"{call} AS a{i}" for i, call in enumerate(CALLS)]
    try:
        edges.check(SOURCES[source].format(", ".join(items)), digits=_DIGITS)
    except Exception:
        for item in items:
            edges.check(SOURCES[source].format(item), digits=_DIGITS)
        raise


ORDERED = (
    "listagg(u, '-') WITHIN GROUP (ORDER BY u)",
    "listagg(u) WITHIN GROUP (ORDER BY u DESC)",
    "listagg(bin, X'0042') WITHIN GROUP (ORDER BY bin DESC)",
    "listagg(u) WITHIN GROUP (ORDER BY i DESC NULLS LAST, id)",
)  # which Spark itself does not plan beside distinct ones


@pytest.mark.parametrize("source", SOURCES)
def test_texts_are_joined_in_order(edges: Differential, source: str) -> None:
    items = ", ".join(f"{call} AS a{i}" for i, call in enumerate(ORDERED))
    edges.check(SOURCES[source].format(items))


def test_moments_have_sparks_own_digits(edges: Differential) -> None:
    rows = "VALUES (1, 12), (10, 1), (19, 8), (-8, 18) AS v(x, y)"
    calls = "covar_samp(x, y), covar_pop(x, y), corr(x, y), var_samp(x), stddev(y), var_pop(y)"
    for source in (rows, f"(SELECT * FROM {rows} WHERE x > 0 DISTRIBUTE BY x)"):
        edges.check(f"SELECT {calls} FROM {source}")


WINDOWS = (
    "stddev(e) OVER (PARTITION BY q ORDER BY id)",
    "corr(i, e) OVER (PARTITION BY q ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "sort_array(collect_set(j) OVER (ORDER BY id))",
    "percentile(e, 0.5) OVER (PARTITION BY q)",
    "max_by(t, i) OVER (ORDER BY id)",
    "count(*) OVER (ORDER BY day RANGE BETWEEN INTERVAL 400 DAYS PRECEDING AND CURRENT ROW)",
    "sum(i) OVER (ORDER BY i RANGE BETWEEN 10 PRECEDING AND 5 FOLLOWING)",
)


def test_aggregates_over_windows_give_what_spark_gives(edges: Differential) -> None:
    items = ", ".join(f"{call} AS w{i}" for i, call in enumerate(WINDOWS))
    edges.check(f"SELECT id, {items} FROM t", digits=_DIGITS)


def test_groups_of_a_union_of_groups_are_merged(edges: Differential) -> None:
    grouped = "SELECT j AS k, count(*) AS n FROM t GROUP BY j"
    edges.check(f"SELECT k, sum(n) FROM ({grouped} UNION ALL {grouped}) GROUP BY k")
