"""The operations on objects and their tags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qsl, unquote
from xml.etree.ElementTree import ParseError

from aflint import limits
from aflint.localcloud.clock import Clock
from aflint.localcloud.s3.buckets import Blob, Bucket, Buckets, StoredObject
from aflint.localcloud.s3.buckets_api import stamp, xml_reply
from aflint.localcloud.s3.errors import invalid_argument, malformed_xml
from aflint.localcloud.s3.headers import (
    byte_range,
    check_read,
    check_write,
    checksum,
    decode_body,
    stored_encoding,
)
from aflint.localcloud.s3.routes import split_path
from aflint.localcloud.wire import Reply, Request, ServiceError, Value, parse

_KEPT = ("content-type", "cache-control", "content-disposition", "content-language", "expires")
_MOST_KEY_BYTES = 1024
_MOST_DELETED = 1000
_MOST_METADATA = 2048


class ObjectsApi:
    """What can be asked about objects."""

    def __init__(self, buckets: Buckets, clock: Clock, folder: Path) -> None:
        self._buckets = buckets
        self._clock = clock
        self._folder = folder

    def _find(self, request: Request) -> tuple[Bucket, str]:
        name, key = split_path(request.path)
        bucket = self._buckets.get(name)
        check_key(key)
        return bucket, key

    def put_object(self, request: Request) -> Reply:
        """PutObject, with If-None-Match and If-Match."""
        bucket, key = self._find(request)
        present = bucket.objects.get(key)
        check_write(request.headers, key, present.etag if present else None)
        body, sums = decode_body(request)
        check_size(len(body))
        if not sums:  # S3 computes one where a client sends none
            sums = {"crc32": checksum("crc32", body)}
        stored = StoredObject(
            key,
            Blob(body, self._folder),
            hashlib.md5(body, usedforsecurity=False).hexdigest(),
            self._clock.now(),
            kept_headers(request.headers),
            sums,
            header_tags(request.headers),
        )
        bucket.put(stored)
        return Reply(200, headers={"ETag": f'"{stored.etag}"', **_sum_headers(sums)})

    def get_object(self, request: Request) -> Reply:
        """GetObject, whole or by Range."""
        bucket, key = self._find(request)
        stored = bucket.get(key)
        check_read(request.headers, stored.etag, stored.modified)
        chosen = byte_range(request.headers.get("range"), stored.blob.size)
        headers = _object_headers(stored, request, whole=chosen is None)
        start, length = chosen or (0, stored.blob.size)
        if chosen is not None:
            end = start + length - 1
            headers["Content-Range"] = f"bytes {start}-{end}/{stored.blob.size}"
        body = stored.blob.read(start, length)
        content_type = headers.pop("Content-Type", None)
        return Reply(200 if chosen is None else 206, body, headers, content_type)

    def head_object(self, request: Request) -> Reply:
        """HeadObject."""
        bucket, key = self._find(request)
        stored = bucket.get(key)
        check_read(request.headers, stored.etag, stored.modified)
        chosen = byte_range(request.headers.get("range"), stored.blob.size)
        headers = _object_headers(stored, request, whole=chosen is None)
        content_type = headers.pop("Content-Type", None)
        length = stored.blob.size if chosen is None else chosen[1]
        status = 200 if chosen is None else 206
        return Reply(status, b"", headers, content_type, length=length)

    def delete_object(self, request: Request) -> Reply:
        """DeleteObject: the same answer whether it was there or not."""
        bucket, key = self._find(request)
        bucket.delete(key)
        return Reply(204)

    def delete_objects(self, request: Request) -> Reply:
        """DeleteObjects: up to 1,000 keys."""
        bucket = self._buckets.get(split_path(request.path)[0])
        decode_body(request)
        try:
            root = parse(request.body)
        except ParseError:
            raise malformed_xml() from None
        keys = [element.findtext("Key") or "" for element in root.findall("Object")]
        if not 1 <= len(keys) <= _MOST_DELETED or "" in keys:
            raise malformed_xml()
        for key in keys:
            bucket.delete(key)
        quiet = root.findtext("Quiet") == "true"
        deleted: list[Value] = [] if quiet else [{"Key": key} for key in keys]
        return xml_reply("DeleteResult", {"Deleted": deleted})

    def source(self, request: Request) -> StoredObject:
        """The object that a copy reads from, its conditions checked."""
        text = unquote(request.headers["x-amz-copy-source"].partition("?")[0])
        name, _, key = text.lstrip("/").partition("/")
        stored = self._buckets.get(name).get(key)
        prefix = "x-amz-copy-source-if-"
        conditions = {
            "if-" + header.lower().removeprefix(prefix): value
            for header, value in request.headers.items()
            if header.lower().startswith(prefix)
        }
        try:
            check_read(conditions, stored.etag, stored.modified)
        except ServiceError as error:
            if error.status != 304:  # a copy has no "not modified": that is a failed condition
                raise
            raise ServiceError("PreconditionFailed", error.message, 412) from None
        return stored

    def copy_object(self, request: Request) -> Reply:
        """CopyObject, keeping or replacing metadata and tags."""
        bucket, key = self._find(request)
        present = bucket.objects.get(key)
        check_write(request.headers, key, present.etag if present else None)
        source = self.source(request)
        replaces = request.headers.get("x-amz-metadata-directive") == "REPLACE"
        if source is present and not replaces:
            raise ServiceError(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself "
                "without changing the object's metadata.",
            )
        retags = request.headers.get("x-amz-tagging-directive") == "REPLACE"
        stored = StoredObject(
            key,
            Blob(source.blob.read(0, source.blob.size), self._folder),
            source.etag,
            self._clock.now(),
            kept_headers(request.headers) if replaces else source.headers,
            source.checksums,
            header_tags(request.headers) if retags else source.tags,
        )
        bucket.put(stored)
        return xml_reply(
            "CopyObjectResult",
            {"LastModified": stamp(stored.modified), "ETag": f'"{stored.etag}"'},
        )

    def get_tagging(self, request: Request) -> Reply:
        """GetObjectTagging."""
        bucket, key = self._find(request)
        tags: list[Value] = [
            {"Key": name, "Value": value} for name, value in bucket.get(key).tags.items()
        ]
        return xml_reply("Tagging", {"TagSet": {"Tag": tags}})

    def put_tagging(self, request: Request) -> Reply:
        """PutObjectTagging."""
        try:
            found = parse(request.body).findall("TagSet/Tag")
        except ParseError:
            raise malformed_xml() from None
        tags = {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in found}
        return self._retag(request, tags, 200)

    def delete_tagging(self, request: Request) -> Reply:
        """DeleteObjectTagging."""
        return self._retag(request, {}, 204)

    def _retag(self, request: Request, tags: dict[str, str], status: int) -> Reply:
        bucket, key = self._find(request)
        stored = bucket.get(key)
        bucket.put(StoredObject(**{**vars(stored), "tags": _checked_tags(tags)}))
        return Reply(status)


def check_key(key: str) -> None:
    """Raises KeyTooLongError past 1,024 bytes of UTF-8."""
    if len(key.encode()) > _MOST_KEY_BYTES:
        raise ServiceError("KeyTooLongError", "Your key is too long")


def check_size(size: int) -> None:
    """Raises EntityTooLarge past 5 GiB, the most for one PUT."""
    if size > limits.S3_PART_MAX_BYTES:
        raise ServiceError(
            "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."
        )


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a PUT that a GET gives back; raises MetadataTooLarge past 2 KB."""
    kept = {name.title(): headers[name] for name in _KEPT if name in headers}
    if encoding := stored_encoding(headers):
        kept["Content-Encoding"] = encoding
    prefix = "x-amz-meta-"
    own = {
        name.lower(): value for name, value in headers.items() if name.lower().startswith(prefix)
    }
    size = sum(len(name) - len(prefix) + len(value.encode()) for name, value in own.items())
    if size > _MOST_METADATA:
        raise ServiceError(
            "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"
        )
    kept.setdefault("Content-Type", "binary/octet-stream")
    return {**kept, **own}


