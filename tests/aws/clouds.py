"""A cloud on this machine, and what connects to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aflint.aws.bare.aws import BareAws
from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.localcloud import LocalCloud

BUCKET = "bucket"


def connect(cloud: LocalCloud, **settings: Any) -> Aws:
    """Return a connection to a cloud, by its own credentials."""
    defaults: dict[str, Any] = {
        "region": cloud.region,
        "endpoint_url": cloud.endpoint_url,
        "credentials": Credentials(*cloud.credentials),
    }
    return Aws(**(defaults | settings))


async def make_bucket(aws: Aws, bucket: str = BUCKET) -> None:
    """Make a bucket; one's own of that name is no error."""
    await aws.call("s3", "CreateBucket", f"bucket {bucket}", Bucket=bucket)


@asynccontextmanager
async def as_tasks_do(aws: Aws, credentials: Credentials) -> AsyncIterator[BareAws]:
    """Give the clients of a task whose driver has `aws`."""
    bare = BareAws(await aws.resolve(), credentials)
    try:
        yield bare
    finally:
        await bare.aclose()


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[tuple[LocalCloud, Aws]]:
    """Run a cloud without functions, with one bucket, every signature checked."""
    defaults: dict[str, Any] = {"functions": False, "verify_signatures": True}
    async with LocalCloud(**(defaults | settings)) as cloud:
        aws = connect(cloud)
        try:
            await make_bucket(aws)
            yield cloud, aws
        finally:
            await aws.aclose()
