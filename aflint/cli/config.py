"""`aflint config`: the resolved configuration."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from aflint.cli.command import Json, command, console
from aflint.cli.panels import Panel
from aflint.config import Auto, Config, settings


def table_of(config: Config) -> Table:
    """Return every setting with its value and origin; those that are not defaults stand out."""
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name in settings():
        origin = config.origin(name)
        style = "dim" if origin == "default" else "bold"
        # As Text, so that no value is taken for markup.
        cells = (name, as_text(getattr(config, name)), origin)
        table.add_row(*map(Text, cells), style=style)
    return table


def as_text(value: Any) -> str:
    """Write a value as the configuration file would, and None as `none`."""
    return "none" if value is None else json.dumps(_as_written(value))


def _as_written(value: Any) -> Any:
    return str(value) if isinstance(value, Auto) else value


def json_of(config: Config) -> str:
    """Return the settings as a JSON object: name -> {"value", "origin"}."""
    return json.dumps(
        {
            name: {"value": _as_written(getattr(config, name)), "origin": config.origin(name)}
            for name in settings()
        },
        indent=2,
    )


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "config", Panel.LOOK)
    def show_config(config: Config, as_json: Json = False) -> None:
        """Show every setting, its value, and where the value came from."""
        if as_json:
            typer.echo(json_of(config))
        else:
            console().print(table_of(config))
