"""SparkSession without SQL: rows in, rows out, and a clear word for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def spark(sc: Any) -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("rows").config("spark.x", "y").getOrCreate()


def test_a_session_is_made_once(spark: Any, sc: Any) -> None:
    from pyspark.sql import SparkSession

    assert spark.sparkContext is sc
    assert SparkSession.builder.getOrCreate() is spark
    assert SparkSession.getActiveSession() is spark
    assert SparkSession.active() is spark
    assert spark.version == sc.version
    assert spark.conf.get("spark.x") == "y"
    assert spark.conf.get("spark.none", "z") == "z"
    spark.conf.set("spark.sql.shuffle.partitions", 3)
    assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
    assert spark.newSession().sparkContext is sc


def test_text_as_rows(spark: Any, tmp_path: Path) -> None:
    from pyspark.sql import Row

    (tmp_path / "a.txt").write_text("x y\nz\n")
    lines = spark.read.text(str(tmp_path / "a.txt"))
    assert lines.rdd.map(lambda row: row[0]).collect() == ["x y", "z"]
    assert lines.collect() == [Row(value="x y"), Row(value="z")]
    assert lines.columns == ["value"]
    assert lines.count() == 2
    assert lines.first().value == "x y"
    assert spark.read.format("text").load(str(tmp_path)).count() == 2
    assert spark.read.text(str(tmp_path), wholetext=True).first()[0] == "x y\nz\n"


def test_rows_of_ones_own(spark: Any, sc: Any) -> None:
    from pyspark.sql import Row
    from pyspark.sql.types import IntegerType, StringType, StructType

    named = spark.createDataFrame([("Tom", 3), ("Ann", 4)], ["name", "age"])
    assert named.rdd.map(lambda row: (row.name, row["age"])).collect() == [("Tom", 3), ("Ann", 4)]
    assert named.dtypes == [("name", "string"), ("age", "bigint")]
    assert spark.createDataFrame([Row(a=1, b=None), Row(a=2, b="x")]).first() == Row(a=1, b=None)
    schema = StructType().add("a", IntegerType()).add("b", StringType())
    assert spark.createDataFrame(sc.parallelize([(1, "x")]), schema).first().asDict() == {
        "a": 1,
        "b": "x",
    }
    assert spark.createDataFrame([1, 2], "int").collect() == [Row(value=1), Row(value=2)]
    assert spark.createDataFrame([(1, "z")], "a int, b string").first().b == "z"
    assert sc.parallelize([(1, 2)]).toDF(["x", "y"]).collect() == [Row(x=1, y=2)]
    assert spark.range(3).rdd.map(lambda row: row.id).sum() == 3
    with pytest.raises(Exception, match=r"IntegerType|int"):
        spark.createDataFrame([("x",)], StructType().add("a", IntegerType())).collect()
    with pytest.raises(Exception, match="EMPTY_SCHEMA"):
        spark.createDataFrame([])


@pytest.mark.parametrize(
    "use",
    [
        lambda spark: spark.sql("select 1"),
        lambda spark: spark.read.csv("x"),
        lambda spark: spark.range(3).filter("id > 1"),
        lambda spark: spark.range(3)["id"],
        lambda spark: spark.range(3).groupBy("id"),
        lambda spark: spark.range(3).write,
        lambda spark: spark.catalog,
        lambda spark: spark.udf,
        lambda spark: spark.table("t"),
        lambda spark: spark.createDataFrame([1], "array<int>"),
    ],
)
def test_what_needs_sql_says_so(use: Any, spark: Any) -> None:
    with pytest.raises(RuntimeError, match=r"Spark SQL.*docs/pyspark\.md"):
        use(spark)
