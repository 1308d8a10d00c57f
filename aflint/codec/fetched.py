"""Checks what was fetched from storage by its digest, before anything of it is decoded."""

from __future__ import annotations

import hmac

from aflint.codec.closure import digest
from aflint.errors import PayloadRefusedError
from aflint.task import Blob


def checked(data: bytes, expected: str, what: str) -> bytes:
    """Return `data` if it has this digest. Raises PayloadRefusedError for other bytes."""
    if not hmac.compare_digest(digest(data), expected):
        raise PayloadRefusedError(
            f"{what} was altered in storage: the digest of its {len(data):,} bytes is not "
            f"{expected}. It was not decoded. Run the job again, and check who may write there"
        )
    return data


def checked_blob(data: bytes, blob: Blob) -> bytes:
    """Return what was read from a blob's location. Raises PayloadRefusedError for other bytes."""
    return checked(data, blob.digest, f"the object at {blob.location}")
