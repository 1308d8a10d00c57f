"""Invoke: its limits, its two ways of being called, and what is billed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from typing import Any

from aflint import limits
from aflint.localcloud.clock import Clock, pause
from aflint.localcloud.lambda_.errors import conflict, invalid, too_large
from aflint.localcloud.lambda_.functions import Function
from aflint.localcloud.lambda_.outcome import Outcome
from aflint.localcloud.lambda_.pool import Pool
from aflint.localcloud.lambda_.runtime import Image
from aflint.localcloud.snapshot import Counters
from aflint.localcloud.wire import Reply, Request, ServiceError

_RETRY_SECONDS = (60.0, 120.0)
"""What Lambda waits before it tries a failed asynchronous invocation again."""
_MOST_THROTTLE_PAUSE_S = 300.0
_EVENT_AGE_S = 6 * 3600

Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Future[Any]"]


class Invoking:
    """Runs invocations in tasks of the cloud's own, so that no caller's hanging up ends one."""

    def __init__(self, pool: Pool, clock: Clock, counters: Counters, spawn: Spawn) -> None:
        self._pool = pool
        self._clock = clock
        self._counters = counters
        self._spawn = spawn

    async def invoke(self, function: Function, request: Request) -> Reply:
        """Invoke, by its InvocationType."""
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        if kind not in ("RequestResponse", "Event", "DryRun"):
            raise invalid(f"Invocation type {kind!r} is unknown.")
        _check_payload(request.body, kind)
        if self._clock.now() < function.settled_at and function.revision == 1:
            raise conflict(
                "The operation cannot be performed at this time. The function is currently in "
                "the following state: Pending"
            )
        if kind == "DryRun":
            return Reply(204)
        run = self._run(function, request)
        if kind == "Event":
            _ = self._spawn(self._deliver(function, request, run))
            return Reply(202, headers={"x-amzn-RequestId": request.id})
        # A caller that hangs up cancels this handler, but Lambda runs the invocation to its end.
        outcome = await asyncio.shield(self._spawn(run))
        if isinstance(outcome, ServiceError):
            raise outcome
        return _reply(outcome, request)

    async def _run(self, function: Function, request: Request) -> Outcome | ServiceError:
        """Run one invocation. A refusal is returned: raised, it would end the whole task group."""
        image = Image(
            function.name, function.arn, function.revision, function.settings, function.code
        )
        trace = f"Root=1-{int(self._clock.now()):08x}-{request.id.replace('-', '')[:24]};Sampled=0"
        context = _client_context(request.headers.get("x-amz-client-context"))
        try:
            outcome = await self._pool.run(image, request.body or b"{}", request.id, trace, context)
        except ServiceError as error:
            if error.status == 429:
                self._counters.lambda_throttles += 1
            return error
        except OSError as error:
            return ServiceError("ServiceException", f"No environment could be made: {error}", 500)
        self._bill(outcome)
        return outcome

    def _bill(self, outcome: Outcome) -> None:
        counters, usage = self._counters, outcome.usage
        counters.lambda_requests += 1
        counters.lambda_billed_ms += usage.billed_ms
        counters.lambda_mb_ms += usage.billed_ms * usage.memory
        if usage.init is not None:
            counters.lambda_cold_starts += 1

    async def _deliver(
        self,
        function: Function,
        request: Request,
        run: Coroutine[Any, Any, Outcome | ServiceError],
    ) -> None:
        """An asynchronous event: throttles are waited out, failures tried again twice."""
        config = function.event_config or {}
        retries = list(_RETRY_SECONDS[: config.get("MaximumRetryAttempts", len(_RETRY_SECONDS))])
        expires = self._clock.now() + config.get("MaximumEventAgeInSeconds", _EVENT_AGE_S)
        throttle_pause = 1.0
        outcome = await run
        while True:
            # A throttle does not count as a try: it is waited out for as long as the event lives.
            if isinstance(outcome, ServiceError):
                wait, throttle_pause = (
                    throttle_pause,
                    min(throttle_pause * 2, _MOST_THROTTLE_PAUSE_S),
                )
            elif outcome.error is not None and retries:
                wait = retries.pop(0)
            else:
                return
            if self._clock.now() + wait > expires:
                return
            await pause(self._clock, wait)
            outcome = await self._run(function, request)


def _check_payload(payload: bytes, kind: str) -> None:
    event = kind == "Event"
    most = limits.LAMBDA_ASYNC_REQUEST_BYTES if event else limits.LAMBDA_REQUEST_BYTES
    if len(payload) > most:
        raise too_large(len(payload), kind, most)
    if payload:
        try:
            json.loads(payload)
        except ValueError as error:
            raise ServiceError(
                "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            ) from None


def _client_context(header: str | None) -> str | None:
    if header is None:
        return None
    try:
        return base64.b64decode(header, validate=True).decode()
    except ValueError:
        raise ServiceError(
            "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON"
        ) from None


def _reply(outcome: Outcome, request: Request) -> Reply:
    headers = {"X-Amz-Executed-Version": "$LATEST"}
    if outcome.error is not None:
        headers["X-Amz-Function-Error"] = outcome.error
    if request.headers.get("x-amz-log-type") == "Tail":
        headers["X-Amz-Log-Result"] = base64.b64encode(outcome.tail).decode()
    return Reply(200, outcome.payload, headers, "application/json")
