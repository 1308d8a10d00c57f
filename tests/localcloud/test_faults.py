"""Faults of queues and objects, one by one; those of functions are with the invocations."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError

from aflint.errors import InvalidArgumentError
from aflint.localcloud import Faults, LocalCloud, ManualClock

CUT = (ClientPayloadError, ResponseStreamingError)


async def read(s3: Any, key: str) -> bytes:
    answer = await s3.get_object(Bucket="bucket", Key=key)
    async with answer["Body"] as stream:
        body: bytes = await stream.read()
    return body


async def test_poison_comes_beside_what_was_sent(sqs: Any, cloud: LocalCloud) -> None:
    url = (await sqs.create_queue(QueueName="q"))["QueueUrl"]
    cloud.set_faults(Faults(poison=1.0))
    sent = base64.b64encode(b"a frame of some length").decode()
    for _ in range(20):
        await sqs.send_message(QueueUrl=url, MessageBody=sent)
    cloud.set_faults(Faults())
    got = [
        message["Body"]
        for _ in range(4)
        for message in (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))["Messages"]
    ]
    assert len(got) == 40
    assert got.count(sent) == 20
    others = [body for body in got if body != sent]
    assert any(body.startswith("hello") for body in others)
    assert any(sum(a != b for a, b in zip(body, sent, strict=False)) == 1 for body in others)


async def test_a_lost_receive_hides_its_messages(
    sqs: Any, cloud: LocalCloud, clock: ManualClock
) -> None:
    url = (await sqs.create_queue(QueueName="q"))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    cloud.set_faults(Faults(hidden=1.0))
    with pytest.raises(ConnectionClosedError):
        await sqs.receive_message(QueueUrl=url, VisibilityTimeout=30)
    assert "Messages" not in await sqs.receive_message(QueueUrl=url)
    assert cloud.snapshot().queues["q"].in_flight == 1
    cloud.set_faults(Faults())
    clock.advance(31)
    (found,) = (await sqs.receive_message(QueueUrl=url))["Messages"]
    assert found["Body"] == "x"


async def test_a_read_that_is_cut_says_how_long_it_should_have_been(
    s3: Any, cloud: LocalCloud
) -> None:
    await s3.create_bucket(Bucket="bucket")
    await s3.put_object(Bucket="bucket", Key="k", Body=bytes(100_000))
    cloud.set_faults(Faults(truncated_read=1.0))
    answer = await s3.get_object(Bucket="bucket", Key="k")
    assert answer["ContentLength"] == 100_000
    async with answer["Body"] as stream:
        with pytest.raises(CUT):
            await stream.read()
    cloud.set_faults(Faults())
    assert await read(s3, "k") == bytes(100_000)


async def test_so_many_objects_of_a_folder_are_lost_and_no_more(s3: Any, cloud: LocalCloud) -> None:
    await s3.create_bucket(Bucket="bucket")
    keys = [f"a/shuffles/{shuffle}/{part}" for shuffle in "12" for part in range(5)]
    for key in (*keys, "a/input"):
        await s3.put_object(Bucket="bucket", Key=key, Body=b"x")
    cloud.set_faults(Faults(lost_object=1.0, most_lost_objects=2))
    for _ in range(2):
        for key in (*keys, "a/input"):
            with contextlib.suppress(s3.exceptions.NoSuchKey):
                await read(s3, key)
    left = cloud.snapshot().buckets["bucket"]
    assert [sum(f"/{shuffle}/" in key for key in left) for shuffle in "12"] == [3, 3]
    assert "a/input" in left


async def test_what_was_read_once_is_kept(s3: Any, cloud: LocalCloud) -> None:
    await s3.create_bucket(Bucket="bucket")
    await s3.put_object(Bucket="bucket", Key="a/shuffles/1", Body=b"x")
    cloud.set_faults(Faults(lost_object=1e-9))
    await read(s3, "a/shuffles/1")
    cloud.set_faults(Faults(lost_object=1.0))
    await read(s3, "a/shuffles/1")
    await s3.put_object(Bucket="bucket", Key="a/shuffles/1", Body=b"y")
    with pytest.raises(ClientError, match="NoSuchKey"):
        await read(s3, "a/shuffles/1")


def test_faults_with_text_and_whole_numbers_are_read() -> None:
    read = Faults.parse("lost_object=0.1,lost_object_keys=/x/,most_lost_objects=3")
    assert read == Faults(lost_object=0.1, lost_object_keys="/x/", most_lost_objects=3)
    with pytest.raises(InvalidArgumentError, match="straggler_seconds"):
        Faults(straggler_seconds=-1.0)
