"""The calls of S3 that aflint makes."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from html import escape
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree

from aflint.aws.client import Aws, Call, Client, RefusedError
from aflint.aws.failures import translate
from aflint.aws.parser import Response
from aflint.errors import BackendError, ObjectNotFoundError
from aflint.task import TransferCounts

_TIMEOUT_S = 60.0
_MOST_DELETED = 1000
_CLASS_A = ("Put", "Copy", "Create", "Upload", "Complete", "List")
_FREE = ("Delete", "Abort")
_BILLED_REFUSALS = frozenset({404, 412, 416})
_DNS_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Buckets that can be part of a host's name under a TLS certificate: no dots."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a listing: objects as (key, size), and folders directly below."""

    objects: list[tuple[str, int]]
    folders: list[str]
    next: str = ""


class S3:
    """Objects by bucket and key, in whichever region the bucket is.

    Every method raises the errors of `aflint.errors` that refusals stand for: ObjectNotFoundError
    where an object is not there. `counts` is told of each call that S3 bills.
    """

    def __init__(self, aws: Aws, counts: TransferCounts | None = None) -> None:
        self.counts = counts if counts is not None else TransferCounts()
        self._aws = aws
        self._regions: dict[str, str] = {}

    async def get(self, bucket: str, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes [start, end) of an object; fewer only where it ends."""
        headers = {}
        if end is not None and end <= start:
            return b""
        if start or end is not None:
            headers["range"] = f"bytes={start}-{'' if end is None else end - 1}"
        return (await self._call("GetObject", bucket, key, "GET", headers=headers)).body

    async def head(self, bucket: str, key: str) -> int | None:
        """Return an object's size, or None where it is not there."""
        try:
            response = await self._call("HeadObject", bucket, key, "HEAD")
        except ObjectNotFoundError:
            return None
        return int(response.headers.get("content-length", 0))

    async def check_bucket(self, bucket: str) -> None:
        """Raise what stands in the way of using a bucket."""
        await self._call("HeadBucket", bucket, "", "HEAD")

    async def create_bucket(self, bucket: str) -> None:
        """Make a bucket in the client's region; one's own of that name is no error there."""
        region, body = self._aws.region, b""
        if region != "us-east-1":
            place = f"<LocationConstraint>{region}</LocationConstraint>"
            body = f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>".encode()
        await self._call("CreateBucket", bucket, "", "PUT", body=body)

    async def put(self, bucket: str, key: str, body: bytes, *, new: bool = False) -> None:
        """Write a whole object: it is there entirely or not at all.

        With `new`, raises BackendError of the code PreconditionFailed where one is there.
        """
        headers = {"if-none-match": "*"} if new else {}
        await self._call("PutObject", bucket, key, "PUT", headers=headers, body=body)

    async def copy(self, bucket: str, key: str, source_bucket: str, source_key: str) -> None:
        """Copy an object of at most 5 GB."""
        headers = {"x-amz-copy-source": f"/{source_bucket}/{quote(source_key, safe='/-_.~')}"}
        response = await self._call("CopyObject", bucket, key, "PUT", headers=headers)
        _check_document(response, "CopyObject", key)

    async def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        await self._call("DeleteObject", bucket, key, "DELETE")

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        """Remove any number of objects, a thousand with each call."""
        for begin in range(0, len(keys), _MOST_DELETED):
            part = keys[begin : begin + _MOST_DELETED]
            objects = "".join(f"<Object><Key>{_xml(key)}</Key></Object>" for key in part)
            body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
            digest = base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
            headers = {"content-md5": digest, "content-type": "application/xml"}
            response = await self._call(
                "DeleteObjects", bucket, "", "POST", "delete=", headers, body
            )
            _check_deleted(response, bucket)

    async def page(
        self, bucket: str, prefix: str, *, delimiter: str = "", after: str = "", most: int = 1000
    ) -> Listed:
        """Return one page of a listing; give its `next` as `after` for the one behind it."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(most), "encoding-type": "url"}
        if delimiter:
            query["delimiter"] = delimiter
        if after:
            query["continuation-token"] = after
        response = await self._call("ListObjectsV2", bucket, "", "GET", _query(query))
        return _read_listing(response.body)

    async def list_all(self, bucket: str, prefix: str, *, delimiter: str = "") -> Listed:
        """Return all pages of a listing as one."""
        page = await self.page(bucket, prefix, delimiter=delimiter)
        objects, folders = page.objects, page.folders
        while page.next:
            page = await self.page(bucket, prefix, delimiter=delimiter, after=page.next)
            objects += page.objects
            folders += page.folders
        return Listed(objects, folders)

    async def begin_upload(self, bucket: str, key: str) -> str:
        """Begin a multipart upload and return its id."""
        response = await self._call("CreateMultipartUpload", bucket, key, "POST", "uploads=")
        return _text(ElementTree.fromstring(response.body), "UploadId")

    async def put_part(self, bucket: str, key: str, upload: str, number: int, body: bytes) -> str:
        """Write a part, counted from 1, and return its tag."""
        query = _query({"partNumber": str(number), "uploadId": upload})
        response = await self._call("UploadPart", bucket, key, "PUT", query, body=body)
        return response.headers.get("etag", "")

    async def finish_upload(self, bucket: str, key: str, upload: str, tags: Sequence[str]) -> None:
        """Make an object of the parts with these tags, in order."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{_xml(tag)}</ETag></Part>"
            for number, tag in enumerate(tags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query, headers = _query({"uploadId": upload}), {"content-type": "application/xml"}
        action = "CompleteMultipartUpload"
        response = await self._call(action, bucket, key, "POST", query, headers, body)
        _check_document(response, action, key)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """Give up an upload and its parts; one that is not there is no error."""
        query = _query({"uploadId": upload})
        try:
            await self._call("AbortMultipartUpload", bucket, key, "DELETE", query)
        except ObjectNotFoundError:
            return

    async def uploads(self, bucket: str, prefix: str) -> list[tuple[str, str]]:
        """Return unfinished uploads below a prefix, as (key, id)."""
        query = _query({"uploads": "", "prefix": prefix})
        response = await self._call("ListMultipartUploads", bucket, "", "GET", query)
        document = ElementTree.fromstring(response.body)
        return [
            (_text(entry, "Key"), _text(entry, "UploadId"))
            for entry in document.iterfind("{*}Upload")
        ]

    async def _call(
        self,
        action: str,
        bucket: str,
        key: str,
        method: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        subject = f"s3://{bucket}/{key}" if key else f"bucket {bucket}"
        timeout = _TIMEOUT_S + len(body) / 1_000_000
        for _ in range(3):
            client, root = self._route(bucket)
            path = f"{root}/{quote(key, safe='/-_.~')}"
            call = Call(action, subject, method, path, query, headers or {}, body, timeout)
            try:
                response = await client.attempt_bounded(call)
                self._count(action)
                return response
            except RefusedError as error:
                if error.refusal.status in _BILLED_REFUSALS:
                    self._count(action)
                region = error.refusal.region
                moved = (
                    region and region != client.region and error.refusal.status in (301, 307, 400)
                )
                if not moved or self._aws.emulated:
                    raise translate(error.refusal, "s3", action, subject) from None
                self._regions[bucket] = region
        raise BackendError(f"s3 {action}, {subject}: redirected from region to region")

    def _count(self, action: str) -> None:
        if action.startswith(_CLASS_A):
            self.counts.s3_puts += 1
        elif not action.startswith(_FREE):
            self.counts.s3_gets += 1

    def _route(self, bucket: str) -> tuple[Client, str]:
        """Return the client for a bucket, and what goes before the key in the path."""
        region = self._regions.get(bucket)
        if self._aws.emulated or not _DNS_NAME.fullmatch(bucket):
            return self._aws.client("s3", region), f"/{bucket}"
        return self._aws.client("s3", region, bucket), ""


def _query(members: dict[str, str]) -> str:
    pairs = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in members.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _xml(text: str) -> str:
    escaped = escape(text, quote=False)
    return re.sub(r"[\x00-\x1f]", lambda found: f"&#{ord(found[0])};", escaped)


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""


def _read_listing(body: bytes) -> Listed:
    document = ElementTree.fromstring(body)
    coded = _text(document, "EncodingType") == "url"

    def name(element: ElementTree.Element, tag: str) -> str:
        text = _text(element, tag)
        return unquote_plus(text) if coded else text

    objects = [
        (name(entry, "Key"), int(_text(entry, "Size") or 0))
        for entry in document.iterfind("{*}Contents")
    ]
    folders = [name(entry, "Prefix") for entry in document.iterfind("{*}CommonPrefixes")]
    more = _text(document, "IsTruncated") == "true"
    return Listed(objects, folders, _text(document, "NextContinuationToken") if more else "")


def _check_document(response: Response, action: str, key: str) -> None:
    """Raise what is wrong under HTTP 200: these calls answer before they are done."""
    if b"<Error>" in response.body or b"<Error " in response.body:
        text = response.body.decode("utf-8", "replace")
        raise BackendError(f"s3 {action}, {key}: failed under HTTP 200: {text[:300]}")


def _check_deleted(response: Response, bucket: str) -> None:
    if b"<Error>" not in response.body:
        return
    document = ElementTree.fromstring(response.body)
    failed = [
        f"{_text(entry, 'Key')} ({_text(entry, 'Code')})" for entry in document.iterfind("{*}Error")
    ]
    raise BackendError(
        f"s3 DeleteObjects, bucket {bucket}: {len(failed)} objects were not removed, such as "
        f"{failed[0]}. Check that the policy allows s3:DeleteObject."
    )
