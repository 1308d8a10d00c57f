"""`aflint status`: what is deployed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from aflint.cli.command import Json, command, console, run, write_json
from aflint.cli.panels import Panel
from aflint.config import Config

if TYPE_CHECKING:
    from aflint.deploy.leftovers import Leftover
    from aflint.deploy.status import Status


def functions_table(status: Status) -> Table:
    """Return the functions, a row each."""
    from aflint.deploy.status import function_dict

    columns = {
        "function": "name", "state": "state", "MB": "memory_mb", "timeout": "timeout_s",
        "python": "python", "aflint": "aflint", "arch": "architecture",
        "reserved": "reserved_concurrency", "bytes": "code_size", "sha256": "code_sha256",
    }  # fmt: skip
    table = Table(*columns, box=None, pad_edge=False)
    for each in status.functions:
        shown = function_dict(each)
        # By the names of the JSON, so that both say the same.
        cells = ("-" if shown[key] is None else str(shown[key]) for key in columns.values())
        table.add_row(*map(Text, cells))
    return table


def leftovers_table(leftovers: tuple[Leftover, ...], now: float) -> Table:
    """Return what jobs have in the cloud, a row each."""
    table = Table("kind", "name", "age", "count", "bytes", box=None, pad_edge=False)
    for each in leftovers:
        age = f"{max(0.0, now - each.since) / 3600:.1f} h"
        table.add_row(each.kind, Text(each.label), age, str(each.count), str(each.size))
    return table


def bucket_line(status: Status) -> str:
    """Return the bucket in a line."""
    bucket = status.bucket
    if bucket is None:
        return f"{status.bucket_name} is not there"
    words = [
        "encrypted" if bucket.encrypted else "not encrypted",
        "closed to the public" if bucket.closed else "public access not blocked",
        f"expires after {bucket.expire_days} days" if bucket.expire_days else "expires nothing",
    ]
    return f"{bucket.name} ({', '.join(words)})"


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "status", Panel.LOOK)
    def status_command(
        config: Config,
        as_json: Json = False,
    ) -> None:
        """Show what is deployed, and what jobs have in the cloud now."""
        from aflint.deploy.status import read_status

        status = run(read_status(config))
        if as_json:
            write_json(status.as_dict())
            return
        out = console()
        out.print(f"account  {status.account}, {status.region}")
        out.print(f"bucket   {bucket_line(status)}")
        out.print(
            f"role     {status.role.arn if status.role else status.role_name + ' is not there'}"
        )
        if status.functions:
            out.print(functions_table(status))
        else:
            out.print(f"No function {config.function}-* is there: run aflint deploy.")
        if status.leftovers:
            out.print("In use by jobs, or left by killed ones (aflint clean):")
            out.print(leftovers_table(status.leftovers, time.time()))
