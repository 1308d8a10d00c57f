from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aflint.localcloud import Faults, LocalCloud, ManualClock
from tests.localcloud.helpers import settled

# aiohttp's client warns at bodies of more than 1 MiB, which a full batch in JSON is.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


async def new_queue(sqs: Any, name: str = "queue", **attributes: str) -> str:
    url: str = (await sqs.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]
    return url


def entries(*texts: str) -> list[dict[str, str]]:
    return [{"Id": str(n), "MessageBody": text} for n, text in enumerate(texts)]


async def test_a_message_goes_through_with_digests_and_attributes(sqs: Any) -> None:
    url = await new_queue(sqs)
    sent = await sqs.send_message(
        QueueUrl=url,
        MessageBody="hé",
        MessageAttributes={"a.b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}},
    )
    assert sent["MD5OfMessageBody"] == hashlib.md5("hé".encode()).hexdigest()
    (got,) = (
        await sqs.receive_message(
            QueueUrl=url, MessageAttributeNames=["a.*"], MessageSystemAttributeNames=["All"]
        )
    )["Messages"]
    assert got["Body"] == "hé"
    assert got["MessageAttributes"]["a.b"]["BinaryValue"] == b"\x00\x01"
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert got["Attributes"]["ApproximateReceiveCount"] == "1"
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    assert "Messages" not in await sqs.receive_message(QueueUrl=url)


async def test_a_queue_that_is_not_there_is_a_typed_error(sqs: Any, cloud: LocalCloud) -> None:
    url = f"{cloud.endpoint_url}/{cloud.account}/absent"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
        await sqs.send_message(QueueUrl=url, MessageBody="x")
    error = caught.value.response["Error"]
    assert error["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        await sqs.get_queue_url(QueueName="absent")


async def test_creating_again_and_names_that_were_deleted(sqs: Any, clock: ManualClock) -> None:
    url = await new_queue(sqs, VisibilityTimeout="5")
    assert await new_queue(sqs, VisibilityTimeout="5") == url
    with pytest.raises(sqs.exceptions.QueueNameExists):
        await new_queue(sqs, VisibilityTimeout="6")
    await sqs.delete_queue(QueueUrl=url)
    clock.advance(59)
    with pytest.raises(sqs.exceptions.QueueDeletedRecently):
        await new_queue(sqs)
    clock.advance(1)
    assert await new_queue(sqs) == url


@pytest.mark.parametrize("name", ["", "a b", "x" * 81, "é"])
async def test_names_that_are_none(sqs: Any, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        await sqs.create_queue(QueueName=name)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VisibilityTimeout", "43201"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("MessageRetentionPeriod", "59"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
        ("DelaySeconds", "x"),
    ],
)
async def test_attributes_out_of_range(sqs: Any, name: str, value: str) -> None:
    with pytest.raises(sqs.exceptions.InvalidAttributeValue):
        await new_queue(sqs, **{name: value})
    with pytest.raises(sqs.exceptions.InvalidAttributeName):
        await new_queue(sqs, Unknown="1")


async def test_attributes_are_given_back(sqs: Any) -> None:
    url = await new_queue(sqs, VisibilityTimeout="7")
    await sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "2048"})
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    found = (await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))["Attributes"]
    assert found["VisibilityTimeout"] == "7"
    assert found["MaximumMessageSize"] == "2048"
    assert found["ApproximateNumberOfMessages"] == "1"
    assert found["QueueArn"].endswith(":queue")


