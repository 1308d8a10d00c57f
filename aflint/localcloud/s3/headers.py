"""What headers say of a request: framing and checksums of its body, conditions, a range. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from aflint.localcloud.s3.errors import failed_precondition, no_key
from aflint.localcloud.wire import Request, ServiceError

_CHECKED = ("crc32", "sha1", "sha256")
CHECKSUMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
"""Algorithms that a client may name; those that Python has are verified, all are kept."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def decode_body(request: Request) -> tuple[bytes, dict[str, str]]:
    """The object's own bytes, and the checksums that came with them (algorithm: base64).

    Raises ServiceError: IncompleteBody, BadDigest or InvalidDigest.
    """
    body, sums = request.body, dict(request.headers)
    if "aws-chunked" in request.headers.get("content-encoding", "") or request.headers.get(
        "x-amz-content-sha256", ""
    ).startswith("STREAMING-"):
        body, trailers = _unchunk(request.body)
        sums.update(trailers)
        expected = request.headers.get("x-amz-decoded-content-length")
        if expected is not None and int(expected) != len(body):
            raise _incomplete()
    _check_digest(request.headers.get("content-md5"), body)
    lowered = {name.lower(): value for name, value in sums.items()}
    found = {
        name: lowered["x-amz-checksum-" + name]
        for name in CHECKSUMS
        if "x-amz-checksum-" + name in lowered
    }
    for name, value in found.items():
        if name in _CHECKED and value != checksum(name, body):
            raise ServiceError(
                "BadDigest",
                f"The {name.upper()} you specified did not match the calculated checksum.",
            )
    return body, found


def checksum(algorithm: str, body: bytes) -> str:
    """The base64 of one of crc32, sha1, sha256."""
    if algorithm == "crc32":
        raw = zlib.crc32(body).to_bytes(4, "big")
    else:
        raw = hashlib.new(algorithm, body, usedforsecurity=False).digest()
    return base64.b64encode(raw).decode()


def stored_encoding(headers: Mapping[str, str]) -> str | None:
    """Content-Encoding as kept with the object: without the framing."""
    parts = [part.strip() for part in headers.get("content-encoding", "").split(",")]
    kept = [part for part in parts if part and part != "aws-chunked"]
    return ",".join(kept) or None


def check_read(headers: Mapping[str, str], etag: str, modified: float) -> None:
    """If-Match and its kin for GET, HEAD and the source of a copy; raises 304 or 412 errors."""
    # An ETag wins over a date: If-Match over If-Unmodified-Since, and likewise (RFC 9110, 13.2.2).
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None:
        if not _names(match, etag):
            raise failed_precondition("If-Match")
    elif (since := headers.get("if-unmodified-since")) and modified > _seconds(since, modified):
        raise failed_precondition("If-Unmodified-Since")
    if none_match is not None:
        if _names(none_match, etag):
            raise ServiceError("NotModified", "Not Modified", 304)
    elif (since := headers.get("if-modified-since")) and int(modified) <= _seconds(since, 0):
        raise ServiceError("NotModified", "Not Modified", 304)


def check_write(headers: Mapping[str, str], key: str, etag: str | None) -> None:
    """If-None-Match: * and If-Match for PUT; `etag` is the present object's, if there is one."""
    if headers.get("if-none-match") is not None and etag is not None:
        raise failed_precondition("If-None-Match")
    match = headers.get("if-match")
    if match is not None:
        if etag is None:
            raise no_key(key)
        if not _names(match, etag):
            raise failed_precondition("If-Match")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return (start, length) of a Range header; None without one, or for one that S3 ignores.

    Raises InvalidRange (416) when it begins past the end.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        start = size - length
    else:
        start = int(found[1])
        end = min(int(found[2]), size - 1) if found[2] else size - 1
        length = end - start + 1
        if found[2] and int(found[2]) < start:
            return None  # S3 gives the whole object for a range that ends before it begins
    if start >= size or length <= 0:
        raise ServiceError(
            "InvalidRange",
            "The requested range is not satisfiable",
            416,
            fields={"RangeRequested": str(header), "ActualObjectSize": str(size)},
        )
    return start, length


def _unchunk(framed: bytes) -> tuple[bytes, dict[str, str]]:
    parts: list[bytes] = []
    at = 0
    while True:
        end = framed.find(b"\r\n", at)
        if end < 0:
            raise _incomplete()
        try:
            size = int(framed[at:end].partition(b";")[0], 16)
        except ValueError:
            raise _incomplete() from None
        at = end + 2
        if size == 0:
            break
        parts.append(framed[at : at + size])
        if len(parts[-1]) != size or framed[at + size : at + size + 2] != b"\r\n":
            raise _incomplete()
        at += size + 2
    lines = framed[at:].decode("latin-1").split("\r\n")
    trailers = {
        name.strip(): value.strip()
        for name, found, value in (x.partition(":") for x in lines)
        if found
    }
    return b"".join(parts), trailers


def _check_digest(sent: str | None, body: bytes) -> None:
    if sent is None:
        return
    try:
        digest = base64.b64decode(sent, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if digest != hashlib.md5(body, usedforsecurity=False).digest():
        raise ServiceError(
            "BadDigest", "The Content-MD5 you specified did not match what we received."
        )


def _incomplete() -> ServiceError:
    return ServiceError(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )


def _names(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or etag in tags


def _seconds(date: str, otherwise: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return otherwise
