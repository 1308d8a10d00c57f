"""The history in a deployment's bucket, for commands that read what runs left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

from aflint.cli.command import run
from aflint.config import Config
from aflint.errors import AflintError

if TYPE_CHECKING:
    from aflint.storage.s3 import S3Storage


@asynccontextmanager
async def bucket_history(config: Config) -> AsyncIterator[tuple[S3Storage, str]]:
    """Give storage, and where in it the history of the deployment is that a configuration names."""
    from aflint.deploy.clients import open_clients
    from aflint.deploy.names import history_prefix
    from aflint.deploy.plan import find_names
    from aflint.storage.s3 import S3Storage

    async with open_clients(config) as clients:
        names = await find_names(clients, config)
        yield S3Storage(clients), f"s3://{names.bucket}/{history_prefix(names.prefix)}"


def bring_history(config: Config) -> None:
    """Have what runs on aws left in their bucket in the state folder, too, where `backend` is aws.

    What keeps it from being there is written to standard error: what this machine's runs left is
    shown all the same.
    """
    if config.backend == "aws" and config.history_mb:
        try:
            run(_mirror(config))
        except (AflintError, OSError) as error:
            typer.echo(f"The bucket's runs are not shown: {error}", err=True)


async def _mirror(config: Config) -> None:
    from aflint.observe.bucket import mirror
    from aflint.observe.history import history_folder

    async with bucket_history(config) as (storage, remote):
        await mirror(storage, remote, history_folder(), config.history_mb << 20)


async def follow_bucket(config: Config) -> None:
    """Bring what is new there again and again, until cancelled."""
    from aflint.observe.bucket import follow
    from aflint.observe.history import history_folder

    try:
        async with bucket_history(config) as (storage, remote):
            await follow(storage, remote, history_folder(), config.history_mb << 20)
    except AflintError as error:
        typer.echo(f"The bucket's runs are not shown: {error}", err=True)
