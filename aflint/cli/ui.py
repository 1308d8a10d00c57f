"""`aflint ui`: the page of this user's runs."""

from __future__ import annotations

from typing import Annotated

import typer

from aflint.cli.panels import Panel


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("ui", rich_help_panel=Panel.SEE)
    def ui(
        port: Annotated[
            int | None,
            typer.Option(
                "--port", min=0, max=65535, help="Port on this machine; 0: any that is free.",
                show_default="4040, or the next one that is free",
            ),
        ] = None,
    ) -> None:  # fmt: skip
        """Show running and past jobs in a browser on this machine, until Ctrl-C."""
        from aflint.observe.opening import new_page

        server = new_page(port)
        typer.echo(f"{server.url}\nCtrl-C ends it.")
        server.serve()
