"""`aflint check`: what of a PySpark program works here, before it is run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from aflint.cli.command import Json, write_json
from aflint.cli.panels import Panel
from aflint.errors import ConfigError, InvalidArgumentError


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("check", rich_help_panel=Panel.RUN)
    def check(
        program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A PySpark program.")],
        as_json: Json = False,
    ) -> None:
        """Say which calls of a PySpark program differ on aflint, and which are refused.

        The program is read, not run. The exit status is 1 where anything is refused.
        """
        try:
            source = program.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise InvalidArgumentError(f"{program} cannot be read: {why}") from None
        try:
            from aflint.pyspark import checking
        except ModuleNotFoundError as error:
            raise ConfigError(f"check needs {error.name}: pip install 'aflint[pyspark]'") from None
        found = checking.check(source, str(program))
        counts = Counter(each.verdict for each in found)
        if as_json:
            write_json([asdict(each) for each in found])
        else:
            for each in found:
                if each.verdict != "works":
                    typer.echo(f"{program}:{each.line}: {each.verdict}: {each.what}: {each.why}")
            typer.echo(
                f"{counts['works']} uses of PySpark work, {counts['differs']} differ, "
                f"{counts['refused']} are refused"
            )
        raise typer.Exit(1 if counts["refused"] else 0)
