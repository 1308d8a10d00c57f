"""Polars in this process, by its SQL, with two threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from bench.sql_program import SqlProgram

TYPES = {"BIGINT": pl.Int64, "VARCHAR": pl.String}


class Engine(SqlProgram):
    """Files are scanned anew by each query; what is kept is a frame in memory."""

    words = "unnest(string_to_array(line, ' '))"

    async def open(self) -> None:
        self.context = pl.SQLContext()

    def rows(self, query: str) -> list[Any]:
        return list(self.context.execute(query).collect(engine="streaming").rows())

    def lines(self, name: str, files: str | list[str]) -> None:
        self.scan(name, files, "\x01", {"line": "VARCHAR"})

    def table(self, name: str, file: str, columns: dict[str, str]) -> None:
        self.scan(name, file, " ", columns)

    def scan(self, name: str, files: Any, separator: str, columns: dict[str, str]) -> None:
        schema = {column: TYPES[type_] for column, type_ in columns.items()}
        frame = pl.scan_csv(
            files, has_header=False, separator=separator, quote_char=None, schema=schema
        )
        self.context.register(name, frame)

    def keep(self, name: str, query: str) -> None:
        self.context.register(name, self.context.execute(query).collect(engine="streaming"))

    def write(self, query: str, folder: str) -> None:
        Path(folder).mkdir()
        found = self.context.execute(query)
        found.sink_csv(f"{folder}/part-0.txt", include_header=False, quote_style="never")

    def range(self, low: int, high: int) -> str:
        self.context.register("numbers", pl.LazyFrame({"n": pl.int_range(low, high, eager=True)}))
        return "numbers"
