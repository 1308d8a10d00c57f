"""TPC-H: every query's answer is Spark's, whichever way its joins are made."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.sql.differential import Differential
from tests.sql.tpch import QUERIES, TABLES, generate, path_of


class Tpch:
    """The tables of TPC-H, and Spark's answers, each computed once."""

    def __init__(self, spark: Differential) -> None:
        self.spark = spark
        self.answer = cache(self._answer)

    def _answer(self, number: int) -> list[Any]:
        return self.spark.spark(QUERIES[number])

    def check(self, number: int) -> None:
        self.spark.check(QUERIES[number], ordered=True, expected=self.answer(number))


@pytest.fixture(scope="module")
def tpch(spark: Differential, tmp_path_factory: pytest.TempPathFactory) -> Tpch:
    folder: Path = tmp_path_factory.mktemp("tpch")
    generate(folder, scale=0.01, parts=2)
    for table in TABLES:
        spark.table(table, path_of(folder, table))
    return Tpch(spark)


@pytest.mark.parametrize("number", QUERIES)
def test_tpch_gives_what_spark_gives(tpch: Tpch, number: int) -> None:
    tpch.check(number)


@pytest.mark.parametrize("number", QUERIES)
def test_tpch_gives_what_spark_gives_with_every_join_shuffled(tpch: Tpch, number: int) -> None:
    with tpch.spark.with_settings(spark__sql__autoBroadcastJoinThreshold="-1"):
        tpch.check(number)


@pytest.mark.parametrize("number", QUERIES)
def test_tpch_in_one_task_gives_what_spark_gives(tpch: Tpch, number: int) -> None:
    with tpch.spark.one_task():
        tpch.check(number)
