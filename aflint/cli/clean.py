"""`aflint clean`: removes what killed drivers left."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from aflint.cli.command import Json, command, console, run, write_json
from aflint.cli.panels import Panel
from aflint.config import Config
from aflint.errors import InvalidArgumentError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration_s(text: str) -> float:
    """Return a duration such as `90`, `90s`, `15m`, `6h` or `2d` in seconds.

    Raises InvalidArgumentError.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip().lower())
    if match is None:
        raise InvalidArgumentError(
            f"--older-than {text!r} is not a duration: write 90s, 15m, 6h or 2d; 0 is everything."
        )
    return float(match[1]) * _UNITS[match[2]]


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "clean", Panel.DEPLOY)
    def clean_command(
        config: Config,
        older_than: Annotated[
            str | None,
            typer.Option(
                "--older-than",
                help="In the cloud, remove what is older: 90s, 15m, 6h, 2d, or 0 for everything "
                "that no living driver on this machine uses.",
                show_default="1d; 0 on an emulator here",
            ),
        ] = None,
        cloud: Annotated[
            bool | None,
            typer.Option(
                "--cloud/--no-cloud",
                help="Whether to look at AWS.",
                show_default="where the configuration names a cloud",
            ),
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Show what would be removed.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        """Remove temporary folders, queues and objects of drivers that were killed."""
        # Here and in the other commands: what is slow to import is not imported for `--help`.
        from aflint.deploy.clean import clean

        limit = None if older_than is None else duration_s(older_than)
        out = console(stderr=as_json)
        cleaned = run(
            clean(
                config,
                cloud=cloud,
                older_than_s=limit,
                dry_run=dry_run,
                on_removed=lambda name: out.print(f"removed {name}", markup=False),
            )
        )
        names = [*(str(f.path) for f in cleaned.folders), *(e.label for e in cleaned.leftovers)]
        if as_json:
            write_json({"dry_run": dry_run, "removed": names, "kept": cleaned.kept})
            return
        # Without it, each has been written as it went.
        if dry_run:
            for name in names:
                out.print(f"would remove {name}", markup=False)
        if not names:
            out.print("Nothing to clean.")
        if cleaned.kept:
            out.print(
                f"Kept {cleaned.kept} queues and groups of objects that running jobs may be using "
                "(see --older-than)."
            )
