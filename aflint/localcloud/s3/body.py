"""Request bodies as S3 clients send them: aws-chunked framing, checksums, content digests. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping

from aflint.localcloud.wire import Request, ServiceError

_CHECKED = ("crc32", "sha1", "sha256")
CHECKSUMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
"""Algorithms that a client may name; those that Python has are verified, all are kept."""


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
