from __future__ import annotations

import pytest

from aflint import limits
from aflint.testing.transport_checks import TRANSPORT_CHECKS, Check
from aflint.transport.hybrid import HybridTransport
from tests.aws.clouds import BUCKET, running


@pytest.mark.parametrize("limit", [256 * limits.KIB, limits.MIB])
@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
async def test_it_is_a_transport(check: Check, limit: int) -> None:
    async with running(message_limit_bytes=limit) as (cloud, aws):
        await check(HybridTransport(aws, BUCKET, "test", message_limit_bytes=limit, visibility_s=1))
        left = cloud.snapshot()
        assert not left.queues
        assert not left.buckets[BUCKET]
        assert not left.uploads
