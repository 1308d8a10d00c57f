"""`aflint version`: what runs here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

from aflint.cli.command import Json, write_json
from aflint.cli.panels import Panel

PACKAGES = ("aflint", "aiobotocore", "cloudpickle", "lz4", "msgpack")
"""Those whose versions decide whether a driver and an executor understand each other."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter; "-" for one not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "-"
    return found


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("version", rich_help_panel=Panel.LOOK)
    def show_version(
        as_json: Json = False,
    ) -> None:
        """Show the versions of aflint, Python and the packages that driver and functions share."""
        found = versions()
        if as_json:
            write_json(found)
            return
        width = max(map(len, found))
        for package, number in found.items():
            typer.echo(f"{package:<{width}}  {number}")
