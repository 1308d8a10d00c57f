"""DuckDB in this process, with two threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from bench.sql_program import SqlProgram


class Engine(SqlProgram):
    """Files are views, read anew by each query; what is kept is a table in memory."""

    async def open(self) -> None:
        self.connection = duckdb.connect(config={"threads": "2"})

    async def close(self) -> None:
        self.connection.close()

    def rows(self, query: str) -> list[Any]:
        return self.connection.execute(query).fetchall()

    def lines(self, name: str, files: str | list[str]) -> None:
        if isinstance(files, list):  # of trips, with empty lines and two ends of line in one file
            ends = "CAST(suffix(content, chr(10)) AS INTEGER)"
            cut = f"string_split(left(content, length(content) - {ends}), chr(10))"
            line = f"SELECT rtrim(unnest({cut}), chr(13)) AS line FROM read_text({files!r})"
            self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS {line}")
            return
        form = "delim = '\x01', quote = '', escape = '', columns = {'line': 'VARCHAR'}"
        self.view(name, f"read_csv({files!r}, header = false, auto_detect = false, {form})")

    def table(self, name: str, file: str, columns: dict[str, str]) -> None:
        form = f"delim = ' ', auto_detect = false, columns = {columns}"
        self.view(name, f"read_csv({file!r}, header = false, {form})")

    def view(self, name: str, source: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM {source}")

    def keep(self, name: str, query: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {query}")

    def write(self, query: str, folder: str) -> None:
        Path(folder).mkdir()
        form = "FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE ''"
        self.connection.execute(f"COPY ({query}) TO '{folder}/part-0.txt' ({form})")

    def range(self, low: int, high: int) -> str:
        return f"range({low}, {high}) AS numbers(n)"
