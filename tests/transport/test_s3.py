from __future__ import annotations

import pytest

from aflint.aws.s3 import S3
from aflint.errors import FetchFailedError
from aflint.testing.transport_checks import TRANSPORT_CHECKS, Check
from aflint.transport.combined_object import split_uri
from aflint.transport.hybrid import HybridTransport
from aflint.transport.s3 import S3Transport
from tests.aws.clouds import BUCKET, running
from tests.transport.cloud_shuffles import read, write


@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
async def test_it_is_a_transport(check: Check) -> None:
    async with running() as (cloud, aws):
        await check(S3Transport(aws, BUCKET, "test"))
        left = cloud.snapshot()
        assert not left.queues
        assert not left.buckets[BUCKET]
        assert not left.uploads


@pytest.mark.parametrize("transport_class", [S3Transport, HybridTransport])
@pytest.mark.parametrize("bit", [0, 17, 31])
async def test_a_flipped_bit_of_a_length_prefix_is_lost_output_of_its_map(
    transport_class: type[S3Transport | HybridTransport], bit: int
) -> None:
    async with running() as (_, aws):
        transport = transport_class(aws, BUCKET, "test")
        handle = await transport.open("job", 4, 1)
        lines = [
            line
            for map in range(2)
            for line in (await write(transport, handle, map, {0: [bytes([map]) * 500_000]}))[0]
        ]
        bucket, key = split_uri(lines[1].object)
        data = bytearray(await S3(aws).get(bucket, key))
        data[bit // 8] ^= 1 << bit % 8
        await S3(aws).put(bucket, key, bytes(data))
        with pytest.raises(FetchFailedError, match="of map partitions 1 are gone or damaged") as no:
            await read(transport, handle, 0, lines)
        assert (no.value.shuffle, no.value.maps) == (4, (1,))
