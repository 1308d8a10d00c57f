from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import pytest

from aflint import errors, limits
from aflint.aws.sqs import Sqs
from aflint.localcloud import Faults
from aflint.task import Manifest, MapOutput
from aflint.testing.transport_checks import TRANSPORT_CHECKS, Check
from aflint.transport import create_transport
from aflint.transport.sqs import SqsTransport
from aflint.transport.sqs_reader import RECEIVES
from aflint.wire import pack, unpack
from tests.aws.clouds import running
from tests.localcloud.helpers import eventually, settled
from tests.transport.cloud_shuffles import read, write


@pytest.mark.parametrize("limit", [256 * limits.KIB, limits.MIB])
@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
async def test_it_is_a_transport(check: Check, limit: int) -> None:
    async with running(message_limit_bytes=limit) as (cloud, aws):
        await check(SqsTransport(aws, "test", message_limit_bytes=limit, visibility_s=1))
        left = cloud.snapshot()
        assert not left.queues


def frames_of(count: int, size: int, seed: int = 0) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(size) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_whatever_the_cloud_does(seed: int) -> None:
    faults = Faults(
        seed=seed,
        duplicate=0.2,
        reorder=0.5,
        throttle=0.1,
        drop_response=0.03,
        batch_entry=0.2,
    )
    async with running() as (cloud, aws):
        transport = SqsTransport(aws, "test", visibility_s=1)
        handle = await transport.open("job", 1, 3)
        cloud.set_faults(faults)
        frames = {p: frames_of(25, 3000, seed * 10 + p) for p in range(3)}
        lines, _ = await write(transport, handle, 0, frames)
        for partition, expected in frames.items():
            found, _ = await read(transport, handle, partition, [lines[partition]])
            assert found == set(expected)
        cloud.set_faults(Faults())
        await transport.close(handle)
        assert not cloud.snapshot().queues


@pytest.mark.parametrize("size", [100, 40_000, 190_000])
async def test_requests_are_counted_as_they_are_billed(size: int) -> None:
    async with running() as (cloud, aws):
        transport = SqsTransport(aws, "test")
        handle = await transport.open("job", 1, 2)
        frames = {partition: frames_of(23, size, partition) for partition in range(2)}
        lines, sent = await write(transport, handle, 0, frames)
        read_counts = [(await read(transport, handle, p, [lines[p]]))[1] for p in range(2)]
        await transport.close(handle)
        billed = cloud.snapshot().sqs_billed
        assert sent.sqs_requests == billed["SendMessageBatch"]
        asked = sum(counts.sqs_requests for counts in read_counts)
        received = billed["ReceiveMessage"] + billed["ChangeMessageVisibilityBatch"]
        assert asked <= received <= asked + 2 * RECEIVES
        managed = {"CreateQueue", "DeleteQueue", "GetQueueAttributes"}
        assert transport.counts.sqs_requests == sum(billed[name] for name in managed)


async def test_full_frames_fill_messages_and_small_ones_share_batches() -> None:
    async with running() as (cloud, aws):
        transport = SqsTransport(aws, "test")
        handle = await transport.open("job", 1, 1)
        full = transport.traits.target_frame_bytes
        assert full / 3 * 4 > 0.99 * 256 * limits.KIB
        await write(transport, handle, 0, {0: frames_of(5, full)})
        assert cloud.snapshot().calls["sqs:SendMessageBatch"] == 5
        await write(transport, handle, 1, {0: frames_of(30, 1000)})
        assert cloud.snapshot().calls["sqs:SendMessageBatch"] == 8
        await transport.close(handle)


async def test_what_a_failed_reader_took_is_there_for_the_next() -> None:
    async with running() as (_, aws):
        transport = SqsTransport(aws, "test", visibility_s=40)
        handle = await transport.open("job", 1, 1)
        frames = {0: frames_of(10, 1000)}
        lines, _ = await write(transport, handle, 0, frames)
        first = transport.reader(Manifest(handle, 0, tuple(lines)))
        async with aclosing(cast("AsyncGenerator[bytes, None]", first.frames())) as given:
            await anext(given)
        await first.close()
        async with asyncio.timeout(20):
            found, _ = await read(transport, handle, 0, lines)
        assert found == set(frames[0])
        await transport.close(handle)


