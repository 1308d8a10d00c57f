"""What commands share: the options that say which configuration, and how they write."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from aflint.cli.panels import Panel
from aflint.config import FILE_VARIABLE, PREFIX, Config, Found, parse_text, resolve_config, settings
from aflint.errors import ConfigError

T = TypeVar("T")

WRONG_WORDS = 2
"""The exit status for a command line that cannot be right."""
_FILE_WIDTH = 200


def _which(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=Panel.WHICH)


_File = Annotated[
    Path | None, _which("--file", "-f", help="Configuration file, in place of ./aflint.toml.")
]
_Backend = Annotated[
    str | None, _which("--backend", help="Where tasks run: local, localcloud or aws.")
]
_Settings = Annotated[
    list[str] | None, _which("--set", help="NAME=VALUE: any setting; can be repeated.")
]
_Region = Annotated[str | None, _which("--region", help="AWS region.")]
_Profile = Annotated[str | None, _which("--profile", help="Profile in AWS's own settings.")]
_Endpoint = Annotated[
    str | None, _which("--endpoint-url", help="URL of an emulator of AWS's services.")
]
_Function = Annotated[str | None, _which("--function", help="Beginning of the functions' names.")]
_Bucket = Annotated[str | None, _which("--bucket", help="S3 bucket of the deployment.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]

Command = Callable[..., None]


@dataclass(frozen=True)
class Given:
    """What the options of a command say of the configuration: a file, and settings over it."""

    file: Path | None = None
    settings: Found = field(default_factory=dict)

    def config(self) -> Config:
        """Return the configuration. Raises ConfigError."""
        return resolve_config(self.file, self.settings)

    def environment(self) -> dict[str, str]:
        """Return the variables that give a program the same configuration.

        Raises ConfigError where it cannot be one: the program need not be started.
        """
        self.config()
        found = {PREFIX + name.upper(): _text(value) for name, (value, _) in self.settings.items()}
        return found if self.file is None else {FILE_VARIABLE: str(self.file), **found}


def _text(value: Any) -> str:
    """Write a value as a variable of the environment would have it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def given(
    file: _File = None,
    backend: _Backend = None,
    set: _Settings = None,
    region: _Region = None,
    profile: _Profile = None,
    endpoint_url: _Endpoint = None,
    function: _Function = None,
    bucket: _Bucket = None,
) -> Given:
    """Return what options say. Raises ConfigError for a setting that is unknown or wrong."""
    found: Found = {}
    for each in set or ():
        name, equals, text = each.partition("=")
        if not equals:
            raise ConfigError(f"--set {each}: write it as NAME=VALUE, such as workers=4")
        found[name] = parse_text(name, text, "option --set", settings()), f"option --set {name}"
    named = {
        "backend": backend, "region": region, "profile": profile, "endpoint_url": endpoint_url,
        "function": function, "bucket": bucket,
    }  # fmt: skip
    for name, value in named.items():
        # An option that was not given must not hide what the file or the environment says.
        if value is not None:
            option = f"option --{name.replace('_', '-')}"
            found[name] = parse_text(name, value, option, settings()), option
    return Given(file, found)


def command(
    app: typer.Typer,
    name: str,
    panel: Panel,
    takes: Callable[[Given], Any] = Given.config,
    context_settings: Mapping[str, Any] | None = None,
) -> Callable[[Command], Command]:
    """Return a decorator that adds a sub-command, as `app.command` does.

    What it decorates is called with the configuration first, or what else it `takes` of what was
    given. The options that say which configuration, and what goes over it, stand before its own.
    """

    def add(command: Command) -> Command:
        def with_config(**values: Any) -> None:
            options = {each: values.pop(each) for each in shared}
            try:
                said = given(**options)
            except ConfigError as error:
                typer.echo(f"error: {error}", err=True)
                raise typer.Exit(WRONG_WORDS) from None
            command(takes(said), **values)

        # typer reads options from a signature: this function is given those of `given`, and then
        # those of the command but for its first parameter.
        shared = inspect.signature(given, eval_str=True).parameters
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        # By keyword only: those without a default may stand behind those with one.
        signature = inspect.Signature(
            [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*shared.values(), *own)]
        )
        with_config.__signature__ = signature  # type: ignore[attr-defined]
        with_config.__annotations__ = {
            each.name: each.annotation for each in signature.parameters.values()
        }
        with_config.__doc__ = command.__doc__
        app.command(name, rich_help_panel=panel, context_settings=dict(context_settings or {}))(
            with_config
        )
        return command

    return add


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


def write_json(value: Any) -> None:
    """Write what `--json` asks for."""
    typer.echo(json.dumps(value, indent=2))
