"""Digests name what is stored; what is fetched is checked by its digest before it is decoded."""

from __future__ import annotations

import hmac
from hashlib import blake2b

from aflint.errors import PayloadRefusedError
from aflint.task import Blob


def digest_of(data: bytes | memoryview) -> str:
    """Return a hash of the content: 32 hexadecimal digits, the same everywhere."""
    return blake2b(data, digest_size=16).hexdigest()


def checked(data: bytes, expected: str, what: str) -> bytes:
    """Return `data` if it has this digest. Raises PayloadRefusedError for other bytes."""
    if not hmac.compare_digest(digest_of(data), expected):
        raise PayloadRefusedError(
            f"{what} was altered in storage: the digest of its {len(data):,} bytes is not "
            f"{expected}. It was not decoded. Run the job again, and check who may write there"
        )
    return data


def checked_blob(data: bytes, blob: Blob) -> bytes:
    """Return what was read from a blob's location. Raises PayloadRefusedError for other bytes."""
    return checked(data, blob.digest, f"the object at {blob.location}")
