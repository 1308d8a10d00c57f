"""A cloud on this machine, and what connects to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aflint.aws.client import Aws, Retries
from aflint.aws.credentials import FixedCredentials
from aflint.aws.s3 import S3
from aflint.aws.signing import Credentials
from aflint.localcloud import LocalCloud

BUCKET = "bucket"


def connect(cloud: LocalCloud, **settings: Any) -> Aws:
    """Return a connection to a cloud, by its own credentials."""
    credentials = FixedCredentials(Credentials(*cloud.credentials))
    defaults: dict[str, Any] = {
        "region": cloud.region,
        "endpoint_url": cloud.endpoint_url,
        "credentials": credentials,
        "retries": Retries(base_s=0.001, most_s=0.01),
    }
    return Aws(**(defaults | settings))


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[tuple[LocalCloud, Aws]]:
    """Run a cloud without functions, with one bucket, every signature checked."""
    defaults: dict[str, Any] = {"functions": False, "verify_signatures": True}
    async with LocalCloud(**(defaults | settings)) as cloud:
        aws = connect(cloud)
        try:
            await S3(aws).create_bucket(BUCKET)
            yield cloud, aws
        finally:
            await aws.aclose()
