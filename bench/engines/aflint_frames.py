"""aflint's DataFrames: PySpark's SparkSession, planned in one JVM and run by two workers."""

from __future__ import annotations

from typing import Any

from bench.spark_sql_program import SparkSqlProgram


class Engine(SparkSqlProgram):
    """The queries that Sail is given, word for word."""

    async def open(self) -> None:
        from pyspark.sql import SparkSession

        self.spark = SparkSession.builder.master("local[2]").appName("bench").getOrCreate()

    async def close(self) -> None:
        self.spark.stop()

    def keep(self, name: str, query: str) -> None:
        kept: Any = self.spark.sql(query).cache()
        kept.createOrReplaceTempView(name)
