"""Which resources a request is about, as policies name them. Pure."""

from __future__ import annotations

import json
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError

from aflint.localcloud.access import policy_action
from aflint.localcloud.iam.policy import Asked
from aflint.localcloud.lambda_.routes import find_route
from aflint.localcloud.s3.target import split_path
from aflint.localcloud.wire import Request
from aflint.localcloud.xml import parse

_COPIES = ("CopyObject", "UploadPartCopy")
_ANY = "*"


def asked_by(service: str, action: str, request: Request, account: str, region: str) -> list[Asked]:
    """Return what a request asks to do, to what; each of it has to be allowed."""
    name = policy_action(f"{service}:{action}")
    match service:
        case "s3":
            return _of_s3(name, action, request)
        case "sqs":
            queue = _queue(request)
            return [Asked(name, f"arn:aws:sqs:{region}:{account}:{queue}" if queue else _ANY)]
        case "lambda":
            function = find_route(request).function.rpartition(":")[2]
            arn = f"arn:aws:lambda:{region}:{account}:function:{function}"
            return [Asked(name, arn if function else _ANY)]
    return [Asked(name, _ANY)]


def _of_s3(name: str, action: str, request: Request) -> list[Asked]:
    bucket, key = split_path(request.path)
    if not bucket:
        return [Asked(name, _ANY)]
    if action == "DeleteObjects":
        return [Asked(name, _object(bucket, each)) for each in _keys(request.body)]
    if not key:
        prefix = request.query.get("prefix")
        context = {} if prefix is None else {"s3:prefix": prefix}
        return [Asked(name, f"arn:aws:s3:::{bucket}", context)]
    asked = [Asked(name, _object(bucket, key))]
    if action in _COPIES:
        source = unquote(request.headers["x-amz-copy-source"].partition("?")[0])
        asked.append(Asked("s3:GetObject", _object(*split_path(source))))
    return asked


def _object(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def _keys(body: bytes) -> list[str]:
    """Return the keys of a DeleteObjects; the one of none where it cannot be read."""
    try:
        found = [element.text or "" for element in parse(body).iter("Key")]
    except ParseError:
        found = []
    return found or [""]


def _queue(request: Request) -> str:
    try:
        members = json.loads(request.body or b"{}")
    except ValueError:
        return ""
    if not isinstance(members, dict):
        return ""
    return str(members.get("QueueName") or str(members.get("QueueUrl", "")).rsplit("/", 1)[-1])
