from __future__ import annotations

import random

import pytest

from aflint import errors, limits
from aflint.testing.transport_checks import TRANSPORT_CHECKS, Check
from aflint.transport.combined_object import split_uri
from aflint.transport.hybrid import HybridTransport, choose_for_object, range_break_even
from tests.aws.clouds import BUCKET, running
from tests.transport.cloud_shuffles import read, write


@pytest.mark.parametrize("limit", [256 * limits.KIB, limits.MIB])
@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
async def test_it_is_a_transport(check: Check, limit: int) -> None:
    async with running(message_limit_bytes=limit) as (cloud, aws):
        await check(HybridTransport(aws, BUCKET, "test", message_limit_bytes=limit, visibility_s=1))
        left = cloud.snapshot()
        assert not left.queues
        assert not left.buckets[BUCKET]
        assert not left.uploads


def frames_of(count: int, size: int, seed: int = 0) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(size) for _ in range(count)]


async def test_blocks_go_where_they_are_cheaper() -> None:
    async with running() as (cloud, aws):
        transport = HybridTransport(aws, BUCKET, "test")
        handle = await transport.open("job", 1, 6)
        frames = {p: frames_of(3, 1000, p) for p in range(3)}
        frames |= {p: frames_of(3, 150_000, p) for p in range(3, 6)}
        lines, counts = await write(transport, handle, 0, frames)
        assert [bool(line.extents) for line in lines] == [False] * 3 + [True] * 3
        assert (counts.s3_puts, counts.sqs_requests) == (1, 3)
        for partition, expected in frames.items():
            found, read_counts = await read(transport, handle, partition, [lines[partition]])
            assert found == set(expected)
            assert (read_counts.s3_gets == 0) == (partition < 3)
            assert (read_counts.sqs_requests == 0) == (partition >= 3)
        await transport.close(handle)
        assert not cloud.snapshot().queues
        assert not cloud.snapshot().buckets[BUCKET]


async def test_blocks_past_the_buffer_are_placed_while_writing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aflint.transport.hybrid.BUFFER_BYTES", 12 * limits.MIB)
    monkeypatch.setattr("aflint.transport.hybrid.PART_BYTES", 6 * limits.MIB)
    async with running() as (cloud, aws):
        transport = HybridTransport(aws, BUCKET, "test")
        handle = await transport.open("job", 1, 4)
        frames = {p: frames_of(60, 150_000, p) for p in range(3)}
        frames[0] += frames_of(5, 20, 9)
        frames[3] = frames_of(5, 1000, 3)
        lines, counts = await write(transport, handle, 0, frames)
        assert counts.s3_puts > 3
        assert not cloud.snapshot().uploads
        for partition, expected in frames.items():
            found, _ = await read(transport, handle, partition, [lines[partition]])
            assert found == set(expected)
        await transport.close(handle)


async def test_many_small_blocks_past_the_buffer_go_to_queues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aflint.transport.hybrid.BUFFER_BYTES", 100_000)
    async with running() as (_, aws):
        transport = HybridTransport(aws, BUCKET, "test")
        handle = await transport.open("job", 1, 20)
        frames = {p: frames_of(2, 10_000, p) for p in range(20)}
        lines, counts = await write(transport, handle, 0, frames)
        assert counts.s3_puts == 0
        found, _ = await read(transport, handle, 7, [lines[7]])
        assert found == set(frames[7])
        await transport.close(handle)


async def test_what_no_queue_can_carry_goes_to_the_object() -> None:
    async with running(message_limit_bytes=64 * limits.KIB) as (_, aws):
        transport = HybridTransport(aws, BUCKET, "test")
        handle = await transport.open("job", 1, 2)
        frames = {0: frames_of(1, 60_000), 1: frames_of(1, 100)}
        lines, _ = await write(transport, handle, 0, frames)
        assert [bool(line.extents) for line in lines] == [True, False]
        for partition, expected in frames.items():
            found, _ = await read(transport, handle, partition, [lines[partition]])
            assert found == set(expected)
        await transport.close(handle)


async def test_a_lost_object_names_its_maps() -> None:
    async with running() as (_, aws):
        transport = HybridTransport(aws, BUCKET, "test")
        handle = await transport.open("job", 7, 1)
        lines = []
        for number in range(3):
            line, _ = await write(transport, handle, number, {0: frames_of(9, 150_000, number)})
            lines += line
        bucket, key = split_uri(lines[1].object)
        await aws.s3().delete(bucket, key)
        with pytest.raises(errors.FetchFailedError) as raised:
            await read(transport, handle, 0, lines)
        assert (raised.value.shuffle, raised.value.maps) == (7, (1,))
        await transport.close(handle)


async def test_an_abort_leaves_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aflint.transport.hybrid.BUFFER_BYTES", 12 * limits.MIB)
    monkeypatch.setattr("aflint.transport.hybrid.PART_BYTES", 6 * limits.MIB)
    async with running() as (cloud, aws):
        transport = HybridTransport(aws, BUCKET, "test")
        handle = await transport.open("job", 1, 1)
        writer = transport.writer(handle, 0, 0, 0)
        for frame in frames_of(180, 150_000):
            await writer.write(0, frame)
        await writer.abort()
        assert not cloud.snapshot().uploads
        await transport.close(handle)
        assert not cloud.snapshot().buckets[BUCKET]
        await transport.close(handle)


def test_placement() -> None:
    edge = range_break_even()
    assert 20_000 < edge < 30_000
    small = dict.fromkeys(range(10000), edge - 1)
    assert not choose_for_object(small, (), object_exists=False)
    assert not choose_for_object(small, (), object_exists=True)
    assert not choose_for_object({0: 200_000}, (), object_exists=False)
    assert choose_for_object({0: 500_000}, (), object_exists=False) == {0}
    assert choose_for_object({0: 200_000, 1: 200_000}, (), object_exists=False) == {0, 1}
    assert choose_for_object({0: 30_000, 1: 10}, (), object_exists=True) == {0}
    assert choose_for_object({0: 30_000, 1: 10}, {1}, object_exists=False) == {0, 1}
