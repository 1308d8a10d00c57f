"""Where executors find SQS and S3: aiobotocore is asked on the driver, and they are told."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from aflint.aws.parser import Response
from aflint.task import AwsEndpoints

if TYPE_CHECKING:
    from aflint.aws.clients import Aws

_BUCKET = "aflint-bucket-of-no-one"
_DOTTED = "aflint.bucket.of.no.one"
_SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^,\s]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/"
)

_given: ContextVar[list[Any] | None] = ContextVar("_given", default=None)
"""Marks the task that `outcome_given` is for."""


class Scope(NamedTuple):
    """What a signature is for."""

    region: str
    service: str


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself, which no proxy can do for it."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def resolve_endpoints(aws: Aws, client: str) -> AwsEndpoints:
    """Return where executors are to send their requests, and what they sign them for.

    Requests are built and signed by aiobotocore, with all that its settings say, and looked at in
    place of being sent. Where they are signed otherwise than by SigV4 for SQS and S3, or `client`
    is "aiobotocore", executors are told to ask an aiobotocore of their own.
    """
    theirs = AwsEndpoints(await aws.find_region(), aws.endpoint_url)
    if client == "aiobotocore":
        return theirs
    sqs = await _asked(aws, "sqs", "ListQueues")
    s3 = await _asked(aws, "s3", "HeadBucket", Bucket=_BUCKET)
    path = await _asked(aws, "s3", "HeadBucket", Bucket=_DOTTED)
    region = theirs.region
    if scope_of(sqs) != (region, "sqs") or {scope_of(s3), scope_of(path)} != {(region, "s3")}:
        return theirs
    return AwsEndpoints(
        region,
        aws.endpoint_url,
        sqs.url.rstrip("/"),
        _template(s3.url, _BUCKET, region),
        _template(path.url, _DOTTED, region),
    )


async def _asked(aws: Aws, service: str, action: str, **parameters: str) -> Any:
    call = aws.call(service, action, "endpoints", **parameters)
    return await unsent(await aws.client(service), action, call)


async def unsent(client: Any, action: str, call: Awaitable[object]) -> Any:
    """Return the request that a call of aiobotocore would send; nothing is sent."""
    with outcome_given(client, action, Response(200, {}, b"")) as instead_of:
        await call
    return instead_of[0]


def is_outcome_given() -> bool:
    """Say whether the next request of this task has its outcome already: see `outcome_given`."""
    return _given.get() is not None


@contextmanager
def outcome_given(
    client: Any, action: str, outcome: Response | Exception
) -> Iterator[Sequence[Any]]:
    """Have aiobotocore take this for the outcome of the first request of a call made meanwhile.

    Yields what will hold that request. Others are sent: those of other tasks, and further tries.
    """
    from aflint.aws.http_session import answer_of

    instead_of: list[Any] = []

    def give(request: Any, **_: Any) -> Any:
        if _given.get() is not instead_of or instead_of:
            return None
        instead_of.append(request)
        if isinstance(outcome, Exception):
            raise outcome
        return answer_of(request.url, outcome)

    event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.{action}"
    client.meta.events.register(event, give)
    given = _given.set(instead_of)
    try:
        yield instead_of
    finally:
        _given.reset(given)
        client.meta.events.unregister(event, give)


def scope_of(request: Any) -> Scope | None:
    """Return what a request is signed for, where it is signed by plain SigV4."""
    signed = request.headers.get("Authorization", "")
    scope = _SCOPE.match(signed if isinstance(signed, str) else signed.decode())
    return Scope(scope["region"], scope["service"]) if scope else None


def _template(url: str, bucket: str, region: str) -> str:
    """Return the URL of any bucket, in any region of the same partition where it names one."""
    there = url.rstrip("/").replace(bucket, "{bucket}")
    return there.replace(f".{region}.", ".{region}.")
