"""An HTTP server on 127.0.0.1, as the emulator's edge and its Runtime APIs use it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

_CLOSE_SECONDS = 1.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LINE_BYTES = 64 * 1024

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class LoopbackServer:
    """Serves bodies of any size, as they came. A handler is cancelled when its client hangs up.

    A request that names another host than this machine is refused. A page in a browser can send
    one, once the page's own host name resolves to 127.0.0.1.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._http: web.Server | None = None
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen, and return the port; raises OSError when it is taken."""
        self._http = web.Server(
            self._guarded,
            request_factory=_request,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=3600.0,  # drivers keep connections between jobs
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._http, "127.0.0.1", port, backlog=1024)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def _guarded(self, request: web.BaseRequest) -> web.StreamResponse:
        if not is_loopback(request.headers.get("Host", "")):
            return web.Response(status=421, text="This is a server for 127.0.0.1 only.")
        return await self._handler(request)

    async def close(self) -> None:
        """Stop listening and drop every connection at once; harmless when done before."""
        if self._server is not None:
            self._server.close()
        if self._http is not None:
            for connection in self._http.connections:
                connection.force_close()
            await self._http.shutdown(_CLOSE_SECONDS)


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine, or nothing: a browser always names a host."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is None or name in _LOOPBACK or name.endswith(".localhost")


def no_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that keep HTTP clients from sending requests for this machine to a proxy.

    They add to what `environ` excludes already. Clients differ in which spelling they look at.
    """
    excluded = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if excluded.strip() != "*":  # which means all hosts only where it stands alone
        excluded = ",".join(filter(None, (excluded, "127.0.0.1", "localhost")))
    return {"NO_PROXY": excluded, "no_proxy": excluded}


async def read_body(request: web.BaseRequest) -> bytes:
    """Read the whole body; a client that waits for "100 Continue", as S3's do, is sent it."""
    if not request.body_exists:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await request.read()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=0)
