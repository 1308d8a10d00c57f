"""One HTTP/1.1 connection over a bare asyncio protocol."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aflint.aws.parser import MalformedResponseError, Response, ResponseParser

_ONE_WRITE_BYTES = 16384


class ConnectError(Exception):
    """No connection could be made: nothing was sent. `timed_out`: not within the time for it."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class ExchangeError(Exception):
    """The connection ended, or time ran out, before the whole response had come.

    `stale`: a kept connection turned out to be closed before any byte of a response came.
    `timed_out`: time ran out.
    """

    def __init__(self, message: str, *, stale: bool = False, timed_out: bool = False) -> None:
        super().__init__(message)
        self.stale = stale
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections lead to. `authority` is the value of the Host header."""

    scheme: str
    host: str
    port: int
    authority: str

    @staticmethod
    def of(url: str) -> Origin:
        """Return the origin of a URL; the default port is left out of its authority."""
        parts = urlsplit(url)
        usual = 443 if parts.scheme == "https" else 80
        port = parts.port or usual
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        return Origin(parts.scheme, host, port, shown if port == usual else f"{shown}:{port}")


class Connection(asyncio.Protocol):
    """One connection, carrying one exchange at a time."""

    __slots__ = ("_answer", "_loop", "_parser", "closed", "idle_since", "transport", "used")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser: ResponseParser | None = None
        self._answer: asyncio.Future[Response] | None = None
        self.transport: Any = None
        self.closed = False
        self.used = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    async def exchange(self, head: bytes, body: bytes, *, bodiless: bool) -> Response:
        """Send a request and return the response; any failure closes the connection."""
        self._parser = ResponseParser(bodiless=bodiless)
        self._answer = self._loop.create_future()
        if len(body) < _ONE_WRITE_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        try:
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self.used = True
            self._answer = None

    def data_received(self, data: bytes) -> None:
        answer, parser = self._answer, self._parser
        if answer is None or parser is None or answer.done():
            self.close()  # no request is open: whatever this is, the connection cannot be trusted
            return
        try:
            if not parser.feed(data):
                return
        except MalformedResponseError as error:
            answer.set_exception(ExchangeError(str(error)))
            return
        if not parser.reusable:
            self.close()
        answer.set_result(parser.response())

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        answer, parser = self._answer, self._parser
        if answer is None or parser is None or answer.done():
            return
        if error is None and parser.end():
            answer.set_result(parser.response())
            return
        why = f"the connection was closed ({error})" if error else "the connection was closed"
        stale = self.used and not parser.started
        answer.set_exception(ExchangeError(why, stale=stale))

    def close(self) -> None:
        """Close at once."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()
