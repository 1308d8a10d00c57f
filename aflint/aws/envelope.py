"""What travels inside an invocation: JSON around base64, as Lambda's payloads are JSON. Pure.

Request: {"aflint", "python", and one of "task" (a packed TaskDescription), "at" (where that is
stored), "hold" (seconds to wait, for warming)}, each sealed: see `aflint.codec.sealed`. Response:
the packed TaskResult as a string, or {"at", "digest"}, or for "hold" the versions, or {"refused",
"kind"}: a reason, and the name of the error that it is for the driver.
"""

from __future__ import annotations

import sys
from typing import Any

import pybase64

from aflint.errors import FrameError
from aflint.limits import LAMBDA_REQUEST_BYTES, LAMBDA_RESPONSE_BYTES
from aflint.wire import unpack

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_SLACK = 1024
MOST_REQUEST = (LAMBDA_REQUEST_BYTES - _SLACK) // 4 * 3
"""Packed bytes that fit a request once they are base64."""

MOST_RESPONSE = (LAMBDA_RESPONSE_BYTES - _SLACK) // 4 * 3
"""Packed bytes that fit a response."""


def request(version: str, purpose: str, sealed: bytes) -> bytes:
    """Return the payload that carries what was sealed for a purpose: "task", "at" or "hold"."""
    return b'{"aflint":"%b","python":"%b","%b":"%b"}' % (
        version.encode(),
        PYTHON.encode(),
        purpose.encode(),
        pybase64.b64encode(sealed),
    )


def mismatch(event: dict[str, Any], version: str) -> str:
    """Return how the versions of a request's driver differ from those here, or ""."""
    theirs = (event.get("aflint"), event.get("python"))
    if theirs == (version, PYTHON):
        return ""
    return (
        f"the driver runs aflint {theirs[0]} on Python {theirs[1]}, "
        f"the function aflint {version} on Python {PYTHON}"
    )


def text_of(packed: bytes) -> str:
    """Return packed bytes as text that JSON can carry."""
    return pybase64.b64encode(packed).decode()


def bytes_of(text: Any) -> bytes:
    """Return the bytes that `text_of` wrote. Raises FrameError for what is no such text."""
    try:
        return pybase64.b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise FrameError(f"not a payload: {error}") from error


def value_of(text: str) -> Any:
    """Return the wire value whose packed bytes `text_of` wrote. Raises FrameError for others."""
    return unpack(bytes_of(text))
