from __future__ import annotations

import asyncio
import datetime
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from aflint.aws.bare.aws import BareAws
from aflint.aws.bare.signing import Credentials, Signer
from aflint.aws.clients import Aws
from aflint.aws.connection import Origin
from aflint.aws.http import Http
from aflint.aws.parser import Response

Call = Callable[[Aws], Awaitable[object]]
REGION = "eu-west-1"

NOW = datetime.datetime(2026, 11, 22, 13, 14, 15, tzinfo=datetime.UTC)
KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", min_size=16, max_size=40)
NAMES = st.from_regex(r"x-amz-[a-z]{1,12}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
SEGMENTS = st.text("abcXYZ019-_.~%:", min_size=1, max_size=8).filter(lambda s: s not in (".", ".."))


def _botocore_signs(
    service: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes,
    credentials: Credentials,
) -> dict[str, str]:  # fmt: skip
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    url = f"https://{headers['host']}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    request.context["payload_signing_enabled"] = True
    theirs = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        signer(theirs, service, "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    service=st.sampled_from(["sqs", "s3", "lambda"]),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    segments=st.lists(SEGMENTS, max_size=3),
    query=st.dictionaries(st.text("abcXYZ", min_size=1), st.text("abc-_.~019"), max_size=3),
    extra=st.dictionaries(NAMES, VALUES, max_size=3),
    body=st.binary(max_size=100),
    access=KEYS,
    secret=KEYS,
    token=st.none() | KEYS,
)
def test_signs_as_botocore_does(
    service: str,
    method: str,
    segments: list[str],
    query: dict[str, str],
    extra: dict[str, str],
    body: bytes,
    access: str,
    secret: str,
    token: str | None,
) -> None:
    from hashlib import sha256
    from urllib.parse import quote

    credentials = Credentials(access, secret, token)
    path = "/" + "/".join(quote(segment, safe="-_.~") for segment in segments)
    text = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
    reserved = {"x-amz-date", "x-amz-security-token"}
    headers = {"host": f"{service}.eu-west-1.amazonaws.com", "content-type": "text/plain"}
    headers |= {name: value for name, value in extra.items() if name not in reserved}
    ours = Signer(service, "eu-west-1").sign(
        credentials, method, path, text, headers, sha256(body).hexdigest(), NOW.timestamp()
    )
    theirs = _botocore_signs(service, method, path, text, headers, body, credentials)
    assert ours["authorization"] == theirs["authorization"]
    assert ours["x-amz-date"] == theirs["x-amz-date"]
    assert ours.get("x-amz-security-token") == theirs.get("x-amz-security-token")


@dataclass
class Sent:
    """A request as it would leave, and what it is signed for."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Recorder:
    """Stands in for HTTP below both clients: keeps what is sent, and answers what suits it."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    async def request(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout: float,
    ) -> Response:
        named = {name.lower(): value for name, value in headers.items()}
        url = f"{origin.scheme}://{named['host']}{target}"
        self.sent.append(Sent(method, url, named, body))
        answer = b'{"QueueUrl": "https://q"}' if "x-amz-target" in named else b""
        if method == "POST" and not answer:
            answer = b"<Result><UploadId>upload</UploadId></Result>"
        return Response(200, {"etag": '"tag"', "content-length": str(len(answer))}, answer)


class Driver:
    """What calls SQS and S3 through aiobotocore, over HTTP that is recorded."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.keys = Credentials("AKIDEXAMPLE", "secret")
        self.aws = Aws(REGION, credentials=self.keys)
        self.endpoints = self.runner.run(self.aws.resolve())

    def sends(self, call: Call, aws: Aws | None = None) -> Sent:
        """Return the one request that a call sends, of a driver or of what is given."""
        recorder = Recorder()

        async def calling() -> None:
            await call(aws or self.aws)

        with (
            mock.patch.object(Http, "request", recorder.request),
            mock.patch("aflint.aws.bare.client.time.time", NOW.timestamp),
        ):
            self.runner.run(calling())
        (sent,) = recorder.sent
        return sent

    def close(self) -> None:
        self.runner.run(self.aws.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def short() -> Iterator[Driver]:
    """A driver as it is: its calls of SQS go the short way."""
    made = Driver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """One whose calls all go aiobotocore's own way."""
    with mock.patch("aflint.aws.short_way.shortened", return_value=nullcontext()):
        made = Driver()
    yield made
    made.close()


BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True).filter(
    lambda name: ".." not in name and "xn--" not in name and not name.endswith(("-s3alias", "--s3"))
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
OBJECT_KEYS = TEXT | st.sampled_from(["a b/ü%/+&=?#", "//", "./x", "../y", "tail/", "a'\"<>~!*()"])
UPLOADS = st.text("abcXYZ019-_.~+/= %&", min_size=1, max_size=30)
ETAGS = st.from_regex(r'"[0-9a-f-]{1,20}"', fullmatch=True)
BODIES = st.binary(max_size=100)
QUEUES = st.sampled_from([f"https://sqs.{REGION}.amazonaws.com/123456789012/aflint-q"])
RECEIPTS = st.lists(st.text("abcXYZ019+/=", min_size=1), min_size=1, max_size=10)
TEXT_BODIES = st.lists(st.binary(max_size=60).map(b64encode), min_size=1, max_size=10)
PAST = st.none() | st.integers(2**40, 2**42)


def calls(service: str, method: str, *positional: Any, **named: Any) -> st.SearchStrategy[Call]:
    """Return all calls of a method of SQS's or S3's, each as what makes it."""

    def call(*values: Any, **by_name: Any) -> Call:
        return lambda aws: getattr(getattr(aws, service)(), method)(*values, **by_name)

    return st.builds(call, *positional, **named)


MESSAGES = st.one_of(
    calls("sqs", "send", QUEUES, TEXT_BODIES),
    calls("sqs", "receive", QUEUES, wait_s=st.integers(0, 20), visibility_s=st.integers(0, 60)),
    calls("sqs", "change_visibility", QUEUES, RECEIPTS, st.integers(0, 43_200)),
    calls("sqs", "delete", QUEUES, RECEIPTS),
)


@settings(deadline=None)
@given(
    call=MESSAGES
    | st.one_of(
        calls("s3", "get", BUCKETS, OBJECT_KEYS, st.integers(0, 2**39), PAST, st.just("") | ETAGS),
        calls("s3", "head", BUCKETS, OBJECT_KEYS),
        calls("s3", "put", BUCKETS, OBJECT_KEYS, BODIES, new=st.booleans()),
        calls("s3", "delete", BUCKETS, OBJECT_KEYS),
        calls("s3", "begin_upload", BUCKETS, OBJECT_KEYS),
        calls("s3", "put_part", BUCKETS, OBJECT_KEYS, UPLOADS, st.integers(1, 10_000), BODIES),
        calls("s3", "finish_upload", BUCKETS, OBJECT_KEYS, UPLOADS, st.lists(ETAGS, min_size=1)),
        calls("s3", "abort_upload", BUCKETS, OBJECT_KEYS, UPLOADS),
    ),
    access=KEYS,
    secret=KEYS,
    token=st.none() | KEYS,
)
def test_each_call_of_tasks_is_aiobotocores_and_signed_as_botocore_signs_it(
    driver: Driver, call: Call, access: str, secret: str, token: str | None
) -> None:
    keys = Credentials(access, secret, token)
    _check_alike(driver.sends(call, BareAws(driver.endpoints, keys)), driver.sends(call), keys)


@settings(deadline=None)
@given(
    call=MESSAGES
    | st.one_of(
        calls("sqs", "create_queue", TEXT, st.dictionaries(TEXT, TEXT, max_size=3)),
        calls("sqs", "delete_queue", QUEUES),
        calls("sqs", "list_queues", TEXT),
        calls("sqs", "max_message_bytes", QUEUES),
    )
)
def test_each_call_on_the_short_way_is_aiobotocores_and_signed_as_botocore_signs_it(
    short: Driver, driver: Driver, call: Call
) -> None:
    ours, theirs = short.sends(call), driver.sends(call)
    _check_alike(ours, theirs, short.keys)
    assert ours.body == theirs.body
    assert "amz-sdk-request" not in ours.headers
    assert "amz-sdk-request" in theirs.headers


def _check_alike(ours: Sent, theirs: Sent, keys: Credentials) -> None:
    """Check that two requests ask for the same, and that `ours` is signed as botocore does it."""
    place, there = urlsplit(ours.url), urlsplit(theirs.url)
    assert (ours.method, place[:3]) == (theirs.method, there[:3])
    assert _pairs(place.query) == _pairs(there.query)
    if "x-amz-target" in ours.headers:
        assert ours.headers["x-amz-target"] == theirs.headers["x-amz-target"]
        assert json.loads(ours.body) == json.loads(theirs.body)
    elif b"<" not in ours.body:
        assert ours.body == theirs.body
    service = "sqs" if place.netloc.startswith("sqs.") else "s3"
    added = ("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")
    unsigned = (*added, "user-agent")
    given_ = {name: value for name, value in ours.headers.items() if name not in unsigned}
    signed = _botocore_signs(service, ours.method, place.path, place.query, given_, ours.body, keys)
    assert {name: ours.headers.get(name) for name in added} == {
        name: signed.get(name) for name in added
    }


def _pairs(query: str) -> list[str]:
    """Return the parts of a query in order, and all with a value, as signatures see them."""
    return sorted(part if "=" in part else f"{part}=" for part in query.split("&"))


@pytest.mark.parametrize("service", ["sqs", "s3"])
def test_the_key_follows_day_and_credentials(service: str) -> None:
    signer = Signer(service, "us-east-1")
    one, other = Credentials("A", "one"), Credentials("A", "other", "token")

    def sign(credentials: Credentials, now: float) -> str:
        return signer.sign(credentials, "GET", "/", "", {"host": "h"}, "0" * 64, now)[
            "authorization"
        ]

    first = sign(one, 0.0)
    assert sign(one, 86_400.0) != first
    assert sign(other, 0.0) != first
    assert sign(one, 0.0) == first


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Credentials("known", "hidden", "hidden too"))
