"""An HTTP server on 127.0.0.1, as the emulator's edge and its Runtime APIs use it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

_CLOSE_SECONDS = 1.0
_LINE_BYTES = 64 * 1024

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class LoopbackServer:
    """Bodies of any size, as they came; a handler is cancelled when its client hangs up."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._http: web.Server | None = None
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen; the answer is the port. Raises OSError when it cannot be had."""
        self._http = web.Server(
            self._handler,
            request_factory=_request,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=3600.0,
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._http, "127.0.0.1", port, backlog=1024)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop listening and drop every connection at once; harmless when done before."""
        if self._server is not None:
            self._server.close()
        if self._http is not None:
            for connection in self._http.connections:
                connection.force_close()
            await self._http.shutdown(_CLOSE_SECONDS)


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body; a client that waits for leave to send it (as S3's do) is given it."""
    if not request.body_exists:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await request.read()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=0)
