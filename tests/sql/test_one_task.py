"""Queries over little: one task does what Spark plans for many, and gives the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aflint.config import Config
from aflint.sql.one_task import Room, room
from tests.sql.differential import Differential

SALES = "(SELECT k, sum(v) AS s FROM sales GROUP BY k)"
JOINED = "SELECT n.name, sum(v) AS s FROM sales JOIN names n ON sales.k = n.k GROUP BY n.name"


@pytest.fixture(scope="module")
def little(spark: Differential, tmp_path_factory: pytest.TempPathFactory) -> Differential:
    folder: Path = tmp_path_factory.mktemp("little")
    rows = spark.frame("SELECT id AS i, id % 7 AS k, id * 3 AS v FROM range(0, 1000, 1, 3)")
    rows.write().parquet(str(folder / "sales"))
    names = spark.frame("SELECT id AS k, concat('n', id) AS name FROM range(0, 7, 1, 1)")
    names.write().parquet(str(folder / "names"))
    rows.write().partitionBy(_names(spark, "k")).parquet(str(folder / "folders"))
    for table in ("sales", "names", "folders"):
        spark.table(table, folder / table)
    return spark


def _names(spark: Differential, *names: str) -> object:
    array = spark.catalyst.gateway.new_array(spark.catalyst.jvm.java.lang.String, len(names))
    for place, name in enumerate(names):
        array[place] = name
    return array


@pytest.fixture
def whole(little: Differential) -> Iterator[Differential]:
    with little.one_task():
        yield little


@pytest.mark.parametrize(
    "sql",
    [
        JOINED,
        f"{JOINED} ORDER BY s DESC",
        f"{JOINED} ORDER BY s DESC LIMIT 2",
        "SELECT k FROM sales UNION ALL SELECT k FROM names UNION ALL SELECT id FROM range(3)",
        "SELECT k, v, rank() OVER (PARTITION BY k ORDER BY v) AS r FROM sales",
        "SELECT count(DISTINCT v), count(DISTINCT i), sum(k) FROM sales",
        "SELECT k, sum(v) FROM sales GROUP BY ROLLUP (k)",
        "SELECT * FROM names LEFT JOIN sales ON names.k = sales.v",
        "SELECT * FROM names WHERE k NOT IN (SELECT v FROM sales WHERE v > 3)",
        "SELECT count(*) FROM sales a CROSS JOIN names b WHERE a.v > b.k",
        "SELECT first(v), collect_list(v) FROM (SELECT v FROM sales ORDER BY v DESC) "
        "WHERE v > 2950",
        "SELECT count(*) FROM names WHERE k > 100",
        "SELECT 1 AS one",
    ],
)
def test_a_query_over_little_is_one_task(whole: Differential, sql: str) -> None:
    whole.check(sql, ordered=" ORDER BY s" in sql)
    assert whole.tasks(sql) == 1


def test_an_exchange_that_is_used_twice_is_computed_once(whole: Differential) -> None:
    sql = f"SELECT a.k, b.s FROM {SALES} a JOIN {SALES} b ON a.s = b.s"
    with whole.with_settings(spark__sql__autoBroadcastJoinThreshold="-1"):
        whole.check(sql)
        assert whole.tasks(sql) == 1


def test_subqueries_with_one_value_are_computed_in_the_task(whole: Differential) -> None:
    inner = "(SELECT max(k) - 4 FROM names WHERE k > (SELECT min(k) FROM sales))"
    sql = f"SELECT name, {inner} AS m FROM names WHERE k > {inner}"
    whole.check(sql)
    assert whole.tasks(sql) == 1
    whole.check("SELECT k, (SELECT max(k) FROM names WHERE k > 100) AS nothing FROM names")


def test_a_subquery_with_two_rows_fails_as_on_spark(whole: Differential) -> None:
    whole.check_fails("SELECT (SELECT k FROM names) AS k FROM sales")


@pytest.mark.parametrize(
    ("sql", "tasks"),
    [
        ("SELECT k, count(*) FROM folders GROUP BY k", 2),  # a folder's values are a split's own
        ("SELECT /*+ REPARTITION(5) */ k FROM sales", 5),
        ("SELECT k, rand(3) FROM sales", 2),
        ("SELECT k, spark_partition_id() FROM sales", 2),
        ("SELECT k FROM sales TABLESAMPLE (10 PERCENT) REPEATABLE (3)", 2),
    ],
)
def test_what_depends_on_partitions_keeps_them(whole: Differential, sql: str, tasks: int) -> None:
    assert whole.tasks(sql) >= tasks


def test_a_query_that_reads_more_than_there_is_room_for_runs_in_stages(
    little: Differential,
) -> None:
    with little.one_task(most=1000):
        little.check(JOINED)
        assert little.tasks(JOINED) > 1


def test_a_small_side_of_a_join_is_read_by_the_tasks_that_join_it(little: Differential) -> None:
    before = little.tasks(JOINED)
    with little.one_task(most=3000):  # the names, and not the sales
        little.check(JOINED)
        assert little.tasks(JOINED) == before - 1


def test_only_columns_that_are_read_count(little: Differential) -> None:
    with little.one_task(most=7000):
        assert little.tasks("SELECT sum(i), sum(k), sum(v) FROM sales") > 1
        assert little.tasks("SELECT sum(i) FROM sales") == 1


def test_a_task_has_the_threads_of_all_workers_here_and_of_its_function_there() -> None:
    here, there = Config(workers=4), Config(backend="aws")
    assert room(here, 1024, 4, 128 << 20) == Room(512 << 20, 4)
    assert room(there, 1769, 1000, 128 << 20) == Room(128 << 20, 1)
    assert room(there, 7076, 1000, 128 << 20) == Room(512 << 20, 4)
    assert room(Config(sql_one_task_mb=0), 1024, 4, 128 << 20).most == 0
