"""What programs ask of DataFrames beside their rows, as checks of `dataframes_program.py`."""

from __future__ import annotations

import datetime
import re
from importlib.util import find_spec
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Observation, Row, SparkSession
from pyspark.sql import functions as F

from tests.pyspark.functions_checks import Checks


def frame_checks(spark: SparkSession) -> Checks:
    """Return checks of the API of DataFrames."""
    rows = spark.createDataFrame(
        [(1, "a", 1.0, 10), (2, "b", None, 20), (2, "a", 3.5, 30), (3, None, 4.0, 60)],
        "k int, t string, v double, n int",
    )
    full = rows.na.fill(0.0, ["v"])

    def observed() -> Any:
        seen = Observation("seen")
        frame = rows.observe(seen, F.count(F.lit(1)).alias("rows"), F.max("n").alias("most"))
        return frame.where("k > 1").count(), seen.get

    def each() -> Any:
        total = spark.sparkContext.accumulator(0)
        rows.select("n").foreach(lambda row: total.add(row.n))
        rows.select("n").foreachPartition(lambda part: total.add(sum(row.n for row in part)))
        return total.value

    def made_once(keep: Any) -> Any:
        """Say what is left of a frame, and whether its rows are made again."""
        made = spark.sparkContext.accumulator(0)
        numbers = spark.sparkContext.parallelize(range(10), 2)
        frame = spark.createDataFrame(
            numbers.map(lambda n: (made.add(1) or n % 3, n)), "k int, n int"
        )
        kept = keep(frame.groupBy("k").agg(F.sum("n").alias("s"), F.count("*").alias("s")))
        first = kept.count()
        before = made.value
        return first, sorted(kept.collect()), kept.columns, made.value == before

    def table(named: str) -> Any:
        def keep(frame: Any) -> Any:
            frame.toDF("k", "s", "c").createOrReplaceTempView("kept")
            spark.sql(named) if " " in named else spark.catalog.cacheTable(named)
            return spark.table("kept")

        answer = made_once(keep), spark.catalog.isCached("kept")
        spark.catalog.uncacheTable("kept")
        return answer, spark.catalog.isCached("kept")

    def cleared() -> Any:
        spark.sql("CACHE TABLE other AS SELECT id % 2 AS k, count(*) AS n FROM range(9) GROUP BY 1")
        cached = spark.catalog.isCached("other"), sorted(spark.table("other").collect())
        spark.sql("CLEAR CACHE")
        return cached, spark.catalog.isCached("other"), sorted(spark.table("other").collect())

    def rounds() -> Any:
        frame = spark.range(5).toDF("x")
        for _ in range(3):
            frame = frame.withColumn("x", F.col("x") * 2).localCheckpoint()
        return frame.orderBy("x").collect()

    def read(*lines: Any, schema: str | None = None, **options: Any) -> Any:
        """Say what lines are read as: of an RDD, and of a DataFrame."""
        source = "csv" if options.pop("csv", False) else "json"
        given = spark.sparkContext.parallelize(lines, 2)
        frame = spark.createDataFrame([(str(line),) for line in lines], "t string")
        reader = spark.read.options(**options)
        reader = reader if schema is None else reader.schema(schema)
        found = [getattr(reader, source)(each) for each in (given, frame)]
        return [(each.dtypes, each.collect()) for each in found]

    def refused(act: Any) -> str:
        try:
            return f"no error: {act()}"
        except Exception as error:
            return str(re.findall(r"MALFORMED_RECORD\w+|DATAFRAME_INPUT\w+", str(error)))

    jsons = ('{"a": 1, "b": {"c": [1, 2.5]}}', '{"a": "x"}', "", '{"a": 1,\n "b": {}}', "{no")
    csvs = ("a,b", '1,"x, y"', "", "#no", "a,b", '2,"p\nq",3', "x,")
    bad = "a int, b struct<c:array<int>>, _corrupt_record string"

    checks: Checks = {
        "lines of JSON": lambda: read(*jsons),
        "lines of JSON that are no text": lambda: read({"a": 1}, 3, None, schema="a int"),
        "lines of JSON by a schema": lambda: read(*jsons, schema=bad),
        "lines of JSON as texts": lambda: read(*jsons, schema="a string, b string"),
        "lines of JSON, sampled": lambda: read(*jsons[:2] * 9, samplingRatio=0.4),
        "good lines of JSON": lambda: read(*jsons, schema=bad, mode="DROPMALFORMED"),
        "bad lines of JSON": lambda: refused(lambda: read(*jsons, schema=bad, mode="FAILFAST")),
        "lines of CSV": lambda: read(*csvs, csv=True),
        "lines of CSV with names": lambda: read(
            *csvs, csv=True, header=True, inferSchema=True, comment="#"
        ),
        "lines of CSV by a schema": lambda: read(
            *csvs, csv=True, header=True, schema="a int, b string, _corrupt_record string"
        ),
        "lines of no text": lambda: refused(lambda: spark.read.json(rows)),
        "no lines": lambda: read(csv=True),
        "local checkpoint": lambda: made_once(lambda frame: frame.localCheckpoint()),
        "local checkpoint, lazily": lambda: made_once(lambda frame: frame.localCheckpoint(False)),
        "cached by level": lambda: made_once(lambda f: f.persist(StorageLevel.DISK_ONLY)),
        "cached table": lambda: table("kept"),
        "cached table of SQL": lambda: table("CACHE TABLE kept"),
        "cleared cache": cleared,
        "rounds of checkpoints": rounds,
        "asked twice": lambda: made_once(lambda frame: (frame.collect(), frame)[1].limit(9))[:3],
        "is a DataFrame": lambda: (isinstance(rows, DataFrame), isinstance(full, DataFrame)),
        "the same by transform": lambda: rows.transform(lambda frame: frame).count(),
        "in a frame": lambda: sorted(rows.where(rows.k.isin(spark.range(3))).collect()),
        "correlation": lambda: (full.corr("v", "n"), full.cov("k", "n")),
        "of NULLs, of one row and of none": lambda: [
            str(each)
            for frame in (rows, rows.limit(1), rows.limit(0))
            for each in (frame.corr("v", "k"), frame.cov("n", "v"))
        ],
        "crosstab of numbers and NULLs": lambda: (
            rows.withColumn("a`b.c", rows.v).crosstab("v", "`a``b.c`").orderBy(F.lit(1))
            .collect()
        ),
        "crosstab": lambda: rows.crosstab("k", "t").orderBy("k_t").collect(),
        "quantiles of NULLs, NaN and none": lambda: (
            rows.withColumn("v", F.when(F.col("k") == 3, float("nan")).otherwise(F.col("v")))
            .approxQuantile("v", [0.5, 1.0], 0.0),
            rows.limit(0).approxQuantile(("k", "v"), (0.5,), 0.0),
        ),
        "many quantiles": lambda: spark.range(1001).approxQuantile(
            "id", [i / 16 for i in range(17)], 0.0
        ),
        "quantiles": lambda: rows.approxQuantile(["n", "v"], [0.0, 0.5, 1.0], 0.0),
        "frequent items": lambda: [
            sorted(map(str, items))
            for items in spark.range(0, 500, 1, 1)
            .select((F.col("id") * F.col("id") % 23).alias("a"), F.col("id").cast("string"), F.when(
                F.col("id") % 3 > 0, F.col("id") % 3).alias("c"), F.array("id").alias("d"))
            .freqItems(["a", "id", "c", "d"], 0.15).first()
        ],
        "sampled by strata": lambda: (
            spark.range(200).sampleBy(F.col("id") % 3, {0: 0.5, 1.0: 0.1, "2": 1}, 7).collect(),
            rows.sampleBy("t", {"a": 0.9, 1: 1.0}, 3).orderBy("n").collect(),
            rows.sampleBy("t", {}, 3).collect(),
        ),
        "pivot": lambda: rows.groupBy("k").pivot("t").sum("n").orderBy("k").collect(),
        "transpose": lambda: rows.select("t", "k", "n").where("t = 'b'").transpose().collect(),
        "observed": observed,
        "each": each,
        "filled": lambda: rows.na.fill({"t": "-", "v": 9.5}).orderBy("n").collect(),
        "dropped": lambda: rows.na.drop(subset=["v"]).count(),
        "replaced": lambda: rows.na.replace(["a"], ["z"], "t").orderBy("n").collect(),
        "without duplicates": lambda: rows.dropDuplicates(["k"]).count(),
        "unpivoted": lambda: rows.unpivot("k", ["v"], "name", "value").orderBy("k", "value")
        .collect(),
        "more columns": lambda: rows.withColumns({"a": F.col("n") + 1}).drop("v").orderBy("n")
        .collect(),
        "kept": lambda: (rows.cache().storageLevel, rows.is_cached, rows.unpersist().is_cached),
        "round trip": lambda: rows.rdd.map(lambda r: Row(k=r.k, n=r.n)).toDF().orderBy("n")
        .collect(),
    }  # fmt: skip
    if find_spec("pandas") and find_spec("pyarrow"):
        checks |= table_checks(spark)
    return checks


