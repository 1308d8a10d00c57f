"""The Runtime API: what a runtime client asks of its environment, one loopback port for each."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from aflint.localcloud.loopback import LoopbackServer, read_body

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
    """Serves one `RuntimeHost` on a port of 127.0.0.1 that the system chooses.

    All paths begin with a token that only the environment is told: other users of this machine can
    reach the port, too.
    """

    def __init__(self, host: RuntimeHost) -> None:
        self._host = host
        self._token = secrets.token_urlsafe(24)
        self._server = LoopbackServer(self._handle)

    async def start(self) -> str:
        """Listen; the answer is `host:port/token`, what AWS_LAMBDA_RUNTIME_API is to be."""
        return f"127.0.0.1:{await self._server.start()}/{self._token}"

    async def close(self) -> None:
        """Stop listening and drop connections."""
        await self._server.close()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        _, token, path = (request.path + "/").split("/", 2)
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return _answer(403)
        match f"/{path}".removeprefix(_PREFIX).removesuffix("/").split("/"):
            case ["invocation", "next"]:
                headers, payload = await self._host.next_invocation()
                return web.Response(body=payload, headers=headers, content_type="application/json")
            case ["invocation", request_id, "response"]:
                return _answer(self._host.result(request_id, await read_body(request)))
            case ["invocation", request_id, "error"]:
                return _answer(self._host.error(request_id, await read_body(request)))
            case ["init", "error"]:
                return _answer(self._host.init_error(await read_body(request)))
        return _answer(404)


def _answer(status: int) -> web.Response:
    body = b'{"status":"OK"}' if status < 400 else b'{"errorType":"InvalidRequest"}'
    if status == 413:
        body = b'{"errorType":"RequestEntityTooLarge"}'
    return web.Response(status=status, body=body, content_type="application/json")
