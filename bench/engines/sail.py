"""Sail: a server of Spark's protocol in this process, and PySpark's client for it."""

from __future__ import annotations

from pathlib import Path

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from bench.spark_sql_program import SparkSqlProgram


class Engine(SparkSqlProgram):
    """What is kept is a view, too, that each query works out anew."""

    async def open(self) -> None:
        self.server = SparkConnectServer("127.0.0.1", 0)
        self.server.start(background=True)
        _, port = self.server.listening_address
        self.spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()

    def write(self, query: str, folder: str) -> None:
        # Its own writer deals batches out to files in turn, and their order is lost.
        (lines,) = self.spark.sql(query).toArrow().columns
        Path(folder).mkdir()
        Path(folder, "part-0.txt").write_text("".join(f"{line}\n" for line in lines.to_pylist()))

    async def close(self) -> None:
        self.spark.stop()
        self.server.stop()
