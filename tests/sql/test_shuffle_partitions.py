"""Queries over much: their shuffles have more partitions than a few, and give the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from aflint.sql import shuffle_partitions
from aflint.sql.shuffle_partitions import widened
from tests.sql.differential import Differential

JOINED = "SELECT /*+ MERGE(a) */ a.k, a.v, b.v AS w FROM sales a JOIN sales b ON a.k = b.v"
HELD = "SELECT /*+ REPARTITION(4, k) */ * FROM sales"


@pytest.fixture(scope="module")
def much(spark: Differential, tmp_path_factory: pytest.TempPathFactory) -> Differential:
    folder: Path = tmp_path_factory.mktemp("much") / "sales"
    spark.frame("SELECT id % 97 AS k, id AS v FROM range(0, 900, 1, 3)").write().parquet(
        str(folder)
    )
    spark.table("sales", folder)
    return spark


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a few thousand bytes be more than a task of a gigabyte can hold."""
    monkeypatch.setattr(shuffle_partitions, "_TASK_SHARE", 10 << 20)


@pytest.mark.parametrize(
    "sql",
    [
        JOINED,
        "SELECT k, count(*), sum(v) FROM sales GROUP BY k",
        "SELECT k, v, rank() OVER (PARTITION BY k ORDER BY v) AS r FROM sales",
        "SELECT * FROM sales ORDER BY v DESC",
    ],
)
def test_so_many_that_each_fits_a_task(much: Differential, sql: str) -> None:
    with much.with_settings(**{"spark.sql.shuffle.partitions": "4"}):
        plan = much.catalyst.plan(much.frame(sql))
        assert (widened(plan, 4, 1024) or 0) > 4
        much.check(sql)
        assert widened(plan, 4, 1 << 30) is None


@pytest.mark.parametrize(
    "sql", [HELD, f"SELECT a.k, b.v FROM ({HELD}) a JOIN sales b ON a.k = b.k"]
)
def test_not_where_a_number_was_asked_for(much: Differential, sql: str) -> None:
    with much.with_settings(**{"spark.sql.shuffle.partitions": "4"}):
        assert widened(much.catalyst.plan(much.frame(sql)), 4, 1024) is None
        much.check(sql)
    # By the session's own settings there are three.
    assert widened(much.catalyst.plan(much.frame(JOINED)), 4, 1024) is None
