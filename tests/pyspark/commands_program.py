"""Commands that compute, and what they leave in the catalog: run on aflint, and on Spark itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pyspark.sql import SparkSession

folder = sys.argv[1]
builder = SparkSession.builder.master("local[2]").appName("commands")
spark = builder.config("spark.sql.warehouse.dir", f"{folder}/warehouse").getOrCreate()
frame = spark.range(6).selectExpr("id", "id % 2 as k", "'x' || id as t")
WRITES: list[str | Callable[[], Any]] = [
    "create table a using parquet as select 1 as x",
    "create table a as select 2 as x",
    "create table if not exists a as select 7 as x",
    "insert into a values (2)",
    "cache table a",
    "insert into a select x + 10 from a",
    "cache table kept as select x + 1 as y from a",
    "execute immediate 'insert into a values (77)'",
    "from a insert into a select x + 100 where x = 1 insert into a select x + 200 where x = 1",
    "with q as (select 5 as x) insert into a select * from q",
    lambda: spark.sql("insert into a values (:v)", args={"v": 1234}),
    "create table b (x int, p string, q int) using csv partitioned by (p, q)",
    "insert into b values (1, 'a', 1), (2, 'b', 1), (3, null, 2), (4, 'a', 2)",
    "insert overwrite b partition (p = 'a', q) select 9, 3",
    "insert overwrite b partition (p = 'b', q = 1) select 9 where 1 = 0",
    "insert into b partition (p = 'c', q) select 8, 8",
    "create table c using json partitioned by (p) as select x, x % 2 as p from a",
    "insert overwrite c select x, 5 from a where x = 2",
    "insert into c by name select 4 as p, 3 as x",
    f"create table d using parquet location '{folder}/d' as select * from range(10) where id > 100",
    "insert into d select 1",
    f"insert overwrite directory '{folder}/out' using csv select 1 as x, 'b' as y",
    "create table e like a",
    "insert into e table a",
    "insert into view_of_a select 1",
    "insert into a select 'no number'",
    "insert into missing select 1",
    lambda: frame.write.saveAsTable("f"),
    lambda: frame.write.saveAsTable("f"),
    lambda: frame.limit(1).write.mode("ignore").saveAsTable("f"),
    lambda: frame.write.mode("append").saveAsTable("f"),
    lambda: spark.table("f").write.mode("overwrite").saveAsTable("f"),
    lambda: frame.write.mode("append").format("csv").saveAsTable("f"),
    lambda: frame.write.mode("overwrite").partitionBy("k").saveAsTable("g"),
    lambda: frame.write.mode("overwrite").partitionBy("k").format("json").saveAsTable("g"),
    lambda: frame.select("id", "t", "k").write.insertInto("g"),
    lambda: frame.selectExpr("id + 50", "t", "k").write.insertInto("g", overwrite=True),
    lambda: frame.write.option("path", f"{folder}/h").saveAsTable("h"),
    lambda: frame.drop("t").write.insertInto("h"),
]
READS = [
    *(f"select * from {table} order by all" for table in ("a", "kept", "b", "c", "d", "e")),
    *(f"select * from {table} order by all" for table in ("f", "g", "h", f"csv.`{folder}/out`")),
    *(f"show partitions {table}" for table in ("b", "c", "g")),
    *(f"describe {table}" for table in "abcdefgh"),
    "show tables",
]


def said(command: str | Callable[[], Any]) -> str:
    try:
        made = spark.sql(command) if isinstance(command, str) else command()
        return "" if made is None else str(made.collect())
    except Exception as error:
        first = str(error).partition("]")[0]
        return f"error {first}" if first.startswith("[") else f"error {str(error)[:60]}"


def jobs() -> int:
    """Return how many jobs Spark's own engine has run."""
    found: int = spark._jsc.sc().dagScheduler().numTotalJobs()
    return found


spark.sql("select 1").collect()
spark.sql("create temp view view_of_a as select 1 as x")
before = jobs()
for number, command in enumerate(WRITES):
    print(f"== {number} {command if isinstance(command, str) else ''}\n{said(command)}")
if "aflint.pyspark" in sys.modules:
    print("jobs of Spark's own:", jobs() - before)
for query in READS:
    print(f"== {query}\n{said(query)}")
spark.stop()
