from __future__ import annotations

import pytest

from aflint.testing.transport_checks import TRANSPORT_CHECKS, Check
from aflint.transport.s3 import S3Transport
from tests.aws.clouds import BUCKET, running


@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
async def test_it_is_a_transport(check: Check) -> None:
    async with running() as (cloud, aws):
        await check(S3Transport(aws, BUCKET, "test"))
        left = cloud.snapshot()
        assert not left.queues
        assert not left.buckets[BUCKET]
        assert not left.uploads
