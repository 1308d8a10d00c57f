"""Calls one service: signs, sends, and tries again within bounds."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from aflint.aws.bare.signing import EMPTY_SHA256, Credentials, Signer
from aflint.aws.connection import ConnectError, ExchangeError, Origin
from aflint.aws.failures import Kind, Refusal, read_refusal, translate
from aflint.aws.http import Http
from aflint.aws.parser import Response
from aflint.aws.retries import Retries
from aflint.errors import EndpointUnreachableError

_log = logging.getLogger("aflint.aws")

_HASH_IN_THREAD = 512 * 1024
_PASSES = (Kind.THROTTLED, Kind.TRANSIENT)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its name for messages, what it is about, and the request."""

    action: str
    subject: str
    method: str
    path: str = "/"
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_s: float = 60.0


class RefusedError(Exception):
    """A refusal that was not worth another try; the caller knows what it means."""

    def __init__(self, refusal: Refusal, call: Call) -> None:
        super().__init__(f"{call.action}: {refusal.code}")
        self.refusal = refusal
        self.call = call


class Client:
    """Calls one service at one URL, with credentials that stay.

    Everything that is the same for each call is computed once: origin, signing key, time stamp.
    """

    def __init__(
        self,
        service: str,
        region: str,
        url: str,
        credentials: Credentials,
        http: Http,
        retries: Retries | None = None,
    ) -> None:
        self.service = service
        self.region = region
        self.origin = Origin.of(url)
        self._credentials = credentials
        self._http = http
        self._signer = Signer(service, region)
        self._retries = retries or Retries()

    async def call(self, call: Call) -> Response:
        """Make a call that may be repeated without harm, and return its answer.

        Raises the error of `aflint.errors` that a refusal stands for, after bounded tries.
        """
        try:
            return await self.attempt_bounded(call)
        except RefusedError as error:
            raise translate(error.refusal, self.service, call.action, call.subject) from None

    async def attempt_bounded(self, call: Call) -> Response:
        """Do as `call` does, but raise RefusedError where the service refuses."""
        tried: Counter[Kind] = Counter()
        while True:
            try:
                response = await self._once(call)
            except (ConnectError, ExchangeError) as error:
                if isinstance(error, ExchangeError) and error.stale:
                    continue  # the connection had been closed before it was used again
                tried[Kind.TRANSIENT] += 1
                if not self._retries.again(Kind.TRANSIENT, tried[Kind.TRANSIENT]):
                    raise self._unreachable(error, call) from error
                await self._pause(call, error, tried.total())
                continue
            if response.status < 300:
                return response
            refusal = read_refusal(response)
            kind = refusal.kind
            tried[kind] += 1
            if kind not in _PASSES or not self._retries.again(kind, tried[kind]):
                raise RefusedError(refusal, call)
            await self._pause(call, refusal, tried.total(), refusal.retry_after_s)

    async def _once(self, call: Call) -> Response:
        """Send a call once and return the answer, whatever its status."""
        headers = {"host": self.origin.authority, **call.headers}
        body = call.body
        if not body:
            digest = EMPTY_SHA256
        elif len(body) < _HASH_IN_THREAD:
            digest = sha256(body).hexdigest()
        else:
            digest = (await asyncio.to_thread(sha256, body)).hexdigest()
        signed = self._signer.sign(
            self._credentials, call.method, call.path, call.query, headers, digest, time.time()
        )
        target = f"{call.path}?{call.query}" if call.query else call.path
        return await self._http.request(
            self.origin, call.method, target, signed, body, timeout=call.timeout_s
        )

    def _unreachable(self, error: Exception, call: Call) -> EndpointUnreachableError:
        return EndpointUnreachableError(
            f"{self.service} {call.action}, {call.subject}: {error}. Tasks reach "
            f"{self.origin.scheme}://{self.origin.authority} without a proxy: check their network, "
            'or set `client = "aiobotocore"`, which goes as their own environment says.'
        )

    async def _pause(self, call: Call, why: object, tried: int, least: float | None = None) -> None:
        wait = self._retries.wait(tried, random.random())
        wait = max(wait, min(least or 0.0, self._retries.most_s))
        _log.debug(
            "%s %s, %s: try %d again in %.2f s (%s)",
            self.service, call.action, call.subject, tried, wait, why,
        )  # fmt: skip
        await asyncio.sleep(wait)
