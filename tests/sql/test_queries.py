"""Queries of every step that aflint runs, beside Spark's own answers.

Add a query for each step that you add: over the tables `t` (tests/sql/edges.py), `k` and `n`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sql.differential import Differential

QUERIES = {
    "limit and offset": "SELECT id FROM t ORDER BY id LIMIT 3 OFFSET 2",
    "distinct": "SELECT DISTINCT j FROM t",
    "group by floats": "SELECT f, count(*) FROM t GROUP BY f",
    "aggregates": "SELECT count(*), count(i), count(i, j), sum(i), sum(l), sum(d), avg(i), "
    "avg(dec), "
    "min(t), max(t), min(day), max(ts), sum(dec), first(id), avg(wide), sum(wide) FROM t WHERE "
    "id < 4",
    "aggregates of nothing": "SELECT count(*), sum(i), avg(d), min(t), first(i) FROM t WHERE id "
    "< 0",
    "groups of nothing": "SELECT j, count(*) FROM t WHERE id < 0 GROUP BY j",
    "texts that look like places": "SELECT p, count(if(t = '{1}', i, j)) FILTER (WHERE "
    "t <> '{0}'), first('{1}') FROM t GROUP BY p",
    "filter clauses": "SELECT p, count(*) FILTER (WHERE i > 0), sum(i) FILTER (WHERE q) FROM t "
    "GROUP BY p",
    "distinct aggregates": "SELECT p, count(DISTINCT j), sum(DISTINCT j), sum(i), avg(DISTINCT j) "
    "FROM t GROUP BY p",
    "several distincts": "SELECT count(DISTINCT i), count(DISTINCT j), sum(b) FROM t",
    "rollup": "SELECT p, q, count(*), grouping_id() FROM t GROUP BY ROLLUP (p, q)",
    "cube": "SELECT p, q, sum(i), grouping(p) FROM t GROUP BY CUBE (p, q)",
    "having": "SELECT j, count(*) AS c FROM t GROUP BY j HAVING count(*) > 1",
    "inner join": "SELECT t.id, k.name FROM t JOIN k ON t.j = k.key",
    "left join": "SELECT t.id, k.name FROM t LEFT JOIN k ON t.j = k.key",
    "right join": "SELECT t.id, k.name FROM t RIGHT JOIN k ON t.j = k.key",
    "full join": "SELECT t.id, k.name FROM t FULL JOIN k ON t.j = k.key AND t.i > 0",
    "null-safe join": "SELECT t.id, k.name FROM t JOIN k ON t.j <=> k.key",
    "float join": "SELECT a.id, b.id FROM t a JOIN t b ON a.d = b.d",
    "semi join": "SELECT id FROM t LEFT SEMI JOIN k ON t.j = k.key",
    "anti join": "SELECT id FROM t LEFT ANTI JOIN k ON t.j = k.key",
    "exists": "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM k WHERE k.key = t.j AND k.key > 1)",
    "exists or": "SELECT id FROM t WHERE id = 0 OR EXISTS (SELECT 1 FROM k WHERE k.key = t.j)",
    "in": "SELECT id FROM t WHERE j IN (SELECT key FROM k)",
    "not in": "SELECT id FROM t WHERE j NOT IN (SELECT key FROM k WHERE key IS NOT NULL)",
    "not in with nulls": "SELECT id FROM t WHERE j NOT IN (SELECT key FROM k)",
    "not in nothing": "SELECT id FROM t WHERE j NOT IN (SELECT key FROM k WHERE key > 100)",
    "cross join": "SELECT t.id, k.key FROM t CROSS JOIN k",
    "unequal join": "SELECT t.id, k.key FROM t JOIN k ON t.j < k.key",
    "unequal left join": "SELECT t.id, k.key FROM t LEFT JOIN k ON t.j < k.key",
    "unequal right join": "SELECT t.id, k.key FROM t RIGHT JOIN k ON t.j < k.key",
    "unequal full join": "SELECT t.id, k.key FROM t FULL JOIN k ON t.j < k.key",
    "self join": "SELECT a.id, b.id FROM t a JOIN t b ON a.j = b.j AND a.id < b.id",
    "scalar subquery": "SELECT id, i - (SELECT max(key) FROM k) FROM t",
    "correlated subquery": "SELECT id, (SELECT count(*) FROM k WHERE k.key = t.j) FROM t",
    "correlated subquery of one row": "SELECT id, (SELECT name FROM k WHERE k.key = t.j AND "
    "k.key <> 2) AS n, (SELECT max(key) FROM k WHERE k.key > t.j + 96) FROM t",
    "aggregates in an order": "SELECT p, listagg(t, ',') WITHIN GROUP (ORDER BY i DESC NULLS LAST, "
    "id), listagg(DISTINCT u, '|') WITHIN GROUP (ORDER BY u), mode(j, true), mode() WITHIN GROUP "
    "(ORDER BY j DESC), percentile_disc(0.3) WITHIN GROUP (ORDER BY j DESC) FROM t GROUP BY p",
    "empty subquery": "SELECT id, (SELECT key FROM k WHERE key > 100) FROM t",
    "union all": "SELECT id, d FROM t UNION ALL SELECT key, key FROM k",
    "union": "SELECT j FROM t UNION SELECT key FROM k",
    "except": "SELECT j FROM t EXCEPT SELECT key FROM k",
    "intersect": "SELECT j FROM t INTERSECT SELECT key FROM k",
    "except all": "SELECT j FROM t EXCEPT ALL SELECT key FROM k",
    "intersect all": "SELECT j FROM t INTERSECT ALL SELECT key FROM k",
    "a union of structs by their places": "SELECT st FROM t UNION ALL "
    "SELECT named_struct('y', key, 'x', name) FROM k UNION ALL SELECT struct(key, name) FROM k",
    "a join of structs by their places": "SELECT t.id, a.name FROM t JOIN k a ON "
    "struct(t.j) = named_struct('k', a.key)",
    "groups of arrays": "SELECT a, count(*) FROM (SELECT a FROM t UNION ALL SELECT a FROM t) "
    "GROUP BY a",
    "groups of maps": "SELECT m, count(*) FROM (SELECT map(j % 2, 1, 7, 2) AS m FROM t WHERE j "
    "IS NOT NULL UNION ALL SELECT map(7, 2, j % 2, 1) FROM t WHERE j IS NOT NULL) GROUP BY m",
    "with": "WITH x AS (SELECT j, count(*) AS c FROM t GROUP BY j) "
    "SELECT a.j, b.c FROM x a JOIN x b ON a.j = b.j",
    "values": "SELECT * FROM VALUES (1, 'a', 1.5), (2, NULL, NULL) AS v(n, s, d)",
    "range": "SELECT id, id * 2 FROM range(5, 25, 3)",
    "nothing selected": "SELECT count(*) FROM (SELECT id FROM t) x CROSS JOIN (SELECT 1 FROM k) y",
    "explode": "SELECT id, x FROM t LATERAL VIEW explode(a) AS x",
    "explode outer": "SELECT id, x FROM t LATERAL VIEW OUTER explode(a) AS x",
    "posexplode": "SELECT id, n, x FROM t LATERAL VIEW posexplode(texts) AS n, x",
    "posexplode outer": "SELECT id, n, x FROM t LATERAL VIEW OUTER posexplode(texts) AS n, x",
    "explode a map": "SELECT id, k, v FROM t LATERAL VIEW explode(m) AS k, v",
    "inline": "SELECT id, x, y FROM t LATERAL VIEW inline(array(st, st)) AS x, y",
    "stack": "SELECT id, x, y FROM t LATERAL VIEW stack(2, i, t, j, u) AS x, y",
    "repartition": "SELECT /*+ REPARTITION(4, j) */ id, j FROM t",
    "repartition in turn": "SELECT /*+ REPARTITION(5) */ id FROM n",
    "coalesce": "SELECT /*+ COALESCE(1) */ id FROM n",
    "ranks": "SELECT id, row_number() OVER w, rank() OVER w, dense_rank() OVER w, ntile(3) OVER w, "
    "percent_rank() OVER w, cume_dist() OVER w FROM t WINDOW w AS (PARTITION BY p ORDER BY j, id)",
    "lag and lead": "SELECT id, lag(i) OVER w, lead(i, 2, -1) OVER w, lag(i, 1) IGNORE NULLS "
    "OVER w, "
    "nth_value(t, 2) OVER w FROM t WINDOW w AS (ORDER BY id)",
    "the first of each group": "SELECT * FROM (SELECT id, p, row_number() OVER "
    "(PARTITION BY p ORDER BY id) AS n FROM t) WHERE n <= 2",
    "frames by rows": "SELECT id, sum(i) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 "
    "FOLLOWING), "
    "avg(dec) OVER (PARTITION BY p ORDER BY id), count(*) OVER (PARTITION BY q), "
    "first(t) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING), "
    "last(i, true) OVER (ORDER BY id) FROM t",
    "frames by range": "SELECT id, sum(id) OVER (ORDER BY j RANGE BETWEEN 1 PRECEDING AND "
    "CURRENT ROW), "
    "max(id) OVER (ORDER BY day RANGE BETWEEN UNBOUNDED PRECEDING AND 3 FOLLOWING) FROM t",
}
ORDERED = {
    "sort": "SELECT id, d FROM t ORDER BY d DESC, id",
    "sort with nulls last": "SELECT id, t FROM t ORDER BY t ASC NULLS LAST, id",
    "sort text": "SELECT id, t FROM t ORDER BY t, id",
    "sort many": "SELECT id, k FROM n ORDER BY k DESC, id",
    "top": "SELECT id, k FROM n ORDER BY k, id DESC LIMIT 7",
}  # fmt: skip


@pytest.fixture(scope="module")
def tables(edges: Differential, tmp_path_factory: pytest.TempPathFactory) -> Differential:
    """With `k`, some keys with names, and `n`, 3,000 numbers in three files."""
    import duckdb

    folder: Path = tmp_path_factory.mktemp("tables")
    (folder / "n").mkdir()
    with duckdb.connect() as connection:
        keys = "(1, 'one'), (2, 'two'), (2, 'deux'), (4, 'four'), (NULL, 'none'), (99, NULL)"
        connection.execute(
            f"COPY (SELECT * FROM (VALUES {keys}) k(key, name)) TO '{folder}/k.parquet'"
        )
        for part in range(3):
            numbers = f"range({part * 1000}, {part * 1000 + 1000})"
            connection.execute(
                f"COPY (SELECT range AS id, (range * 7919) % 1009 AS k FROM {numbers}) "
                f"TO '{folder}/n/{part}.parquet'"
            )
    edges.table("k", folder / "k.parquet")
    edges.table("n", folder / "n")
    return edges


@pytest.mark.parametrize("name", QUERIES)
def test_queries_give_what_spark_gives(tables: Differential, name: str) -> None:
    _check(tables, QUERIES[name])


@pytest.mark.parametrize("name", ORDERED)
def test_sorted_queries_give_sparks_order(tables: Differential, name: str) -> None:
    _check(tables, ORDERED[name], ordered=True)


def _check(tables: Differential, sql: str, ordered: bool = False) -> None:
    """In stages, as over much, and as over little."""
    expected = tables.spark(sql)
    tables.check(sql, ordered=ordered, expected=expected)
    with tables.one_task():
        tables.check(sql, ordered=ordered, expected=expected)


JOINS = [name for name in QUERIES if "join" in name or "in" in name.split()]


@pytest.mark.parametrize("name", JOINS)
def test_joins_that_are_shuffled_give_what_spark_gives(tables: Differential, name: str) -> None:
    with tables.with_settings(spark__sql__autoBroadcastJoinThreshold="-1"):
        tables.check(QUERIES[name])


def test_a_subquery_of_several_rows_fails_as_on_spark(tables: Differential) -> None:
    tables.check_fails("SELECT id, (SELECT name FROM k WHERE k.key = t.j) FROM t")


def test_rows_are_placed_where_spark_places_them(tables: Differential) -> None:
    columns = "p, b, s, i, l, f, d, dec, wide, t, day, ts, bin, st, a, texts"
    for keys in (*columns.split(", "), columns):
        expected = tables.spark(f"SELECT pmod(hash({keys}), 7) FROM t ORDER BY id")
        placed = tables.placed(f"SELECT {keys} FROM t ORDER BY id", 7)
        assert placed == [row[0] for row in expected], keys


RANDOM = "range(0, 20000, 1, 3)"  # in the same partitions on both


def test_a_seed_gives_sparks_own_random_numbers(tables: Differential) -> None:
    tables.check(
        "SELECT id, rand(3) AS r, rand(3) AS again, rand(-7) AS other, round(rand(3) * 10) AS ten, "
        f"uniform(5, 105, 3) AS u FROM {RANDOM}"
    )
    tables.check(f"SELECT id, randn(3) AS n FROM {RANDOM}", digits=12)  # of a logarithm
    tables.check(f"SELECT id FROM {RANDOM} WHERE rand(3) < 0.01")
    tables.check(f"SELECT id, uuid(5) AS u, rand(1) AS r FROM {RANDOM} WHERE id % 100 = 7")
    some = "IF(id % 7 = 3, NULL, sequence(0, id % 20))"
    tables.check(f"SELECT id, shuffle({some}, 11) AS s FROM range(0, 200, 1, 3)")


def test_a_seed_samples_the_rows_that_it_samples_on_spark(tables: Differential) -> None:
    tables.check(
        f"SELECT id FROM (SELECT id FROM {RANDOM}) TABLESAMPLE (10 PERCENT) REPEATABLE (7)"
    )
    frame = tables.frame(f"SELECT id, id * 7 % 13 AS h FROM {RANDOM}")
    for place, part in enumerate(frame.randomSplit(tables.doubles([0.3, 0.7]), 5)):
        part.createOrReplaceTempView(f"part{place}")
        tables.check(f"SELECT * FROM part{place}")


def test_a_seed_samples_with_replacement_as_on_spark(tables: Differential) -> None:
    for place, (fraction, seed) in enumerate(((0.5, 7), (3.0, -11), (0.0, 1))):
        rows = tables.frame(f"SELECT id, id * 3 AS n FROM {RANDOM}")
        rows.sample(True, fraction, seed).createOrReplaceTempView(f"replaced{place}")
        tables.check(f"SELECT * FROM replaced{place}")
    rows.sample(True, 40.0, 1).createOrReplaceTempView("many")
    assert "a fraction of 40" in str(tables.refused("SELECT * FROM many"))


def test_parts_of_a_random_split_are_whole_together(tables: Differential) -> None:
    frame = tables.frame("SELECT id FROM range(200)")
    parts = frame.randomSplit(tables.doubles([0.3, 0.7]), 5)
    for place, part in enumerate(parts):
        part.createOrReplaceTempView(f"split{place}")
    both = tables.aflint("SELECT id FROM split0 UNION ALL SELECT id FROM split1")
    assert sorted(row[0] for row in both) == list(range(200))


def test_ids_tell_partitions_and_rows_apart(tables: Differential) -> None:
    tables.check(
        "SELECT id, monotonically_increasing_id() AS m, spark_partition_id() AS p "
        "FROM range(0, 50, 1, 4)"
    )


def test_nested_values_are_ordered_as_spark_orders_them(
    spark: Differential, tmp_path: Path
) -> None:
    """Within them NULL is the least, NaN the most, and 0.0 is -0.0."""
    import duckdb

    rows = (
        "({'a': 1.0, 'b': 'x'}, [1, 2], {'x': [1], 'y': {'z': 1}}, [{'a': 1}, {'a': NULL}])",
        "({'a': NULL, 'b': 'x'}, [1, NULL], {'x': NULL, 'y': {'z': 1}}, [{'a': NULL}])",
        "(NULL, NULL, NULL, NULL)",
        "({'a': 'nan'::DOUBLE, 'b': NULL}, [], {'x': [NULL], 'y': NULL}, [])",
        "({'a': -0.0, 'b': 'y'}, [1], {'x': [1], 'y': {'z': 'nan'::DOUBLE}}, [NULL, {'a': 2}])",
        "({'a': 0.0, 'b': 'x'}, [NULL], {'x': [], 'y': {'z': NULL}}, [{'a': 2}, NULL])",
        "({'a': 1.0, 'b': NULL}, [NULL, 1], {'x': [1], 'y': {'z': NULL}}, [{'a': 1}])",
    )
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t (id INT, s STRUCT(a DOUBLE, b VARCHAR), l INT[], "
            "n STRUCT(x INT[], y STRUCT(z DOUBLE)), ll STRUCT(a INT)[])"
        )
        for number, row in enumerate(rows):
            connection.execute(f"INSERT INTO t VALUES ({number}, {row[1:]}")
        connection.execute(f"COPY t TO '{tmp_path}/t.parquet'")
    spark.table("nested", tmp_path / "t.parquet")
    for column in ("s", "l", "n", "ll"):
        spark.check(f"SELECT id FROM nested ORDER BY {column}, id", ordered=True)
        spark.check(f"SELECT id FROM nested ORDER BY {column} DESC, id", ordered=True)
        spark.check(f"SELECT {column}, count(*) FROM nested GROUP BY {column}")
        spark.check(
            f"SELECT max({column}), min({column}), max_by(id, {column}), min_by(id, {column}), "
            f"sort_array(collect_list({column})), sort_array(collect_list({column}), false), "
            f"array_sort(collect_list({column})), array_max(collect_list({column})), "
            f"array_min(collect_list({column})) FROM nested"
        )
        spark.check(
            f"SELECT x.id, y.id, x.{column} < y.{column}, x.{column} >= y.{column}, "
            f"x.{column} = y.{column}, rank() OVER (ORDER BY x.{column}, y.{column} DESC) "
            "FROM nested x CROSS JOIN nested y"
        )
    assert "greatest" in str(spark.refused("SELECT greatest(s, s) FROM nested"))


LOOPS = (
    "WITH RECURSIVE r(n, s) AS (SELECT 1, 'a' UNION ALL SELECT n + 1, s || 'b' FROM r WHERE n < 5) "
    "SELECT * FROM r",
    "WITH RECURSIVE r AS (SELECT key AS n, 0 AS level FROM k WHERE key = 1 UNION ALL "
    "SELECT t.id + r.n, level + 1 FROM r JOIN t ON r.n = t.j WHERE level < 3) "
    "SELECT level, count(*), sum(n), max(n) FROM r GROUP BY level",
    "WITH RECURSIVE r(n) AS (SELECT id FROM range(3) UNION ALL SELECT n + 1 FROM r) "
    "SELECT count(*) FROM (SELECT n FROM r LIMIT 10)",
    "WITH RECURSIVE r(n, m) AS (SELECT 1, 1 WHERE false UNION ALL SELECT n, m FROM r) "
    "SELECT * FROM r",
)


def test_recursive_queries_give_what_spark_gives(tables: Differential) -> None:
    for sql in LOOPS:
        tables.check(sql)
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {}) "
    with tables.with_settings(spark__sql__cteRecursionLevelLimit="4"):
        tables.check(endless.format(4) + "SELECT * FROM r")
        tables.check_fails(endless.format(5) + "SELECT * FROM r")
    with tables.with_settings(spark__sql__cteRecursionRowLimit="3"):
        tables.check_fails(endless.format(5) + "SELECT * FROM r")
    refused = "SELECT 'x' UNION ALL SELECT string(sentences(s)) FROM r"
    assert "Sentences" in str(tables.refused(f"WITH RECURSIVE r(s) AS ({refused}) SELECT * FROM r"))


def test_rows_are_grouped_by_sessions(tables: Differential) -> None:
    rows = "SELECT timestamp_seconds(id * id * 7 % 997 * 60) AS ts, id % 3 AS k, id FROM range(90)"
    for window in ("'10 minutes'", "'1 hour 3 minutes'", "'7 minutes'"):
        asked = f"session_window(ts, {window}) AS w"
        tables.check(f"SELECT {asked}, k, count(*), sum(id), max(ts) FROM ({rows}) GROUP BY w, k")
        tables.check(f"SELECT {asked}, count(*), count(DISTINCT k) FROM ({rows}) GROUP BY w")


def test_rows_are_grouped_by_windows_of_time(spark: Differential, tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT range AS id, TIMESTAMPTZ '2020-03-08 09:55:00+00' "
            "+ to_minutes((range * 4)::INTEGER) AS ts, ts::TIMESTAMP AS ntz FROM range(9)) "
            f"TO '{tmp_path}/t.parquet'"
        )
    spark.table("moments", tmp_path / "t.parquet")
    for window in (
        "window(ts, '30 days')",
        "window(ts, '10 minutes', '5 minutes')",
        "window(ts, '1 hour', '1 hour', '15 minutes')",
        "window(ntz, '1 day')",
    ):
        spark.check(f"SELECT {window} AS w, sum(id) FROM moments GROUP BY 1")
    spark.check(
        "SELECT window_time(w) FROM (SELECT window(ts, '1 day') AS w FROM moments GROUP BY 1)"
    )
    spark.check("SELECT * FROM moments TABLESAMPLE (100 PERCENT)")