def table_checks(spark: SparkSession) -> Checks:
    """Return checks of DataFrames from and to pandas and Arrow."""
    import pandas as pd
    import pyarrow as pa

    day, time = datetime.date(2020, 1, 2), datetime.datetime(2020, 7, 2, 3, 4, 5, 6)
    frame = pd.DataFrame(
        {"a": [1, 2], "b": ["x", None], "c": [1.5, None], "d": pd.to_datetime([time, None])}
    )
    table = pa.table(
        {
            "a": pa.array([1, None], pa.int32()),
            "b": [[1], None],
            "c": [{"x": 1}, {"x": None}],
            "d": pa.array([day, None]),
            "e": pa.array([time, None], pa.timestamp("us", "America/New_York")),
            "f": pa.array([b"x", None]),
        }
    )
    rows = spark.sql(
        "select * from values (1, 2L, 'x', 1.50, date'2020-01-02', timestamp'2020-07-02 03:04:05', "
        "array(1, null), map('k', 1), named_struct('x', 1, 'y', 'z'), true, 1.5f, "
        "timestamp_ntz'2020-01-01 00:00:00', x'01'), (null, null, null, null, null, null, null, "
        "null, null, null, null, null, null) as t(i, l, t, d, day, ts, a, m, s, b, f, ntz, bin)"
    )

    def plainly(act: Any) -> Any:
        spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "false")
        try:
            return act()
        finally:
            spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")

    def to_pandas() -> Any:
        found, none = rows.toPandas(), rows.where("i > 5").toPandas()
        return found.dtypes.to_dict(), found.to_dict("list"), none.dtypes.to_dict()

    def to_arrow() -> Any:
        whole = rows.drop("s")  # PySpark itself fails for a NULL with parts that are never NULL
        structs = rows.select("s").where("s is not null").toArrow()
        none = rows.where("i > 5").toArrow()
        return whole.toArrow().schema, whole.toArrow().to_pylist(), structs, none

    def made(data: Any, *schema: Any) -> Any:
        frame = spark.createDataFrame(data, *schema)
        return frame.dtypes, frame.collect()

    return {
        "to pandas": to_pandas,
        "to pandas plainly": lambda: plainly(to_pandas),
        "to arrow": to_arrow,
        "of pandas": lambda: made(frame),
        "of pandas plainly": lambda: plainly(lambda: made(frame)),
        "of pandas by schema": lambda: made(frame, "a bigint, b string, c double, d timestamp"),
        "of arrow": lambda: made(table),
        "of no rows": lambda: made(table.slice(0, 0)),
        "of a grouped table": lambda: spark.createDataFrame(table).groupBy("a").count().orderBy(
            "a"
        ).collect(),
    }  # fmt: skip
