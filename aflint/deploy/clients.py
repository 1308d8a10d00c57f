"""The clients that deploying uses: those of the driver, for a configuration."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.config import Config
from aflint.errors import ConfigError


@asynccontextmanager
async def open_clients(
    config: Config, credentials: Credentials | None = None
) -> AsyncIterator[Aws]:
    """Give the clients for a configuration, whose region is known, and close them at the end.

    `credentials` go before those that AWS's settings name.

    Raises:
        ConfigError: no region is known, or the profile is not there; or the backend is localcloud
            and no endpoint is given.
    """
    if config.backend == "localcloud" and not (
        config.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    ):
        raise ConfigError(
            f'{config.origin("backend")}: backend = "localcloud" is an emulator inside each '
            "session, with nothing to deploy to. For one that lasts, start `aflint localcloud` and "
            "set the variables that it prints."
        )
    clients = Aws(config.region, config.endpoint_url, config.profile, credentials)
    try:
        await clients.find_region()
        yield clients
    finally:
        await clients.aclose()