async def test_listing_by_prefix_and_page(sqs: Any) -> None:
    for n in range(5):
        await new_queue(sqs, f"job-{n}")
    await new_queue(sqs, "other")
    pages = sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix="job-", PaginationConfig={"PageSize": 2}
    )
    names = [url.rsplit("/", 1)[-1] async for page in pages for url in page.get("QueueUrls", [])]
    assert names == [f"job-{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ([], "EmptyBatchRequest"),
        (entries(*"abcdefghijk"), "TooManyEntriesInBatchRequest"),
        ([{"Id": "a", "MessageBody": "1"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": "a b", "MessageBody": "1"}], "InvalidBatchEntryId"),
        (entries("x" * 524_288, "x" * 524_289), "BatchRequestTooLong"),
        (entries("é" * 524_289), "BatchRequestTooLong"),
    ],
)
async def test_batches_that_are_refused_whole(
    sqs: Any, batch: list[dict[str, str]], error: str
) -> None:
    url = await new_queue(sqs)
    with pytest.raises(getattr(sqs.exceptions, error)):
        await sqs.send_message_batch(QueueUrl=url, Entries=batch)


async def test_a_batch_may_fail_in_part(sqs: Any) -> None:
    url = await new_queue(sqs, MaximumMessageSize="1024")
    answer = await sqs.send_message_batch(
        QueueUrl=url, Entries=entries("good", "bad\x00", "x" * 1025)
    )
    assert [found["Id"] for found in answer["Successful"]] == ["0"]
    assert {found["Id"]: found["Code"] for found in answer["Failed"]} == {
        "1": "InvalidMessageContents",
        "2": "InvalidParameterValue",
    }
    assert all(found["SenderFault"] for found in answer["Failed"])


async def test_the_old_limit_of_256_kib_can_be_chosen(connect: Any) -> None:
    async with LocalCloud(message_limit_bytes=262_144, functions=False) as cloud:
        sqs = await connect(cloud, "sqs")
        url = await new_queue(sqs)
        await sqs.send_message(QueueUrl=url, MessageBody="x" * 262_144)
        with pytest.raises(ClientError, match="shorter than 262144 bytes"):
            await sqs.send_message(QueueUrl=url, MessageBody="x" * 262_145)
        with pytest.raises(sqs.exceptions.BatchRequestTooLong):
            await sqs.send_message_batch(QueueUrl=url, Entries=entries("x" * 262_144, "x"))
        large = await new_queue(sqs, "large", MaximumMessageSize="1048576")
        await sqs.send_message(QueueUrl=large, MessageBody="x" * 1_048_576)


async def test_batches_of_deletes_and_visibility(sqs: Any, clock: ManualClock) -> None:
    url = await new_queue(sqs)
    await sqs.send_message_batch(QueueUrl=url, Entries=entries(*"abc"))
    got = (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))["Messages"]
    changed = await sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "0", "ReceiptHandle": got[0]["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "1", "ReceiptHandle": "junk", "VisibilityTimeout": 0},
        ],
    )
    assert [found["Code"] for found in changed["Failed"]] == ["ReceiptHandleIsInvalid"]
    deleted = await sqs.delete_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": str(n), "ReceiptHandle": found["ReceiptHandle"]} for n, found in enumerate(got)
        ],
    )
    assert len(deleted["Successful"]) == 3
    clock.advance(60)
    assert "Messages" not in await sqs.receive_message(QueueUrl=url)


async def test_a_long_poll_is_woken_by_a_send(sqs: Any, cloud: LocalCloud) -> None:
    url = await new_queue(sqs)
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
        await settled(lambda: cloud.snapshot().calls.get("sqs:ReceiveMessage") == 1)
        await sqs.send_message(QueueUrl=url, MessageBody="x")
    assert [found["Body"] for found in poll.result()["Messages"]] == ["x"]


async def test_a_long_poll_ends_empty_and_is_woken_by_visibility(
    sqs: Any, cloud: LocalCloud, clock: ManualClock
) -> None:
    url = await new_queue(sqs, VisibilityTimeout="15")
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    await sqs.receive_message(QueueUrl=url)

    async def poll_while(seconds: float) -> dict[str, Any]:
        before = cloud.snapshot().calls["sqs:ReceiveMessage"]
        async with asyncio.TaskGroup() as group:
            poll = group.create_task(
                sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, VisibilityTimeout=100)
            )
            await settled(lambda: cloud.snapshot().calls["sqs:ReceiveMessage"] > before)
            clock.advance(seconds)
        answer: dict[str, Any] = poll.result()
        return answer

    assert "Messages" not in await poll_while(10)
    assert len((await poll_while(5))["Messages"]) == 1


