"""The Runtime API: what a runtime client asks of its environment, one loopback port for each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

_PREFIX = "/2018-06-01/runtime/"


class RuntimeHost(Protocol):
    """The environment behind the API."""

    async def next_invocation(self) -> tuple[Mapping[str, str], bytes]:
        """Headers and payload of the next invocation, when there is one."""

    def result(self, request_id: str, body: bytes) -> int:
        """The function returned; the HTTP status to answer."""

    def error(self, request_id: str, body: bytes) -> int:
        """The function raised; the HTTP status to answer."""

    def init_error(self, body: bytes) -> int:
        """Loading the function failed; the HTTP status to answer."""


class RuntimeApi:
    """Serves one `RuntimeHost` on a port of 127.0.0.1 that the system chooses."""

    def __init__(self, host: RuntimeHost) -> None:
        self._host = host
        self._server: asyncio.Server | None = None
        self._http: web.Server | None = None

    async def start(self) -> str:
        """Listen; the answer is `host:port`."""
        self._http = web.Server(
            self._handle, request_factory=_request, handler_cancellation=True, access_log=None
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._http, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return f"127.0.0.1:{port}"

    async def close(self) -> None:
        """Stop listening and drop connections."""
        if self._server is not None:
            self._server.close()
        if self._http is not None:
            await self._http.shutdown(0)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        match request.path.removeprefix(_PREFIX).split("/"):
            case ["invocation", "next"]:
                headers, payload = await self._host.next_invocation()
                return web.Response(body=payload, headers=headers, content_type="application/json")
            case ["invocation", request_id, "response"]:
                return _answer(self._host.result(request_id, await request.read()))
            case ["invocation", request_id, "error"]:
                return _answer(self._host.error(request_id, await request.read()))
            case ["init", "error"]:
                return _answer(self._host.init_error(await request.read()))
        return _answer(404)


def _answer(status: int) -> web.Response:
    body = b'{"status":"OK"}' if status < 400 else b'{"errorType":"InvalidRequest"}'
    if status == 413:
        body = b'{"errorType":"RequestEntityTooLarge"}'
    return web.Response(status=status, body=body, content_type="application/json")


def _request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=0)
