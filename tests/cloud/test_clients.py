"""Jobs whose functions call AWS with aiobotocore, as those behind a proxy have to."""

from __future__ import annotations

import random
import sys
from operator import add

import pytest
from aiobotocore.session import get_session

from aflint.config import Config
from aflint.deploy.options import DeployOptions
from aflint.deploy.up import deploy
from aflint.localcloud import LocalCloud
from tests.cloud.clouds import Deployed


def noise(seed: int) -> bytes:
    """A record that no message of a queue holds."""
    return random.Random(seed).randbytes(500_000)


@pytest.mark.slow  # a bundle of its own, with all of aiobotocore
async def test_whole_jobs_by_functions_that_use_aiobotocore(
    cloud: LocalCloud, config: Config
) -> None:
    async with get_session().create_client("s3") as s3:
        await s3.create_bucket(Bucket="mine")
    config = config.replace(client="aiobotocore")
    options = DeployOptions(reads=["s3://mine/"], writes=["s3://mine/"])
    deployed = Deployed(cloud, config, await deploy(config, options))
    for transport in ("sqs", "s3", "hybrid"):
        async with deployed.connect(transport=transport) as session:
            numbers = session.range(1_000, num_slices=3)
            await numbers.map(str).save_as_text_file(f"s3://mine/{transport}")
            lines = session.text_file(f"s3://mine/{transport}")
            counts = lines.map(lambda line: (int(line) % 3, 1)).reduce_by_key(add, 2)
            assert dict(await counts.collect()) == {0: 334, 1: 333, 2: 333}
            if transport != "sqs":  # where a record has to fit a message
                large = session.parallelize([(n % 2, noise(n)) for n in range(4)], 2)
                groups = dict(await large.group_by_key(2).map_values(sorted).collect())
                assert groups == {n: sorted([noise(n), noise(n + 2)]) for n in (0, 1)}
            loaded = numbers.map(lambda _: "aiobotocore.session" in sys.modules)
            assert set(await loaded.collect()) == {True}
    left = cloud.snapshot()
    assert (dict(left.queues), dict(left.uploads)) == ({}, {})
    assert left.buckets[deployed.deployment.bucket] == ()
