"""`aflint destroy`: takes down what `aflint deploy` brought up."""

from __future__ import annotations

from typing import Annotated

import typer

from aflint.cli.command import Json, command, console, run, write_json
from aflint.cli.panels import Panel
from aflint.config import Config


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "destroy", Panel.DEPLOY)
    def destroy_command(
        config: Config,
        logs: Annotated[
            bool, typer.Option("--logs", help="Remove the functions' log groups, too.")
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        as_json: Json = False,
    ) -> None:
        """Remove the functions, the role, and the bucket with all that is in it."""
        from aflint.deploy.destroy import destroy, find_remains

        out = console(stderr=as_json)
        remains = run(find_remains(config))
        for name in remains.foreign:
            out.print(f"aflint did not make {name}: it stays.")
        if not remains:
            out.print("Nothing to remove.")
        for line in remains.lines():
            out.print(f"[red]remove[/] {line}")
        removed: list[str] = []

        def on_removed(name: str) -> None:
            removed.append(name)
            out.print(f"removed {name}")

        if remains:
            if not yes:
                typer.confirm("Remove all this?", abort=True, err=as_json)
            run(destroy(config, logs=logs, on_removed=on_removed))
        if as_json:
            write_json({"removed": removed, "foreign": list(remains.foreign)})
