"""What travels inside an invocation: JSON around base64, as Lambda's payloads are JSON. Pure.

Request: {"aflint", "python", and one of "task" (a packed TaskDescription), "at" (where it is
stored), "hold" (seconds to wait, for warming)}. Response: the packed TaskResult as a string, or
{"at"}, {"refused"} with a reason, or for "hold" the versions.
"""

from __future__ import annotations

import json
import sys
from binascii import a2b_base64, b2a_base64
from typing import Any

from aflint.errors import FrameError
from aflint.limits import LAMBDA_REQUEST_BYTES, LAMBDA_RESPONSE_BYTES
from aflint.wire import unpack

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_SLACK = 1024
MOST_REQUEST = (LAMBDA_REQUEST_BYTES - _SLACK) // 4 * 3
"""Packed bytes that fit a request once they are base64."""

MOST_RESPONSE = (LAMBDA_RESPONSE_BYTES - _SLACK) // 4 * 3
"""Packed bytes that fit a response."""


def request(version: str, packed: bytes) -> bytes:
    """Return the payload that carries a packed task inline."""
    return b'{"aflint":"%b","python":"%b","task":"%b"}' % (
        version.encode(),
        PYTHON.encode(),
        b2a_base64(packed, newline=False),
    )


def other_request(version: str, **members: Any) -> bytes:
    """Return the payload that says where the task is stored (`at`), or asks to `hold`."""
    return json.dumps({"aflint": version, "python": PYTHON, **members}).encode()


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
    return b2a_base64(packed, newline=False).decode()


def value_of(text: str) -> Any:
    """Return the wire value whose packed bytes `text_of` wrote. Raises FrameError for others."""
    try:
        packed = a2b_base64(text)
    except ValueError as error:
        raise FrameError(f"not a wire value: {error}") from error
    return unpack(packed)
