"""Answers that lack what AWS's reference promises, as something that is no AWS gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aflint.aws.answers import answer_to, read_json
from aflint.aws.clients import Aws
from aflint.config import Config
from aflint.deploy.plan import find_names
from aflint.errors import ServiceUnavailableError
from tests.aws.clouds import as_tasks_do
from tests.aws.test_clients import KEYS, clients, recording
from tests.aws.test_clients import settings as settings

QUEUE = "http://sqs/1/q"
Ask = Callable[[Aws], Awaitable[Any]]
RECEIVE: Ask = lambda aws: aws.sqs().receive(QUEUE, wait_s=0, visibility_s=9)  # noqa: E731
SEND: Ask = lambda aws: aws.sqs().send(QUEUE, [b"x"])  # noqa: E731

OF_BOTH: list[tuple[Ask, str, str]] = [
    (lambda aws: aws.sqs().create_queue("q", {}), "{}", "sqs CreateQueue, queue q: .* no QueueUrl"),
    (RECEIVE, '{"Messages":[{}]}', "sqs ReceiveMessage, queue q: .* no MessageId"),
    (RECEIVE, '{"Messages":[{"MessageId":"1","ReceiptHandle":"r"}]}', "has no Body"),
    (SEND, '{"Failed":[{}]}', "sqs SendMessageBatch, queue q: .* no Id"),
    (lambda aws: aws.s3().head("bucket", "k"), "", "s3 HeadObject, s3://bucket/k: .* no ETag"),
    (lambda aws: aws.s3().put_part("bucket", "k", "u", 1, b""), "", "UploadPart, .* no ETag"),
    (
        lambda aws: aws.s3().begin_upload("bucket", "k"),
        "<CreateMultipartUploadResult/>",
        "CreateMultipartUpload, .* no UploadId",
    ),
    (
        lambda aws: aws.s3().page("bucket", ""),
        "<ListBucketResult><Contents/></ListBucketResult>",
        "ListObjectsV2, .* no Key",
    ),
    # Without this, a listing would end early, and its objects be missing from an answer.
    (
        lambda aws: aws.s3().list_all("bucket", ""),
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "no NextContinuationToken",
    ),
]
OF_NO_SERVICE: list[tuple[Ask, str, str]] = [
    (RECEIVE, "<html>Sign in</html>", "what answers is no service of AWS"),
    (RECEIVE, "[]", "what answers is no service of AWS"),
]


@asynccontextmanager
async def made(kind: str, url: str) -> AsyncIterator[Aws]:
    async with clients(endpoint_url=url) as driver:
        if kind == "driver":
            yield driver
            return
        async with as_tasks_do(driver, KEYS) as bare:
            yield bare


@pytest.mark.parametrize("kind", ["driver", "task"])
async def test_a_field_that_is_promised_and_not_there_is_named(kind: str) -> None:
    for ask, body, said in OF_BOTH + OF_NO_SERVICE:
        async with recording(body=body.encode()) as server, made(kind, server.url) as aws:
            with pytest.raises(ServiceUnavailableError, match=said):
                await ask(aws)


async def test_a_task_meets_no_xml() -> None:
    async with recording(body=b"Sign in") as server, made("task", server.url) as aws:
        with pytest.raises(ServiceUnavailableError, match="no service of AWS"):
            await aws.s3().begin_upload("bucket", "k")


async def test_deploying_meets_the_same_error() -> None:
    for body, said in (
        (b"<R><GetCallerIdentityResult/></R>", "no Account"),
        (b"<R/>", "no service"),
    ):
        async with recording(body=body) as server, clients(endpoint_url=server.url) as aws:
            with pytest.raises(ServiceUnavailableError, match=f"sts GetCallerIdentity.*{said}"):
                await find_names(aws, Config())


def test_what_may_be_left_out_is_none_of_it() -> None:
    answer = answer_to("sqs ListQueues, queues x*", {"Page": {"More": [{"A": 1}, 2]}})
    assert answer == {"Page": {"More": [{"A": 1}, 2]}}
    assert answer.get("QueueUrls", ()) == ()
    assert "QueueUrls" not in answer
    with pytest.raises(ServiceUnavailableError, match="no B"):
        answer["Page"]["More"][0]["B"]
    assert read_json("sqs DeleteQueue, queue q", b"") == {}
