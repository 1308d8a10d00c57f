"""A program of DataFrames and SQL that prints what it finds: run on aflint, and on Spark itself."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from tests.pyspark.frames_checks import frame_checks
from tests.pyspark.functions_checks import function_checks

folder = sys.argv[1]
out = tempfile.mkdtemp(dir=folder)
spark = SparkSession.builder.master("local[2]").appName("dataframes").getOrCreate()
spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
people = spark.createDataFrame(
    [Row(id=1, name="Ada", born="1815-12-10", pay=1.5), Row(id=2, name="Alan", born=None, pay=None)]
)
numbers = spark.range(20)
orders = spark.read.parquet(f"{folder}/orders.parquet")
table = spark.read.csv(f"{folder}/table.csv", header=True, inferSchema=True)


def shown(frame: DataFrame) -> None:
    frame.show()
    frame.printSchema()


def failing(act: Callable[[], Any]) -> str:
    try:
        return f"no error: {act()}"
    except Exception as error:
        known = [
            k.__name__ for k in type(error).__mro__ if k.__module__.startswith("pyspark.errors")
        ]
        kinds = {"AnalysisException", "ArithmeticException", "ParseException"} & set(known)
        return f"{kinds} {str(error).split(']')[0]}]"


def views() -> Any:
    people.createOrReplaceTempView("people")
    return spark.sql("select count(*) as n, max(name) from people where id < 3").collect()


def by_status() -> DataFrame:
    grouped = orders.groupBy("status").agg(F.count("*").alias("n"), F.sum("price").alias("total"))
    return grouped.orderBy("status")


def cached() -> tuple[int, int, int, bool]:
    """Count how often rows are made."""
    made = spark.sparkContext.accumulator(0)
    rows = spark.sparkContext.parallelize(range(10), 2).map(lambda n: (made.add(1) or n,))
    frame = spark.createDataFrame(rows, "n int").where("n > 2").cache()
    counts = frame.count(), frame.where("n > 5").count()
    frame.unpersist()
    return *counts, made.value, frame.is_cached


def written() -> Any:
    """Write, and read what was written; by mode, into folders, and where something is there."""
    path = f"{out}/written"
    orders.write.partitionBy("status").parquet(path)
    again = failing(lambda: orders.write.parquet(path))
    orders.limit(0).write.mode("ignore").parquet(path)
    orders.where("key < 10").write.format("parquet").mode("append").partitionBy("status").save(path)
    read = spark.read.parquet(path)
    rows = read.groupBy("status").agg(F.count("*"), F.sum("price")).orderBy("status").collect()
    orders.write.format("noop").mode("overwrite").save()
    nothing = failing(lambda: orders.write.partitionBy("nope").parquet(f"{out}/nope"))
    return rows, read.dtypes, again, nothing, os.listdir(out)


CHECKS: dict[str, Callable[[], Any]] = {
    "rows": people.collect,
    "filtered": lambda: people.where("id > 1").select("name", F.lit(1).alias("one")).collect(),
    "columns": lambda: numbers.select((F.col("id") * 2).alias("n"))[F.col("n") > 30].collect(),
    "count": orders.count,
    "first": lambda: by_status().first(),
    "take": lambda: by_status().take(2),
    "head": lambda: by_status().head(),
    "tail": lambda: by_status().tail(1),
    "empty": lambda: (orders.isEmpty(), orders.where("price < 0").isEmpty()),
    "show": lambda: shown(by_status()),
    "show nothing": lambda: shown(orders.where("price < 0")),
    "show vertically": lambda: people.show(1, truncate=2, vertical=True),
    "views": views,
    "offset": lambda: orders.orderBy("key").offset(3).limit(2).collect(),
    "join": lambda: orders.join(numbers, orders.key == numbers.id).orderBy("key").collect(),
    "self join": lambda: orders.alias("a").join(orders.alias("b"), "key").count(),
    "union": lambda: numbers.union(numbers).distinct().count(),
    "except": lambda: numbers.exceptAll(spark.range(18)).orderBy("id").collect(),
    "iterator": lambda: sorted(row.key for row in orders.toLocalIterator())[:3],
    "rdd": lambda: orders.rdd.map(lambda row: (row.status, 1)).countByKey()["a"],
    "rdd to rows": lambda: spark.createDataFrame(
        orders.rdd.map(lambda row: Row(k=row.key, p=row.price))
    ).agg(F.max("k"), F.sum("p")).collect(),
    "json": lambda: spark.read.json(f"{folder}/table.json").orderBy("a").collect(),
    "text": lambda: spark.read.text(f"{folder}/table.csv").where("value like '1%'").collect(),
    "csv": lambda: (table.orderBy("a").collect(), table.dtypes),
    "window": lambda: orders.select(
        "key", F.rank().over(Window.partitionBy("status").orderBy("price", "key")).alias("rank")
    ).orderBy("key").limit(5).collect(),
    "written": written,
    "no column": lambda: failing(lambda: orders.select("nope")),
    "bad SQL": lambda: failing(lambda: spark.sql("select from from")),
    "division by zero": lambda: failing(
        lambda: orders.select(F.expr("key / (key - key)")).collect()
    ),
    "overflow": lambda: failing(
        lambda: orders.select(F.expr("key + 9223372036854775807")).collect()
    ),
    "commands": lambda: spark.sql("describe people").collect(),
    "cached": cached,
    "settings": lambda: spark.conf.get("spark.sql.session.timeZone"),
    "times": lambda: spark.sql("select timestamp'2020-07-01 12:00:00' as t").collect(),
    "two sessions": lambda: spark.newSession().sql("select 1 as one").collect(),
}  # fmt: skip

for name, check in {**CHECKS, **function_checks(spark), **frame_checks(spark)}.items():
    print(f"== {name}")
    print(check())
spark.stop()
again = SparkSession.builder.master("local[2]").appName("again").getOrCreate()
print("== a second context")
print(again.sql("select 2 + 2 as four").collect())
again.stop()
