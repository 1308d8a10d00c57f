"""What the commands that talk to AWS share: their options, and how they write."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from aflint.config import Config, load_config

T = TypeVar("T")

_FILE_WIDTH = 200

File = Annotated[
    Path | None, typer.Option("--file", "-f", help="Configuration file, in place of ./aflint.toml.")
]
Region = Annotated[str | None, typer.Option("--region", help="AWS region.")]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile in AWS's own settings.")]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint-url", help="Where AWS's services are emulated.")
]
Function = Annotated[
    str | None, typer.Option("--function", help="What the functions' names begin with.")
]
Bucket = Annotated[str | None, typer.Option("--bucket", help="S3 bucket of the deployment.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def configured(file: Path | None, **options: Any) -> Config:
    """Return the configuration, with those options over it that were given."""
    return load_config(file, **{name: each for name, each in options.items() if each is not None})


def run(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(call)


def console(*, stderr: bool = False) -> Console:
    """Return what the commands write to; what is not a terminal does not cut tables short."""
    out = Console(soft_wrap=True, highlight=False, stderr=stderr)
    if not out.is_terminal:
        out.width = _FILE_WIDTH
    return out
