"""The seams of aiobotocore that aflint hangs on; run with the oldest and newest that it supports
(`make seams`).
"""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiobotocore.httpsession import AIOHTTPSession

from aflint import errors
from aflint.aws.clients import Aws
from aflint.aws.endpoints import unsent
from aflint.aws.explain import nothing_was_sent
from tests.aws.test_clients import Recorder, clients, recording
from tests.aws.test_clients import settings as settings

CREDENTIALS = re.compile(r"(?im)^authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


async def invoke(aws: Aws, **settings: Any) -> tuple[Any, bytes]:
    client = await aws.client("lambda", attempts=1, **settings)
    answer = await client.invoke(FunctionName="f:1", Payload=b"{}", LogType="Tail")
    return answer, await answer["Payload"].read()


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that go through aiobotocore's own session."""
    seen: list[str] = []
    original = AIOHTTPSession.send

    async def send(self: Any, request: Any) -> Any:
        seen.append(request.url)
        return await original(self, request)

    monkeypatch.setattr(AIOHTTPSession, "send", send)
    return seen


def lines(head: str) -> dict[str, str]:
    """Return a head's lines by name, but not those that differ from client to client."""
    first, *rest = head.strip().split("\r\n")
    found = dict(line.split(": ", 1) for line in rest)
    named = {name.lower(): value for name, value in found.items()}
    volatile = (
        "amz-sdk-",
        "accept",
        "expect",
        "authorization",
        "x-amz-date",
        "user-agent",
        "connection",
    )
    kept = {k: v for k, v in named.items() if not k.startswith(volatile)}
    return {"": first, **kept}


async def sent(server: Recorder, aws: Aws) -> list[tuple[dict[str, str], bytes]]:
    """Make calls of each service and return what was sent."""
    server.heads.clear()
    server.bodies.clear()
    await invoke(aws)
    sqs, url = aws.sqs(), "http://queues/123456789012/q-ü"
    server.body = b'{"QueueUrl": "http://queues/q"}'
    assert await sqs.create_queue("q-ü", {"aflint": 'a "job"'}) == "http://queues/q"
    server.body = b""
    await sqs.max_message_bytes(url)
    await sqs.list_queues("q")
    await sqs.send(url, [b"body", b"a+b/c=="])
    await sqs.receive(url, wait_s=2, visibility_s=45)
    await sqs.change_visibility(url, ["receipt"], 0)
    await sqs.delete(url, ["receipt", "other"])
    await sqs.delete_queue(url)
    await aws.s3().get("bucket", "a b/ü", 1, 3)
    await aws.s3().put("bucket", "k", b"body")
    assert all(CREDENTIALS.search(head) for head in server.heads)
    return [(lines(head), body) for head, body in zip(server.heads, server.bodies, strict=True)]


async def test_the_short_way_sends_what_the_long_way_does(
    long_way: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(body=b"") as server, clients(endpoint_url=server.url) as aws:
        short = await sent(server, aws)
        assert not long_way
        # these headers count tries, and only aiobotocore's own requests have them
        assert not any("amz-sdk-" in head for head in server.heads[:-2])
    monkeypatch.setattr("aflint.aws.short_way.shortened", lambda *_: nullcontext())
    monkeypatch.setattr("aflint.aws.http_session.is_loopback", lambda _: False)
    monkeypatch.setenv("HTTP_PROXY", "")
    async with recording(body=b"") as server, clients(endpoint_url=server.url) as aws:
        for each in ("lambda", "sqs", "s3"):
            client = await aws.client(each, attempts=1) if each == "lambda" else None
            (client or await aws.client(each))._endpoint.http_session._can_be_plain = False
        long = await sent(server, aws)
        assert len(long_way) == len(long) == 11
    for head, _ in (*short, *long):
        head.pop("host")
    assert short == long


async def test_each_invoke_is_signed_with_the_credentials_of_its_moment() -> None:
    async with recording() as server, clients(endpoint_url=server.url) as aws:
        await invoke(aws)
        keys = await aws._session.get_credentials()
        keys.access_key, keys.token = "AKIDREFRESHED", "of now"
        await invoke(aws)
    assert CREDENTIALS.search(server.heads[0])
    assert "Credential=AKIDREFRESHED/" in server.heads[1]
    assert "x-amz-security-token: of now" in server.heads[1]


async def test_a_request_is_looked_at_while_others_are_sent() -> None:
    async with recording() as server, clients(endpoint_url=server.url) as aws:
        client = await aws.client("sqs")
        async with asyncio.TaskGroup() as group:
            seen = [
                group.create_task(unsent(client, "ListQueues", client.list_queues()))
                for _ in range(3)
            ]
            sent = [group.create_task(aws.sqs().list_queues("q")) for _ in range(3)]
    assert {each.result().url for each in seen} == {f"{server.url}/"}
    assert len(server.heads) == len(sent) == 3


async def test_invokes_that_begin_at_once_are_each_sent_once() -> None:
    async with recording() as server, clients(endpoint_url=server.url) as aws:
        await asyncio.gather(*(invoke(aws) for _ in range(5)))
    assert len(server.heads) == 5


async def test_an_answer_to_invoke() -> None:
    async with recording(body=b'"result"') as server, clients(endpoint_url=server.url) as aws:
        answer, body = await invoke(aws)
    assert (answer["StatusCode"], body) == (200, b'"result"')
    assert (answer["FunctionError"], answer["LogResult"]) == ("", "")


async def test_a_refusal_of_invoke_is_aiobotocores() -> None:
    from botocore.exceptions import ClientError

    body = b'{"__type":"TooManyRequestsException","message":"slow down"}'
    async with (
        recording(status="429 Too Many", body=body) as server,
        clients(endpoint_url=server.url) as aws,
    ):
        with pytest.raises(ClientError) as raised:
            await invoke(aws)
    assert type(raised.value).__name__ == "TooManyRequestsException"
    assert raised.value.response["Error"]["Message"] == "slow down"
    assert len(server.heads) == 1


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
async def test_one_invoke_is_sent_once_whatever_happens(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    async with recording(status="500 Oops") as server, clients(endpoint_url=server.url) as aws:
        with pytest.raises(Exception, match="500") as raised:
            await invoke(aws)
    assert not nothing_was_sent(raised.value)
    assert len(server.heads) == 1


SLOW_DOWN = (
    "400 Bad Request",
    b'{"__type":"com.amazon.coral.service#RequestThrottled","message":"slow"}',
)
MADE = ("200 OK", b'{"QueueUrl": "http://queues/q"}')


@pytest.mark.parametrize("failed", [("500 Oops", b""), ("503 Oops", b"<html>"), SLOW_DOWN])
async def test_what_fails_on_the_short_way_is_tried_again_by_aiobotocore(
    failed: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(seconds: float) -> None:
        return None

    monkeypatch.setattr("aiobotocore.endpoint.asyncio", SimpleNamespace(sleep=at_once))
    async with (
        recording(before=[MADE, failed, failed, MADE, MADE]) as server,
        clients(endpoint_url=server.url) as aws,
    ):
        for _ in range(3):
            assert await aws.sqs().create_queue("q", {}) == "http://queues/q"
    # each short way's try is the first of aiobotocore's, which numbers those that it sends
    tries = [re.search(r"(?i)amz-sdk-request: attempt=(\d)", head) for head in server.heads]
    assert [found and found[1] for found in tries] == [None, None, "2", "3", None]


async def test_successes_on_the_short_way_allow_for_more_retries() -> None:
    async with recording(body=MADE[1]) as server, clients(endpoint_url=server.url) as aws:
        client = await aws.client("sqs")
        told = []
        client.meta.events.register("after-call.sqs", lambda **said: told.append(said))
        await aws.sqs().create_queue("q", {})
        told.clear()
        await aws.sqs().create_queue("q", {})
    assert [(said["http_response"].status_code, said["context"]) for said in told] == [(200, {})]
    assert told[0]["parsed"]["QueueUrl"] == "http://queues/q"


async def test_a_refusal_on_the_short_way_has_its_own_error() -> None:
    body = b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}'
    async with (
        recording(status="400 Bad Request", body=body) as server,
        clients(endpoint_url=server.url) as aws,
    ):
        with pytest.raises(errors.QueueDeletedError, match="gone"):
            await aws.sqs().delete_queue("http://queues/q")
    assert len(server.heads) == 1


@pytest.mark.parametrize("page", [b"<html>Sign in</html>", b'["no", "object"]', b"\xff{"])
async def test_a_page_in_place_of_an_answer(page: bytes) -> None:
    async with recording(body=page) as server, clients(endpoint_url=server.url) as aws:
        with pytest.raises(errors.ServiceUnavailableError, match="no service of AWS"):
            await aws.sqs().create_queue("q", {})
    assert len(server.heads) == 1


async def test_adaptive_retries_count_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    async with recording() as server, clients(endpoint_url=server.url) as aws:
        for _ in range(2):
            await invoke(aws)
            await aws.sqs().list_queues("q")
    assert all("amz-sdk-request" in head.lower() for head in server.heads)


async def test_nobody_listens(unused_tcp_port: int) -> None:
    async with clients(endpoint_url=f"http://127.0.0.1:{unused_tcp_port}") as aws:
        with pytest.raises(Exception, match=str(unused_tcp_port)) as raised:
            await invoke(aws)
        assert nothing_was_sent(raised.value)


async def test_no_answer_in_time() -> None:
    async with recording() as server, clients(endpoint_url=server.url) as aws:
        server.silent = True
        with pytest.raises(Exception, match="timeout") as raised:
            await invoke(aws, read_s=0.05)
        assert not nothing_was_sent(raised.value)


async def test_a_body_that_is_streamed_goes_the_long_way(
    long_way: list[str], tmp_path: Path
) -> None:
    (tmp_path / "body").write_bytes(b"body")
    async with recording(body=b"") as server, clients(endpoint_url=server.url) as aws:
        with (tmp_path / "body").open("rb") as body:
            await aws.call("s3", "PutObject", "it", Bucket="bucket", Key="k", Body=body)
        assert len(long_way) == 1


async def test_a_region_that_is_wrong_is_said(settings: object) -> None:
    async with clients("nowhere!") as aws:
        with pytest.raises(errors.ConfigError, match="region"):
            await aws.sqs().list_queues("q")
