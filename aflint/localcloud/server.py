"""The HTTP edge: one socket of 127.0.0.1 for all services, and for the emulator's own endpoints.

Tests in other processes use the latter. Their bearer token is the user's secret access key:

    GET  /_localcloud/snapshot      a Snapshot as JSON
    POST /_localcloud/faults        {"duplicate": 0.1, ...}: these faults from now on
    POST /_localcloud/denied        ["s3:PutObject", ...]: these denials from now on
    POST /_localcloud/credentials   {"expired": true}
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from aflint.localcloud.access import Access
from aflint.localcloud.faults import Dice, Faults
from aflint.localcloud.loopback import LoopbackServer, read_body
from aflint.localcloud.refusals import Refusal, refusal
from aflint.localcloud.signature import read_authorization
from aflint.localcloud.snapshot import Counters, Snapshot
from aflint.localcloud.wire import Reply, Request, Service, ServiceError, new_id

CONTROL_PREFIX = "/_localcloud/"
_NO_SERVICE = ServiceError("UnknownService", "localcloud serves sqs, s3, lambda, iam and sts.", 404)


class Edge:
    """One listening socket of 127.0.0.1 for all services."""

    def __init__(
        self,
        services: Mapping[str, Service],
        access: Access,
        dice: Dice,
        counters: Counters,
        control: Control,
    ) -> None:
        self._services = services
        self._access = access
        self._dice = dice
        self._counters = counters
        self._control = control
        self._server = LoopbackServer(self._handle)

    async def start(self, port: int) -> int:
        """Listen, and return the port; raises OSError when it is taken."""
        return await self._server.start(port)

    async def close(self) -> None:
        """Stop listening and drop connections."""
        await self._server.close()

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        path, _, query = raw.raw_path.partition("?")
        request = Request(
            raw.method,
            path,
            dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            raw.headers,
            await read_body(raw),
            new_id(),
        )
        if path.startswith(CONTROL_PREFIX):
            return await _send(raw, self._control.answer(request), request.id)
        reply = await self._serve(request, query)
        # Only now: the fault is an effect without an answer, not a request that was never seen.
        if raw.transport is not None and (reply.sent == 0 or self._dice.happens("drop_response")):
            raw.transport.abort()
        return await _send(raw, reply, request.id)

    async def _serve(self, request: Request, raw_query: str) -> Reply:
        # A signed request names its service; one that is not is looked at, for the error's shape.
        claim = read_authorization(request.headers, request.query)
        service = self._services.get(claim.service if claim else _guess(request))
        if service is None:
            return Reply(404, _NO_SERVICE.message.encode(), content_type="text/plain")
        call = service.name
        try:
            action = service.action(request)
            call = f"{service.name}:{action}"
            self._counters.calls[call] += 1
            self._access.admit(service, action, claim, request, raw_query)
            if self._dice.happens(service.throttle_fault):
                raise refusal(Refusal.THROTTLED, service.name, action)
            return await service.handle(action, request)
        except ServiceError as error:
            self._counters.errors[f"{call}:{error.code}"] += 1
            return service.render(error, request)


def _guess(request: Request) -> str:
    """The service of a request that is not signed."""
    if request.headers.get("x-amz-target", "").startswith("AmazonSQS."):
        return "sqs"
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return "sts" if form and request.path == "/" else "s3"


async def _send(raw: web.BaseRequest, reply: Reply, request_id: str) -> web.StreamResponse:
    headers = {"x-amzn-RequestId": request_id, "x-amz-request-id": request_id, **reply.headers}
    if reply.content_type is not None:
        headers["Content-Type"] = reply.content_type
    if reply.length is None and not reply.sent:  # the usual answer, sent in one piece
        return web.Response(status=reply.status, body=reply.body, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.body) if reply.length is None else reply.length
    with suppress(ConnectionResetError):  # the client is gone, as a function that was killed is
        await response.prepare(raw)
        if reply.sent:
            await response.write(reply.body[: reply.sent])
            if raw.transport is not None:
                raw.transport.close()
        await response.write_eof()
    return response


class Control:
    """Answers the emulator's own endpoints by the callables it is given."""

    def __init__(
        self,
        secret: str,
        snapshot: Callable[[], Snapshot],
        set_faults: Callable[[Faults], None],
        deny: Callable[[list[str]], None],
        expire: Callable[[bool], None],
    ) -> None:
        self._secret = secret
        self._snapshot = snapshot
        self._set_faults = set_faults
        self._deny = deny
        self._expire = expire

    def answer(self, request: Request) -> Reply:
        """Answer one request: 401 without the token, 404 for another path, 400 for a bad body."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(token.encode(), self._secret.encode()):
            return _json(401, {"error": "give the secret access key as a bearer token"})
        try:
            return self._carry_out(request)
        except (ValueError, TypeError, AttributeError) as error:
            return _json(400, {"error": str(error)})

    def _carry_out(self, request: Request) -> Reply:
        match request.method, request.path.rsplit("/", 1)[-1]:
            case "GET", "snapshot":
                return _json(200, self._snapshot().as_dict())
            case "POST", "faults":
                self._set_faults(Faults.from_mapping(json.loads(request.body)))
            case "POST", "denied":
                self._deny([str(pattern) for pattern in json.loads(request.body)])
            case "POST", "credentials":
                self._expire(bool(json.loads(request.body)["expired"]))
            case _:
                return _json(404, {"error": f"nothing at {request.method} {request.path}"})
        return _json(200, {})


def _json(status: int, content: Any) -> Reply:
    return Reply(status, json.dumps(content).encode(), content_type="application/json")
