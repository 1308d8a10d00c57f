"""`aflint sql`: runs one query of Spark SQL and writes its rows."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Column, Table
from rich.text import Text

from aflint.cli.command import Json, command, console, run
from aflint.cli.panels import Panel
from aflint.config import Config
from aflint.errors import ConfigError

if TYPE_CHECKING:
    from aflint.sql.batches import Batches

_SHOWN: Final = 100
_AT_ONCE: Final = 1000


def view(named: str) -> str:
    """Return the statement that gives a file or folder a name. Raises ConfigError."""
    name, equals, path = named.partition("=")
    if not equals or not name or not path:
        raise ConfigError(f"--table {named}: write it as NAME=PATH, such as trips=trips.parquet")
    options = {"path": path}
    kind = "parquet"
    if any(part.lower().endswith((".csv", ".csv.gz")) for part in (path, path.rstrip("/"))):
        kind = "csv"
        options |= {"header": "true", "inferSchema": "true"}
    words = ", ".join(f"{key} '{_escaped(value)}'" for key, value in options.items())
    return f"create temporary view `{name.replace('`', '``')}` using {kind} options ({words})"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


async def rows_of(config: Config, query: str, tables: list[str]) -> Batches:
    """Run a query in a session of its own."""
    import aflint

    async with aflint.connect(config) as session:
        for each in tables:
            await session.sql(view(each))
        return await session.sql(query)


def write_table(batches: Batches) -> None:
    """Write rows for people: the first hundred."""
    columns, rows = _text_rows(batches)
    table = Table(*(Column(Text(name)) for name in columns), box=None, pad_edge=False)
    for count, row in enumerate(rows):
        if count == _SHOWN:
            break
        table.add_row(*(Text("NULL" if cell is None else cell) for cell in row))
    out = console()
    out.print(table)
    if more := sum(1 for _ in rows):
        out.print(f"... and {more + 1:,} more rows; --csv and --json write all")


def write_csv(batches: Batches) -> None:
    """Write all rows as CSV with a header; NULL is an empty field."""
    columns, rows = _text_rows(batches)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def write_rows_as_json(batches: Batches) -> None:
    """Write all rows as an array of objects, a line each."""
    columns, rows = _rows(batches, "SELECT * FROM result")
    before = "["
    for row in rows:
        values = dict(zip(columns, map(plain, row), strict=True))
        sys.stdout.write(f"{before}\n{json.dumps(values, ensure_ascii=False)}")
        before = ","
    sys.stdout.write("[]\n" if before == "[" else "\n]\n")


def plain(value: Any) -> Any:
    """Return a value of DuckDB's as JSON has it: decimals, times and non-finite numbers as text,
    bytes in hexadecimal.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes():
            return value.hex()
        case list() | tuple():
            return [plain(each) for each in value]
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
    return str(value)


def _text_rows(batches: Batches) -> tuple[list[str], Iterator[tuple[str | None, ...]]]:
    return _rows(batches, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM result")


def _rows(batches: Batches, query: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    import duckdb

    cursor = duckdb.connect()
    cursor.register("result", batches)
    cursor.execute(query)
    columns = [name for name, *_ in cursor.description or ()]

    def fetched() -> Iterator[tuple[Any, ...]]:
        while some := cursor.fetchmany(_AT_ONCE):
            yield from some

    return columns, fetched()


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "sql", Panel.RUN)
    def sql(
        config: Config,
        query: Annotated[
            str, typer.Argument(help="In Spark's SQL; `-` reads it from standard input.")
        ],
        table: Annotated[
            list[str] | None,
            typer.Option(
                "--table", "-t",
                help="NAME=PATH: a Parquet or CSV file or folder as a table; can be repeated. "
                "CSV (by its ending) has a header. Without: parquet.`path`, csv.`path`.",
            ),
        ] = None,
        as_json: Json = False,
        as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV.")] = False,
    ) -> None:  # fmt: skip
        """Run a query and write its rows."""
        if as_json and as_csv:
            raise typer.BadParameter("--json and --csv exclude each other")
        text = sys.stdin.read() if query == "-" else query
        found = run(rows_of(config, text, table or []))
        if as_json:
            write_rows_as_json(found)
        elif as_csv:
            write_csv(found)
        else:
            write_table(found)
