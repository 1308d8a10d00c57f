"""Sail: a server of Spark's protocol in this process, and PySpark's client for it."""

from __future__ import annotations

from typing import Any

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from bench.sql_program import SqlProgram


class Engine(SqlProgram):
    """Tables are views of files; what is kept is a view, too, that each query works out anew."""

    words = "explode(split(line, ' '))"

    async def open(self) -> None:
        self.server = SparkConnectServer("127.0.0.1", 0)
        self.server.start(background=True)
        _, port = self.server.listening_address
        self.spark: Any = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()

    async def close(self) -> None:
        self.spark.stop()
        self.server.stop()

    def rows(self, query: str) -> list[Any]:
        return [tuple(row) for row in self.spark.sql(query).collect()]

    def lines(self, name: str, files: str | list[str]) -> None:
        frame = self.spark.read.text(files).withColumnRenamed("value", "line")
        frame.createOrReplaceTempView(name)

    def table(self, name: str, file: str, columns: dict[str, str]) -> None:
        schema = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
        frame = self.spark.read.csv(file, sep=" ", schema=schema.replace("VARCHAR", "STRING"))
        frame.createOrReplaceTempView(name)

    def keep(self, name: str, query: str) -> None:
        self.spark.sql(query).createOrReplaceTempView(name)

    def write(self, query: str, folder: str) -> None:
        self.spark.sql(query).write.text(folder)

    def range(self, low: int, high: int) -> str:
        return f"(SELECT id AS n FROM range({low}, {high})) AS numbers"
