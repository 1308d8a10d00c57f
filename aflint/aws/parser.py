"""Reads HTTP/1.1 responses from bytes as they come: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST_HEAD_BYTES = 256 * 1024
_STATUS = re.compile(r"HTTP/1\.[01] ([1-9][0-9]{2})(?![^ ])")
_LENGTH = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}[ \t]*(?![^;])")


class MalformedResponseError(Exception):
    """Bytes that are no HTTP response."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Received:
    """A body that is read as aiobotocore's are; all of it is here already."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def content(self) -> Received:
        """The stream of the body: this itself."""
        return self

    async def read(self, size: int = -1) -> bytes:
        """Return what is left of the body, or at most `size` bytes of it."""
        begin, end = self._at, len(self._body)
        self._at = end if size < 0 else min(end, begin + size)
        return self._body if self._at - begin == end else self._body[begin : self._at]

    def at_eof(self) -> bool:
        """Say whether all was read."""
        return self._at == len(self._body)

    def close(self) -> None:
        """Do nothing: the connection was given back already."""


class ResponseParser:
    """Takes one response. `bodiless` says that it answers a HEAD request."""

    __slots__ = ("_bodiless", "_buffer", "_chunk", "_headers", "_left", "_parts", "_status")

    def __init__(self, *, bodiless: bool = False) -> None:
        self._bodiless = bodiless
        self._status = 0
        self._headers: dict[str, str] = {}
        self._buffer = b""
        self._parts: list[bytes] = []
        self._left: int | None = 0
        self._chunk = -1

    @property
    def started(self) -> bool:
        """Whether any byte has come."""
        return bool(self._status or self._buffer)

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another exchange after this one."""
        return self._left is not None and "close" not in self._headers.get("connection", "").lower()

    def response(self) -> Response:
        """Return the response; it is whole once `feed` or `end` said so."""
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return Response(self._status, self._headers, body)

    def feed(self, data: bytes) -> bool:
        """Take bytes; returns whether the response is whole.

        Raises MalformedResponseError, for bytes after its end, too.
        """
        while not self._status:
            rest = self._read_head(self._buffer + data if self._buffer else data)
            if rest is None:
                return False
            data = rest
        if self._chunk >= 0:
            return self._read_chunks(data)
        if self._left is None:
            self._parts.append(data)
            return False
        if data:
            self._parts.append(data)
            self._left -= len(data)
        if self._left < 0:
            raise MalformedResponseError("a response is longer than its Content-Length")
        return self._left == 0

    def end(self) -> bool:
        """Take the end of the connection; returns whether the response is whole."""
        return bool(self._status) and self._left is None

    def _read_head(self, data: bytes) -> bytes | None:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _MOST_HEAD_BYTES:
                raise MalformedResponseError("a response's headers do not end")
            self._buffer = data
            return None
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        begun = _STATUS.match(first)
        if begun is None:
            raise MalformedResponseError(f"{first[:80]!r} does not begin an HTTP response")
        self._buffer = b""
        rest = data[end + 4 :]
        status = int(begun[1])
        if status < 200:
            return rest
        self._status = status
        for line in lines:
            name, _, value = line.partition(":")
            self._headers[name.lower()] = value.strip()
        self._begin_body()
        if first.startswith("HTTP/1.0"):
            self._headers.setdefault("connection", "close")
        return rest

    def _begin_body(self) -> None:
        if self._bodiless or self._status in (204, 304):
            self._left = 0
        elif "chunked" in self._headers.get("transfer-encoding", "").lower():
            self._chunk = 0
        elif "content-length" in self._headers:
            length = self._headers["content-length"]
            if not _LENGTH.fullmatch(length):
                raise MalformedResponseError("Content-Length is no number")
            self._left = int(length)
        else:
            self._left = None

    def _read_chunks(self, data: bytes) -> bool:
        """Read chunks. `_chunk` is 0 before a size line, else the size and its line end, left."""
        data = self._buffer + data
        while data:
            if self._chunk == 0:
                line_end = data.find(b"\r\n")
                if line_end < 0:
                    self._check_line(data)
                    break
                begun = _SIZE.match(data[:line_end])
                if begun is None:
                    raise MalformedResponseError("a chunk's size is no number")
                size = int(begun[0], 16)
                if size == 0:
                    return self._read_trailers(data, line_end)
                data = data[line_end + 2 :]
                self._chunk = size + 2
            if len(data) < self._chunk:
                break
            self._parts.append(data[: self._chunk - 2])
            data = data[self._chunk :]
            self._chunk = 0
        self._buffer = data
        return False

    def _read_trailers(self, data: bytes, line_end: int) -> bool:
        """Say whether the trailers after the last chunk have come; they are ignored."""
        end = data.find(b"\r\n\r\n", line_end)
        if end < 0:
            self._check_line(data)
            self._buffer = data
            return False
        if end + 4 < len(data):
            raise MalformedResponseError("a response goes on after its last chunk")
        return True

    def _check_line(self, data: bytes) -> None:
        if len(data) > _MOST_HEAD_BYTES:
            raise MalformedResponseError("a line of a response's chunks does not end")
