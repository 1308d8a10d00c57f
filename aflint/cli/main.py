"""Puts the sub-commands together, and turns aflint's errors into one line and an exit status."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from typer.core import TyperGroup

import aflint.cli
from aflint.cli.ascii import write_in_any_encoding
from aflint.cli.panels import Panel
from aflint.errors import AflintError

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C, as shells have it: 128 and the signal's number."""


class Commands(TyperGroup):
    """A command group whose user sees an AflintError as a message, not as a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line."""
        # Before anything is written, `--help` included.
        write_in_any_encoding()
        return super().main(*args, **options)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the sub-commands, those for one purpose together."""
        panels: list[Any] = list(Panel)

        def place(name: str) -> int:
            panel = getattr(self.commands[name], "rich_help_panel", None)
            return panels.index(panel) if panel in panels else len(panels)

        return sorted(super().list_commands(ctx), key=place)

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command; exit with status 1 on an AflintError, and with 130 on Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(INTERRUPTED) from interrupt
        except AflintError as error:
            console = Console(stderr=True, soft_wrap=True, highlight=False)
            console.print("[bold red]error:[/]", end=" ")
            # What a user named may have brackets in it.
            console.print(str(error), markup=False)
            raise typer.Exit(1) from error


def command_modules() -> Iterator[ModuleType]:
    """Yield each module of `aflint.cli` that registers a sub-command, by name."""
    for info in pkgutil.iter_modules(aflint.cli.__path__):
        if info.name == "main":
            continue
        module = importlib.import_module(f"aflint.cli.{info.name}")
        if hasattr(module, "register"):
            yield module


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"aflint {aflint.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True,
                     help="Show aflint's version; `aflint version` shows more."),
    ] = False,
) -> None:  # fmt: skip
    """Take the options that stand before a sub-command."""


def build_app() -> typer.Typer:
    """Return the application with every sub-command.

    Modules are imported each time the command starts, so what is slow to import belongs inside
    the function that needs it.
    """
    app = typer.Typer(
        name="aflint",
        cls=Commands,
        help="PySpark-style analytics on AWS Lambda, with nothing kept running in between.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for module in command_modules():
        module.register(app)
    return app


app = build_app()
