"""Functions over Arrow, as checks of `dataframes_program.py`, with pandas and pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from tests.pyspark.functions_checks import Checks


def over_arrow(spark: SparkSession) -> Checks:
    """Functions of columns, partitions and groups."""
    rows = spark.createDataFrame(
        [(i, i % 3, str(i), i / 2) for i in range(10)], "id bigint, k bigint, t string, v double"
    )
    names = spark.createDataFrame([(0, "x"), (2, "y"), (5, "z"), (None, "n")], "k bigint, n string")

    def product_of(a: pd.Series, b: pd.Series) -> pd.Series:
        return a * b

    def sizes_of(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        for batch in batches:
            yield batch + len(batch)

    def both_of(a: pd.Series, b: pd.Series) -> pd.DataFrame:
        return pd.DataFrame({"a": a + 1, "b": b + "!"})

    def mean_of(values: pd.Series) -> float:
        return float(values.mean())

    product = F.pandas_udf(product_of, "double")
    sizes, both = F.pandas_udf(sizes_of, "long"), F.pandas_udf(both_of, "a long, b string")
    mean = F.pandas_udf(mean_of, "double")

    def large(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield batch[batch.id > 5]

    def large_of_arrow(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield batch.filter(pa.compute.greater(batch["id"], 6))

    def sizes_of_both(key: Any, left: Any, right: Any) -> Any:
        key = -1 if key[0] is None or key[0] != key[0] else int(key[0])
        return pd.DataFrame({"k": [key], "n": [len(left)], "m": [len(right)]})

    def sizes_of_tables(left: Any, right: Any) -> Any:
        return pa.table({"n": [left.num_rows], "m": [right.num_rows]})

    by_key = Window.partitionBy("k")
    ordered = by_key.orderBy("id")
    grouped = rows.groupBy("k")

    def batched() -> Any:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "3")
        try:
            return spark.range(8, numPartitions=1).select(sizes("id")).collect()
        finally:
            spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")

    return {
        "columns": lambda: rows.select("id", product("id", "v"), product(b="v", a="id")).collect(),
        "batches": batched,
        "structs": lambda: rows.select(both("id", "t").alias("s")).select("s.*").collect(),
        "aggregates": lambda: grouped.agg(mean("v"), mean("id")).orderBy("k").collect(),
        "aggregate": lambda: rows.agg(mean("v")).collect(),
        "windows": lambda: rows.select(
            "id",
            mean("v").over(ordered.rowsBetween(-1, 1)),
            mean("v").over(ordered.rangeBetween(-3, 0)),
            mean("v").over(by_key),
        ).orderBy("id").collect(),
        "pandas": lambda: rows.mapInPandas(large, rows.schema).collect(),
        "arrow": lambda: rows.mapInArrow(large_of_arrow, rows.schema).collect(),
        "groups": lambda: grouped.applyInPandas(
            lambda frame: frame.assign(v=frame.v - frame.v.mean()), rows.schema
        ).orderBy("id").collect(),
        "groups with keys": lambda: grouped.applyInPandas(
            lambda key, frame: pd.DataFrame([(*key, len(frame))]), "k long, n long"
        ).orderBy("k").collect(),
        "groups of arrow": lambda: grouped.applyInArrow(
            lambda table: table.slice(0, 1), rows.schema
        ).orderBy("id").collect(),
        "cogroups": lambda: grouped.cogroup(names.groupBy("k")).applyInPandas(
            sizes_of_both, "k long, n long, m long"
        ).orderBy("k").collect(),
        "cogroups of arrow": lambda: grouped.cogroup(names.groupBy("k")).applyInArrow(
            sizes_of_tables, "n long, m long"
        ).orderBy("n", "m").collect(),
        "arrow functions": lambda: rows.select(
            F.arrow_udf(lambda a: pa.compute.add(a, 1), "long")("id")
        ).collect(),
    }  # fmt: skip
