"""`aflint run`: runs a program that awaits, with the configuration that options say."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from aflint.cli.command import Given, command
from aflint.cli.panels import Panel
from aflint.config import PREFIX

OPTIONS_FIRST = {"allow_interspersed_args": False}
"""What stands behind the program's name is the program's."""


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "run", Panel.RUN, Given.environment, OPTIONS_FIRST)
    def run(
        environment: dict[str, str],
        program: Annotated[str, typer.Argument(metavar="PROGRAM", help="A Python file.")],
        arguments: Annotated[list[str] | None, typer.Argument(help="The program's own.")] = None,
        ui: Annotated[bool, typer.Option("--ui", help="Serve the page of `aflint ui`.")] = False,
    ) -> None:
        """Run a program that awaits, also at its top level; its exit status is the program's."""
        if ui:
            environment[f"{PREFIX}UI"] = "true"
        words = [sys.executable, "-m", "aflint.driver.script", program, *(arguments or ())]
        os.execve(sys.executable, words, {**os.environ, **environment})
