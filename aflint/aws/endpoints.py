"""Where executors find SQS and S3: aiobotocore is asked on the driver, and they are told."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aflint.task import AwsEndpoints

if TYPE_CHECKING:
    from aflint.aws.clients import Aws

_BUCKET = "aflint-bucket-of-no-one"
_DOTTED = "aflint.bucket.of.no.one"
_SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/"
)


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
    sqs, sqs_scope = await _asked(aws, "sqs", "list_queues")
    s3, s3_scope = await _asked(aws, "s3", "head_bucket", Bucket=_BUCKET)
    path, path_scope = await _asked(aws, "s3", "head_bucket", Bucket=_DOTTED)
    region = theirs.region
    if (sqs_scope, s3_scope, path_scope) != ((region, "sqs"), (region, "s3"), (region, "s3")):
        return theirs
    return AwsEndpoints(
        region,
        aws.endpoint_url,
        sqs.rstrip("/"),
        _template(s3, _BUCKET, region),
        _template(path, _DOTTED, region),
    )


async def _asked(aws: Aws, service: str, call: str, **parameters: str) -> tuple[str, Any]:
    """Return the URL of a call and (region, service) of its signature; nothing is sent."""
    from aiobotocore.awsrequest import AioAWSResponse

    from aflint.aws.http_session import Received

    client = await aws.client(service)
    seen: list[Any] = []

    def instead(request: Any, **_: Any) -> Any:
        seen.append(request)
        return AioAWSResponse(request.url, 200, {}, Received(request.url, b""))

    name = client.meta.method_to_api_mapping[call]
    event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.{name}"
    client.meta.events.register(event, instead)
    try:
        await aws.call(service, name, "endpoints", **parameters)
    finally:
        client.meta.events.unregister(event, instead)
    signed = seen[0].headers.get("Authorization", "")
    scope = _SCOPE.match(signed if isinstance(signed, str) else signed.decode())
    return seen[0].url, (scope["region"], scope["service"]) if scope else None


def _template(url: str, bucket: str, region: str) -> str:
    """Return the URL of any bucket, in any region of the same partition where it names one."""
    there = url.rstrip("/").replace(bucket, "{bucket}")
    return there.replace(f".{region}.", ".{region}.")