async def test_a_poll_hears_that_its_queue_was_deleted(sqs: Any, cloud: LocalCloud) -> None:
    url = await new_queue(sqs)

    async def poll() -> None:
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)

    async with asyncio.TaskGroup() as group:
        group.create_task(poll())
        await settled(lambda: cloud.snapshot().calls.get("sqs:ReceiveMessage") == 1)
        await sqs.delete_queue(QueueUrl=url)


async def test_a_receiver_that_hung_up_takes_no_message(sqs: Any, cloud: LocalCloud) -> None:
    url = await new_queue(sqs)
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
        await settled(lambda: cloud.snapshot().calls.get("sqs:ReceiveMessage") == 1)
        poll.cancel()
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    assert len((await sqs.receive_message(QueueUrl=url))["Messages"]) == 1


async def test_in_flight_cap_on_short_and_long_polls(connect: Any, clock: ManualClock) -> None:
    async with LocalCloud(clock=clock, in_flight_limit=2, functions=False) as cloud:
        sqs = await connect(cloud, "sqs")
        url = await new_queue(sqs)
        await sqs.send_message_batch(QueueUrl=url, Entries=entries(*"abc"))
        got = (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))["Messages"]
        with pytest.raises(sqs.exceptions.OverLimit):
            await sqs.receive_message(QueueUrl=url)
        async with asyncio.TaskGroup() as group:
            poll = group.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
            await settled(lambda: cloud.snapshot().calls["sqs:ReceiveMessage"] == 3)
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"])
        assert [found["Body"] for found in poll.result()["Messages"]] == ["c"]


async def test_billing_counts_64_kib_and_empty_receives(sqs: Any, cloud: LocalCloud) -> None:
    url = await new_queue(sqs)
    await sqs.send_message_batch(QueueUrl=url, Entries=entries("x" * 65_536, "x"))
    await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    await sqs.receive_message(QueueUrl=url)
    billed = cloud.snapshot().sqs_billed
    assert billed == {"CreateQueue": 1, "SendMessageBatch": 2, "ReceiveMessage": 3}


async def test_partial_failures_and_throttles_by_fault(sqs: Any, cloud: LocalCloud) -> None:
    url = await new_queue(sqs)
    cloud.set_faults(Faults(seed=1, batch_entry=0.5))
    answer = await sqs.send_message_batch(QueueUrl=url, Entries=entries(*"abcdefghij"))
    assert answer["Failed"]
    assert answer["Successful"]
    assert not any(found["SenderFault"] for found in answer["Failed"])
    cloud.set_faults(Faults(throttle=1.0))
    with pytest.raises(sqs.exceptions.RequestThrottled):
        await sqs.receive_message(QueueUrl=url)


async def test_purge_and_tags(sqs: Any) -> None:
    url = await new_queue(sqs)
    await sqs.tag_queue(QueueUrl=url, Tags={"job": "1"})
    assert (await sqs.list_queue_tags(QueueUrl=url))["Tags"] == {"job": "1"}
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    await sqs.purge_queue(QueueUrl=url)
    assert "Messages" not in await sqs.receive_message(QueueUrl=url)
    with pytest.raises(sqs.exceptions.PurgeQueueInProgress):
        await sqs.purge_queue(QueueUrl=url)


async def test_what_is_not_emulated_says_so(sqs: Any) -> None:
    with pytest.raises(sqs.exceptions.UnsupportedOperation):
        await sqs.create_queue(QueueName="a.fifo", Attributes={"FifoQueue": "true"})
    with pytest.raises(sqs.exceptions.UnsupportedOperation):
        await sqs.list_dead_letter_source_queues(QueueUrl="http://127.0.0.1/1/a")
