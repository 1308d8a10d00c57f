"""Inputs that once made a target fail: each is run again by every `make test`."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_METRICS = '{"type": "platform.report", "record": {"metrics": %s}}'
_DEEP = "[" * 4000


def _logged(text: str, body: bytes = b"{}") -> bytes:
    return b2a_base64(text.encode(), newline=False) + b"\n" + body


FINDS: Mapping[str, tuple[bytes, ...]] = {
    "response": (
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1100,  # one within the other, until the stack was full
        _CHUNKED + b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",  # taken as the end if it came at once
    ),
    "invocation": (
        b"\xc3\xa9\n{}",  # a log that is no base64
        _logged("", _DEEP.encode()),
        _logged("REPORT RequestId: 1\tDuration: 1.2.3 ms\tMemory Size: 1.5 MB"),
        _logged(_METRICS % "[]"),
        _logged(_METRICS % _DEEP),
        _logged(_METRICS % '{"durationMs": 1, "billedDurationMs": 1, "memorySizeMB": Infinity}'),
    ),
    "text": (b"\x00\x00a\nb\n",),  # utf-16 without a byte order mark
}
