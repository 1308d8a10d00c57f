"""`aflint explain`: what a program will cost and take, by running it over a sample of its input."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from aflint.cli.command import Given, Json, command, write_json
from aflint.cli.panels import Panel
from aflint.cli.run import OPTIONS_FIRST
from aflint.errors import ConfigError, InvalidArgumentError


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "explain", Panel.RUN, Given.environment, OPTIONS_FIRST)
    def explain(
        environment: dict[str, str],
        program: Annotated[str, typer.Argument(metavar="PROGRAM", help="A Python file.")],
        arguments: Annotated[list[str] | None, typer.Argument(help="The program's own.")] = None,
        pyspark: Annotated[
            bool | None,
            typer.Option("--pyspark/--native", show_default="by what it imports",
                         help="Whether it is a PySpark program."),
        ] = None,
        as_json: Json = False,
    ) -> None:  # fmt: skip
        """Say what a program will cost and take, and what would be better, before it runs.

        It runs over one split of each input, billed as such; what it prints goes to standard
        error, and what it saves is removed again. Its next run tells this beside the bill.
        """
        from aflint.cost.prediction import Prediction
        from aflint.driver.explaining import EXPLAIN_VARIABLE, read
        from aflint.driver.foreseen import Foreseen, keep
        from aflint.observe.history import predictions_folder

        spark = _imports_pyspark(program) if pyspark is None else pyspark
        module = "aflint.pyspark" if spark else "aflint.driver.script"
        words = [sys.executable, "-m", module, program, *(arguments or ())]
        with tempfile.TemporaryDirectory(prefix="aflint-explain-") as folder:
            target = Path(folder) / "jobs"
            target.touch()
            variables = {**os.environ, **environment, EXPLAIN_VARIABLE: str(target)}
            # Only what is predicted belongs on standard output.
            status = subprocess.run(words, env=variables, stdout=sys.__stderr__).returncode
            found = Prediction(tuple(read(target)))
        if found.jobs and not status:
            with suppress(ConfigError):  # without a home, nothing is kept
                keep(predictions_folder(), program, arguments or (), map(Foreseen.of, found.jobs))
        if not found.jobs and not status:
            raise InvalidArgumentError(
                f"{program} ended without an action, so there is nothing to predict"
            )
        if as_json:
            write_json({**found.as_dict(), "status": status})
        elif found.jobs:
            typer.echo(str(found))
        if status:
            if found.jobs:
                typer.echo(f"{program} failed: what it would have run then is not in it", err=True)
            raise typer.Exit(status if status > 0 else 128 - status)


def _imports_pyspark(program: str) -> bool:
    try:
        tree = ast.parse(Path(program).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False  # running it says what is wrong
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [each.name for each in names]
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case _:
                continue
        if any(module.partition(".")[0] == "pyspark" for module in modules):
            return True
    return False
