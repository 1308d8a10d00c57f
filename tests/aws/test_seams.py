"""The seams of aiobotocore that aflint hangs on; run with the oldest and newest that it supports
(`make seams`).
"""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from pathlib import Path
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


async def sent(server: Recorder, aws: Aws) -> list[dict[str, str]]:
    """Make a call of each service and return what was sent."""
    server.heads.clear()
    await invoke(aws)
    await aws.sqs().list_queues("q")
    await aws.s3().get("bucket", "a b/ü", 1, 3)
    await aws.s3().put("bucket", "k", b"body")
    assert all(CREDENTIALS.search(head) for head in server.heads)
    return [lines(head) for head in server.heads]


async def test_the_short_way_sends_what_the_long_way_does(
    long_way: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(body=b"") as server, clients(endpoint_url=server.url) as aws:
        short = await sent(server, aws)
        assert not long_way
        assert "amz-sdk-" not in server.heads[0]  # which only aiobotocore's own Invoke has
    monkeypatch.setattr("aflint.aws.invoke.shortened", lambda *_: nullcontext())
    monkeypatch.setattr("aflint.aws.http_session.is_loopback", lambda _: False)
    monkeypatch.setenv("HTTP_PROXY", "")
    async with recording(body=b"") as server, clients(endpoint_url=server.url) as aws:
        for each in ("lambda", "sqs", "s3"):
            client = await aws.client(each, attempts=1) if each == "lambda" else None
            (client or await aws.client(each))._endpoint.http_session._can_be_plain = False
        long = await sent(server, aws)
        assert len(long_way) == 4
    for one in (*short, *long):
        one.pop("host")
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
