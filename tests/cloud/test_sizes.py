"""What is too large: for a message, a request, a response, a function's memory, its disk."""

from __future__ import annotations

from operator import add
from typing import Any

import pytest
from aiobotocore.session import get_session

import aflint
from aflint.codec.secret import SECRET_VARIABLE
from aflint.config import Config
from aflint.deploy.options import DeployOptions
from aflint.deploy.up import deploy
from aflint.errors import RecordTooLargeError
from aflint.executor.handler import TMP_VARIABLE
from aflint.limits import MIB
from aflint.localcloud import LocalCloud
from tests.cloud.clouds import Deployed, Ended, assert_nothing_left, localcloud

LARGE = 700_000
"""Bytes of a record, more than a message of either size can carry as text when not compressible."""


def noise(seed: int, size: int = LARGE) -> bytes:
    """Return bytes that no codec makes smaller."""
    import random

    return random.Random(seed).randbytes(size)


def noisy(n: int) -> tuple[int, bytes]:
    return n % 3, noise(n)


def length(pair: tuple[int, Any]) -> tuple[int, int]:
    return pair[0], sum(map(len, pair[1]))


@pytest.mark.parametrize("transport", ["s3", "hybrid"])
async def test_records_larger_than_a_message(transport: str) -> None:
    async with localcloud(transport=transport) as session:
        sizes = session.range(9, num_slices=3).map(noisy).group_by_key(2).map(length)
        assert sorted(await sizes.collect()) == [(0, 3 * LARGE), (1, 3 * LARGE), (2, 3 * LARGE)]


async def test_a_record_larger_than_a_message_where_there_are_only_queues() -> None:
    async with localcloud(transport="sqs") as session:
        with pytest.raises(RecordTooLargeError, match="hybrid") as caught:
            await session.range(3, num_slices=1).map(noisy).group_by_key(2).collect()
        print(caught.value)


async def test_functions_data_results_and_variables_over_six_megabytes(deployed: Deployed) -> None:
    captured = noise(1, 7 * MIB)
    async with deployed.connect() as session:
        shared = session.broadcast({1: noise(2, 7 * MIB)})
        seen = session.accumulator(0)

        def look(n: int) -> tuple[int, int, bytes]:
            seen.add(1)
            return len(captured), len(shared.value[1]), noise(n, 7 * MIB)

        results = await session.range(2, num_slices=2).map(look).collect()
        assert results == [(7 * MIB, 7 * MIB, noise(n, 7 * MIB)) for n in range(2)]
        assert seen.value == 2
        given = session.parallelize([noise(3, 7 * MIB), b""], 2)
        assert await given.map(len).collect() == [7 * MIB, 0]
    deployed.assert_empty()


async def test_kept_partitions_and_saved_text(cloud: LocalCloud, config: Config) -> None:
    async with get_session().create_client("s3") as s3:
        await s3.create_bucket(Bucket="mine")
    options = DeployOptions(reads=["s3://mine/"], writes=["s3://mine/"])
    deployed = Deployed(cloud, config, await deploy(config, options))
    async with deployed.connect() as session:
        kept = session.range(1000, num_slices=3).map(str).cache()
        assert await kept.count() == 1000
        assert await kept.map(len).reduce(add) == sum(len(str(n)) for n in range(1000))
        await kept.save_as_text_file("s3://mine/out")
        keys = deployed.cloud.snapshot().buckets["mine"]
        assert [key.split("/")[1][:5] for key in keys] == ["_SUCC", "part-", "part-", "part-"]
        assert sorted(map(int, await session.text_file("s3://mine/out").collect())) == list(
            range(1000)
        )
    left = deployed.cloud.snapshot()
    assert left.buckets[deployed.deployment.bucket] == ()
    assert len(left.buckets["mine"]) == 4


def greedy(n: int) -> int:
    """Hold more memory than the smallest function has."""
    return len(bytearray(b"x") * (384 * MIB)) + n


async def test_a_task_that_is_killed_for_its_memory_gets_more() -> None:
    async with localcloud(memory_mb=256) as session:
        ended = Ended(session)
        assert await session.parallelize([1], 1).map(greedy).collect() == [384 * MIB + 1]
        (error,) = [event.error for event in ended.events if event.error]
        assert "of 256 MB" in error
        assert session.localcloud.snapshot().lambda_kills


async def test_what_tmp_cannot_hold_goes_to_storage(cloud: LocalCloud, config: Config) -> None:
    config = config.replace(memory_mb=160, transport="sqs")
    deployment = await deploy(config, DeployOptions(sizes=1))
    async with get_session().create_client("lambda") as functions:
        await functions.update_function_configuration(
            FunctionName=deployment.functions[160],
            Environment={
                "Variables": {
                    "PYTHONHASHSEED": "0",
                    TMP_VARIABLE: "1",
                    SECRET_VARIABLE: deployment.secret.to_text(),
                }
            },
        )
    async with aflint.connect(config) as session:
        values = session.range(5000, num_slices=4).map(lambda n: (n % 11, noise(n, 10_000)))
        in_order = values.sort_by_key(num_partitions=1).map(lambda pair: len(pair[1]))
        assert await in_order.reduce(add) == 5000 * 10_000
        report = session.last_job
        assert report is not None
        assert report.failed_attempts == 0
        assert report.metrics.spilled_bytes > 8 * MIB
        assert cloud.snapshot().calls["s3:PutObject"] > 1
    assert_nothing_left(cloud.snapshot())
