"""What the commands that talk to AWS share: their options, and how they write."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from aflint.cli.panels import Panel
from aflint.config import Config, load_config

T = TypeVar("T")

_FILE_WIDTH = 200


def _which(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=Panel.WHICH)


File = Annotated[
    Path | None, _which("--file", "-f", help="Configuration file, in place of ./aflint.toml.")
]
Region = Annotated[str | None, _which("--region", help="AWS region.")]
Profile = Annotated[str | None, _which("--profile", help="Profile in AWS's own settings.")]
Endpoint = Annotated[
    str | None, _which("--endpoint-url", help="URL of an emulator of AWS's services.")
]
Function = Annotated[str | None, _which("--function", help="Beginning of the functions' names.")]
Bucket = Annotated[str | None, _which("--bucket", help="S3 bucket of the deployment.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]

Command = Callable[..., None]


def cloud_command(app: typer.Typer, name: str, panel: Panel) -> Callable[[Command], Command]:
    """Return a decorator that adds a sub-command, as `app.command` does.

    What it decorates is called with the configuration first. The options that say which one, and
    what goes over it, stand before the command's own.
    """

    def add(command: Command) -> Command:
        def with_config(**given: Any) -> None:
            options = {each: given.pop(each) for each in shared}
            command(configured(**options), **given)

        # typer reads options from a signature: this function is given those of `configured`, and
        # then those of the command but for its first parameter, the configuration.
        shared = inspect.signature(configured, eval_str=True).parameters
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        signature = inspect.Signature([*shared.values(), *own])
        with_config.__signature__ = signature  # type: ignore[attr-defined]
        with_config.__annotations__ = {
            each.name: each.annotation for each in signature.parameters.values()
        }
        with_config.__doc__ = command.__doc__
        app.command(name, rich_help_panel=panel)(with_config)
        return command

    return add


def configured(
    file: File = None,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    function: Function = None,
    bucket: Bucket = None,
) -> Config:
    """Return the configuration, with those options over it that were given."""
    options = {
        "region": region, "profile": profile, "endpoint_url": endpoint_url, "function": function,
        "bucket": bucket,
    }  # fmt: skip
    # An option that was not given must not hide what the file or the environment says.
    return load_config(file, **{name: each for name, each in options.items() if each is not None})


def run(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(call)


def console(*, stderr: bool = False) -> Console:
    """Return what the commands write to; what is not a terminal does not cut tables short."""
    out = Console(soft_wrap=True, highlight=False, stderr=stderr)
    # rich takes a file for a terminal of 80 columns.
    if not out.is_terminal:
        out.width = _FILE_WIDTH
    return out
