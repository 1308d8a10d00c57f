"""The HTTP edge: reads requests, finds the service, applies access rules and faults, answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import parse_qsl

from aiohttp import web

from aflint.localcloud.access import Access
from aflint.localcloud.counters import Counters
from aflint.localcloud.faults import Dice
from aflint.localcloud.iam.policy import Asked
from aflint.localcloud.ids import new_id
from aflint.localcloud.loopback import LoopbackServer, read_body
from aflint.localcloud.resources import asked_by
from aflint.localcloud.signature import Authorization, read_authorization, signs
from aflint.localcloud.wire import Refusal, Reply, Request, Service, ServiceError

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
        region: str,
        control: Callable[[Request], Awaitable[Reply]],
        *,
        may: Callable[[str, Sequence[Asked]], bool],
        account: str,
        verify_signatures: bool = True,
    ) -> None:
        """`may` says whether a role, by its ARN, is allowed all that is asked."""
        self._services = services
        self._may = may
        self._account = account
        self._access = access
        self._dice = dice
        self._counters = counters
        self._region = region
        self._control = control
        self._verify = verify_signatures
        self._server = LoopbackServer(self._handle)

    async def start(self, port: int) -> int:
        """Listen; the answer is the port. Raises OSError when it cannot be had."""
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
            return await _send(raw, await self._control(request), request.id)
        reply = await self._serve(request, query)
        if raw.transport is not None and (reply.sent == 0 or self._dice.happens("drop_response")):
            raw.transport.abort()
        return await _send(raw, reply, request.id)

    async def _serve(self, request: Request, raw_query: str) -> Reply:
        claim = read_authorization(request.headers, request.query)
        service = self._services.get(claim.service if claim else _guess(request))
        if service is None:
            return Reply(404, _NO_SERVICE.message.encode(), content_type="text/plain")
        call = service.name
        try:
            action = service.action(request)
            call = f"{service.name}:{action}"
            self._counters.calls[call] += 1
            self._admit(service, action, claim, request, raw_query)
            return await service.handle(action, request)
        except ServiceError as error:
            self._counters.errors[f"{call}:{error.code}"] += 1
            return service.render(error, request)

    def _admit(
        self,
        service: Service,
        action: str,
        claim: Authorization | None,
        request: Request,
        raw_query: str,
    ) -> None:
        """Raise the service's own error when the request is to be turned away."""
        refusal = self._access.judge(claim, f"{service.name}:{action}")
        if refusal is None and self._verify and claim is not None:
            known = self._access.find(claim.access_key)
            parts = (request.method, request.path, raw_query, request.headers, request.body)
            if known is not None and not signs(claim, known.secret_key, *parts):
                refusal = Refusal.BAD_SIGNATURE
        if refusal is None and claim is not None:
            known = self._access.find(claim.access_key)
            if known is not None and known.role:
                asked = asked_by(service.name, action, request, self._account, self._region)
                if not self._may(known.role, asked):
                    refusal = Refusal.DENIED
        if refusal is None and self._dice.happens(service.throttle_fault):
            refusal = Refusal.THROTTLED
        if refusal is not None:
            known = self._access.find(claim.access_key) if claim else None
            actor = known.arn if known else "anonymous"
            detail = self._region if refusal is Refusal.WRONG_REGION else actor
            raise service.refuse(refusal, action, detail)


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
    if reply.length is None and not reply.sent:
        return web.Response(status=reply.status, body=reply.body, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.body) if reply.length is None else reply.length
    with suppress(ConnectionResetError):  # who asked is gone, as killed functions are
        await response.prepare(raw)
        if reply.sent:
            await response.write(reply.body[: reply.sent])
            if raw.transport is not None:
                raw.transport.close()
        await response.write_eof()
    return response
