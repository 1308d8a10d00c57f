"""What engines that take PySpark's SparkSession share: tables are views of files."""

from __future__ import annotations

from typing import Any

from bench.sql_program import SqlProgram


class SparkSqlProgram(SqlProgram):
    """A SparkSession's queries."""

    words = "explode(split(line, ' '))"
    spark: Any

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