def header_tags(headers: Mapping[str, str]) -> dict[str, str]:
    """The tags of an x-amz-tagging header."""
    return _checked_tags(dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)))


def _checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > 10:
        raise ServiceError("BadRequest", "Object tags cannot be greater than 10")
    if any(not name or len(name) > 128 or len(value) > 256 for name, value in tags.items()):
        raise ServiceError("InvalidTag", "The tag provided was not a valid tag.")
    return tags


def _sum_headers(sums: Mapping[str, str]) -> dict[str, str]:
    return {"x-amz-checksum-" + name: value for name, value in sums.items()}


def _object_headers(stored: StoredObject, request: Request, *, whole: bool) -> dict[str, str]:
    headers = {
        "ETag": f'"{stored.etag}"',
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        **stored.headers,
    }
    if stored.tags:
        headers["x-amz-tagging-count"] = str(len(stored.tags))
    if stored.part_sizes:
        headers["x-amz-mp-parts-count"] = str(len(stored.part_sizes))
    if whole and request.headers.get("x-amz-checksum-mode") == "ENABLED":
        headers.update(_sum_headers(stored.checksums))
    for name, value in request.query.items():
        if name.startswith("response-"):
            headers[name.removeprefix("response-").title()] = value
    if "partNumber" in request.query:
        raise invalid_argument("localcloud does not read objects by part number")
    return headers
