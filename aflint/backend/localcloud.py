"""The localcloud backend: all of the aws backend against an emulator inside the session."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.backend.aws import assemble
from aflint.backend.base import DEFAULT_REGION, Backend
from aflint.config import Auto, Config
from aflint.deploy.options import DeployOptions
from aflint.deploy.status import Found
from aflint.deploy.up import deploy
from aflint.localcloud import LocalCloud

_EVERYTHING: Final = "s3://*"
"""The emulator is the session's own: its jobs may read and write any bucket that is made in it."""

_SPARE: Final = 2
"""Environments beyond the concurrency: those that are being recycled still count."""


async def open_localcloud(config: Config, session: str, stack: AsyncExitStack) -> Backend:
    """Start an emulator, deploy to it, and use what was deployed.

    As many functions run at once as `concurrency` says, or `workers` where that is not set: each is
    a process of this machine.
    """
    asked = config.origin("concurrency") != "default" and not isinstance(config.concurrency, Auto)
    concurrency = config.concurrency if asked else config.workers
    cloud = await stack.enter_async_context(
        LocalCloud(
            region=config.region or DEFAULT_REGION,
            message_limit_bytes=config.message_limit_kib * 1024,
            concurrency=concurrency + _SPARE,
        )
    )
    credentials = Credentials(*cloud.credentials)
    config = config.replace(endpoint_url=cloud.endpoint_url, region=cloud.region)
    files = [Path(config.requirements)] if config.requirements else []
    options = DeployOptions(
        timeout_s=config.function_timeout_s,
        requirements=files,
        reads=[_EVERYTHING],
        writes=[_EVERYTHING],
    )
    # As for AWS: the bundle, its limits and the policies are what is tried here.
    deployment = await deploy(config, options, credentials=credentials)
    found = Found(
        deployment.region,
        deployment.bucket,
        deployment.functions,
        deployment.secret,
        config.function_timeout_s,
    )
    aws = Aws(cloud.region, cloud.endpoint_url, credentials=credentials)
    stack.push_async_callback(aws.aclose)
    backend = await assemble(config, session, found, aws, concurrency, stack)
    # Its bucket is gone with the session, and what it keeps of the history with it.
    return replace(backend, localcloud=cloud, parallelism=concurrency, history="")
