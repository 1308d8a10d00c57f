"""The calls of S3 that tasks make, over the bare client."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aflint.aws.answers import answer_to, incomplete
from aflint.aws.bare.client import Call, Client, RefusedError
from aflint.aws.failures import translate
from aflint.aws.parser import Received, Response
from aflint.aws.s3 import S3, subject_of
from aflint.errors import BackendError
from aflint.task import TransferCounts

if TYPE_CHECKING:
    from aflint.aws.clients import Aws

_TIMEOUT_S = 60.0
_PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?<!--x-s3)(?<!--xa-s3)")
"""Buckets that have no rules of their own: no access point's ARN, no directory bucket."""


class BareS3(S3):
    """Reads and writes objects of plain buckets; all else goes through aiobotocore.

    `client_of` gives the client and the path of a bucket, in a region where it is not in that of
    the others.
    """

    def __init__(
        self,
        aws: Aws,
        client_of: Callable[[str, str | None], tuple[Client, str]],
        counts: TransferCounts | None = None,
    ) -> None:
        super().__init__(aws, counts)
        self._client_of = client_of
        self._regions: dict[str, str] = {}

    async def _ask(self, action: str, bucket: str, key: str, **members: Any) -> Any:
        if action not in _BARE or not _PLAIN.fullmatch(bucket):
            return await super()._ask(action, bucket, key, **members)
        headers = {_HEADERS[name]: members[name] for name in members.keys() & _HEADERS.keys()}
        query = {_QUERY[name]: str(members[name]) for name in members.keys() & _QUERY.keys()}
        body: bytes = members.get("Body", b"")
        if action == "CreateMultipartUpload":
            query["uploads"] = ""
        if "MultipartUpload" in members:
            body = _parts(members["MultipartUpload"]["Parts"])
            headers["content-type"] = "application/xml"
        response = await self._send(action, bucket, key, _query(query), headers, body)
        call = f"s3 {action}, {subject_of(bucket, key)}"
        return answer_to(call, _read(call, action, response))

    async def _send(
        self,
        action: str,
        bucket: str,
        key: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Response:
        subject = subject_of(bucket, key)
        timeout = _TIMEOUT_S + len(body) / 1_000_000
        for _ in range(3):
            client, root = self._client_of(bucket, self._regions.get(bucket))
            path = f"{root}/{quote(key, safe='/-_.~')}"
            call = Call(action, subject, _BARE[action], path, query, headers, body, timeout)
            try:
                response = await client.attempt_bounded(call)
                self._count(action)
                return response
            except RefusedError as error:
                refusal = error.refusal
                if refusal.status in (404, 412, 416):  # these are billed, too
                    self._count(action)
                moved = refusal.region and refusal.region != client.region
                if not moved or refusal.status not in (301, 307, 400):
                    raise translate(refusal, "s3", action, subject) from None
                self._regions[bucket] = refusal.region
        raise BackendError(f"s3 {action}, {subject}: redirected from region to region")


_BARE = {
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "PutObject": "PUT",
    "DeleteObject": "DELETE",
    "CreateMultipartUpload": "POST",
    "UploadPart": "PUT",
    "CompleteMultipartUpload": "POST",
    "AbortMultipartUpload": "DELETE",
}
_HEADERS = {"Range": "range", "IfMatch": "if-match", "IfNoneMatch": "if-none-match"}
_QUERY = {"UploadId": "uploadId", "PartNumber": "partNumber"}
"""How members travel that are neither the body nor in the path."""


def _read(call: str, action: str, response: Response) -> dict[str, Any]:
    """Return what aiobotocore would make of an answer, as far as it is asked for."""
    headers = response.headers
    if action == "GetObject":
        return {"Body": Received(response.body)}
    if action == "HeadObject":
        named = {"ContentLength": headers.get("content-length"), "ETag": headers.get("etag")}
        return {name: value for name, value in named.items() if value is not None}
    if action == "UploadPart":
        return {"ETag": headers["etag"]} if "etag" in headers else {}
    if action == "CreateMultipartUpload":
        from xml.etree import ElementTree  # no cold start needs it

        try:
            id = ElementTree.fromstring(response.body).findtext("{*}UploadId")
        except ElementTree.ParseError as error:
            raise incomplete(call, f"it is no XML: {error}") from None
        return {"UploadId": id} if id else {}
    if action == "CompleteMultipartUpload" and b"<Error" in response.body:
        # it answers 200 before it is done
        said = response.body.decode("utf-8", "replace")[:300]
        raise BackendError(f"{call}: failed under HTTP 200: {said}")
    return {}


def _parts(parts: Sequence[Mapping[str, Any]]) -> bytes:
    from xml.etree import ElementTree

    listed = ElementTree.Element("CompleteMultipartUpload")
    for part in parts:
        each = ElementTree.SubElement(listed, "Part")
        for name in ("PartNumber", "ETag"):
            ElementTree.SubElement(each, name).text = str(part[name])
    whole: bytes = ElementTree.tostring(listed)
    return whole


def _query(members: Mapping[str, str]) -> str:
    pairs = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in members.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
