"""What reports say was asked of AWS is what the emulator counted, and messages are full."""

from __future__ import annotations

from operator import add

import pytest

import aflint
from aflint.cost import Usage
from aflint.limits import KIB, MIB, SQS_BILLED_CHUNK_BYTES
from tests.cloud.clouds import localcloud
from tests.cloud.test_sizes import greedy, noise


def reported(session: aflint.Session) -> Usage:
    return sum((job.usage for job in session.jobs), Usage())


@pytest.mark.parametrize("transport", ["s3", "hybrid", "sqs"])
async def test_requests_are_counted_as_they_are_billed(transport: str) -> None:
    async with localcloud(transport=transport, journal=False) as session:
        before = session.localcloud.snapshot()
        pairs = session.range(400, num_slices=4).map(lambda n: (n % 7, noise(n, 3000)))
        counts = pairs.map_values(len).reduce_by_key(add, 3)
        assert len(await counts.collect()) == 7
        assert await pairs.group_by_key(2).map_values(len).values().reduce(add) == 400
        kept = pairs.persist()
        assert await kept.count() == await kept.count() == 400
        after, usage = session.localcloud.snapshot(), reported(session)
        billed = {name: n - before.sqs_billed.get(name, 0) for name, n in after.sqs_billed.items()}
        assert usage.sqs_requests == sum(billed.values())
        assert usage.s3_put == after.s3_class_a - before.s3_class_a
        assert usage.s3_get == after.s3_class_b - before.s3_class_b
        assert usage.lambda_requests == after.lambda_requests
        billed_s = after.lambda_mb_ms / 1024 / 1000
        assert usage.gb_seconds == pytest.approx(billed_s)


async def test_what_a_journal_asks_is_counted_for_the_session() -> None:
    async with localcloud() as session:
        assert await session.range(40, num_slices=4).map(lambda n: n + 1).sum() == 820
        journal = session._opened().jobs.journal
        await journal.flush()
        counted = session.localcloud.snapshot()
        written = [key for keys in counted.buckets.values() for key in keys if "/journals/" in key]
        assert len(written) >= 2
        assert session._opened().reporter.usage.s3_put >= len(written)
        assert session.cost.s3_put > 0


async def test_what_a_failed_attempt_used_is_counted_too() -> None:
    async with localcloud(memory_mb=256) as session:
        assert await session.parallelize([1], 1).map(greedy).collect() == [384 * MIB + 1]
        (job,) = session.jobs
        assert (job.attempts, job.failed_attempts) == (2, 1)
        counted = session.localcloud.snapshot()
        assert job.usage.lambda_requests == counted.lambda_requests
        assert job.usage.gb_seconds == pytest.approx(counted.lambda_mb_ms / 1024 / 1000)


@pytest.mark.parametrize("limit", [256, 1024])
async def test_messages_are_full(limit: int) -> None:
    async with localcloud(transport="sqs", message_limit_kib=limit) as session:
        pairs = session.range(2400, num_slices=1).map(lambda n: (n % 17, noise(n, 3000)))
        assert await pairs.group_by_key(1).count() == 17
        report = session.last_job
        assert report is not None
        text = report.metrics.shuffle_write_bytes * 4 / 3
        chunks = session.localcloud.snapshot().sqs_billed["SendMessageBatch"]
        assert text / (report.metrics.shuffle_write_frames * limit * KIB) > 0.85
        assert text / (chunks * SQS_BILLED_CHUNK_BYTES) > 0.85
