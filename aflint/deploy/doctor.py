"""Looks for what keeps jobs from running, and says of each thing what to do."""

from __future__ import annotations

import asyncio

from aflint.config import Config
from aflint.deploy.check_cloud import check_cloud
from aflint.deploy.check_here import check_here
from aflint.deploy.checks import Finding


async def examine(config: Config) -> list[Finding]:
    """Return a line for each thing that was looked at, on this machine and on AWS.

    Nothing is changed, and no error of AWS is raised: each is a line.
    """
    here, cloud = await asyncio.to_thread(check_here, config), await check_cloud(config)
    return [*here, *cloud]
