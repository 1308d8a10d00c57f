"""`aflint submit`: runs a PySpark program on aflint, as spark-submit runs it on Spark."""

from __future__ import annotations

import os
import sys

import typer

from aflint.cli.panels import Panel

_AS_THEY_ARE = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command(
        "submit",
        context_settings=_AS_THEY_ARE,
        add_help_option=False,
        rich_help_panel=Panel.RUN,
    )
    def submit(context: typer.Context) -> None:
        """Run a PySpark program, unchanged, on aflint; options are those of spark-submit."""
        command = [sys.executable, "-m", "aflint.pyspark", *context.args]
        # In place of this process, so that signals and the exit status are the program's. The seed
        # has to be set before Python starts: keys hash in the driver as they do in tasks.
        os.execve(sys.executable, command, {"PYTHONHASHSEED": "0", **os.environ})