async def test_messages_stay_hidden_from_their_own_slow_reader() -> None:
    async with running() as (cloud, aws):
        transport = SqsTransport(aws, "test", visibility_s=1)
        handle = await transport.open("job", 1, 1)
        lines, _ = await write(transport, handle, 0, {0: frames_of(10, 1000)})
        reader = transport.reader(Manifest(handle, 0, tuple(lines)))
        async with aclosing(cast("AsyncGenerator[bytes, None]", reader.frames())) as given:
            await anext(given)
            renewed = "sqs:ChangeMessageVisibilityBatch"
            await eventually(lambda: renewed in cloud.snapshot().calls)
            [queue] = cloud.snapshot().queues.values()
            assert (queue.visible, queue.in_flight) == (0, 10)
        await reader.close()
        await transport.close(handle)


async def test_strangers_messages_are_passed_on_as_they_are() -> None:
    async with running() as (_, aws):
        transport = SqsTransport(aws, "test")
        handle = await transport.open("job", 1, 1)
        await aws.sqs().send(f"{handle.address[0]}0", [b"not base64!"])
        lines, _ = await write(transport, handle, 0, {0: [b"frame"]})
        reader = transport.reader(Manifest(handle, 0, tuple(lines)))
        async with aclosing(cast("AsyncGenerator[bytes, None]", reader.frames())) as given:
            # Both are given: what is no frame is counted, where frames are decoded.
            assert {await anext(given), await anext(given)} == {b"frame", b"not base64!"}
        await reader.close()
        await transport.close(handle)


async def test_a_queue_that_someone_deleted() -> None:
    async with running() as (_, aws):
        transport = SqsTransport(aws, "test")
        handle = await transport.open("job", 1, 1)
        await aws.sqs().delete_queue(f"{handle.address[0]}0")
        writer = transport.writer(handle, 0, 0, 0)
        await writer.write(0, b"frame")
        with pytest.raises(errors.QueueDeletedError, match=r"test-job-1-.*It was deleted"):
            await writer.finish()
        await writer.abort()
        lines = [MapOutput(0, 0, 0, 1, 5)]
        with pytest.raises(errors.QueueDeletedError):
            await read(transport, handle, 0, lines)
        await transport.close(handle)


async def test_a_failed_opening_leaves_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as (cloud, aws):
        original = Sqs.create_queue

        async def create(self: Sqs, name: str, *arguments: Any) -> str:
            if name.endswith("-7"):
                cloud.deny(["sqs:CreateQueue"])
            return await original(self, name, *arguments)

        monkeypatch.setattr(Sqs, "create_queue", create)
        with pytest.raises(errors.AccessDeniedError, match="sqs:CreateQueue"):
            await SqsTransport(aws, "test").open("job", 1, 20)
        assert not cloud.snapshot().queues


async def test_a_cancelled_opening_leaves_no_queue() -> None:
    async with running() as (cloud, aws):
        opening = asyncio.ensure_future(SqsTransport(aws, "test").open("job", 1, 200))
        await settled(lambda: len(cloud.snapshot().queues) >= 20)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert not cloud.snapshot().queues


async def test_queues_that_take_less_than_configured() -> None:
    async with running(message_limit_bytes=64 * limits.KIB) as (cloud, aws):
        with pytest.raises(errors.ConfigError, match=r"message_limit_kib.*set it to 64"):
            await SqsTransport(aws, "test").open("job", 1, 2)
        assert not cloud.snapshot().queues


async def test_names_fit_and_differ() -> None:
    async with running() as (cloud, aws):
        transport = SqsTransport(aws, "p" * 32)
        first = await transport.open("a job with ü and " + "x" * 100, 99999, 1)
        second = await transport.open("a job with ü and " + "x" * 100, 99999, 1)
        assert len(cloud.snapshot().queues) == 2
        assert all(len(name) <= 80 for name in cloud.snapshot().queues)
        await transport.close(first)
        await transport.close(second)


async def test_another_process_makes_it_of_its_config(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as (cloud, aws):
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        transport = SqsTransport(aws, "test")
        other = create_transport(unpack(pack(transport.config)))
        handle = await transport.open("job", 1, 1)
        lines, _ = await write(other, handle, 0, {0: [b"frame"]})
        found, _ = await read(other, handle, 0, lines)
        assert found == {b"frame"}
        assert other.traits == transport.traits
        await transport.close(handle)
        await other.aclose()
