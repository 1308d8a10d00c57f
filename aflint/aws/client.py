"""One client per service and region: builds, signs, sends, and tries again within bounds."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from hashlib import sha256

from aflint.aws.connection import ConnectError, ExchangeError, Origin
from aflint.aws.credentials import CredentialSource, credentials_for, find_region
from aflint.aws.endpoints import configured_url, dns_suffix, endpoint_url
from aflint.aws.failures import Kind, Refusal, read_refusal, translate
from aflint.aws.http import Http
from aflint.aws.parser import Response
from aflint.aws.signing import EMPTY_SHA256, Signer
from aflint.errors import EndpointUnreachableError

_HASH_IN_THREAD = 512 * 1024


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and when a call is tried again, in seconds.

    `attempts` counts all tries; `throttled` those of a call that is being throttled.
    """

    attempts: int = 4
    throttled: int = 9
    base_s: float = 0.1
    most_s: float = 10.0

    def wait(self, tried: int, chance: float) -> float:
        """Return the pause after `tried` tries; `chance`, from 0 to 1, is its jitter."""
        whole: float = min(self.most_s, self.base_s * 2.0 ** (tried - 1))
        return whole * (0.5 + chance / 2)

    def again(self, kind: Kind, tried: int) -> bool:
        """Say whether to try once more."""
        return tried < (self.throttled if kind is Kind.THROTTLED else self.attempts)


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
    """Calls one service.

    Everything that is the same for each call is computed once: origin, signing key, time stamp.
    """

    def __init__(
        self,
        service: str,
        region: str,
        url: str,
        credentials: CredentialSource,
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
        self._skew_s = 0.0

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
        fresh = False
        while True:
            try:
                response = await self.once(call, fresh=fresh)
            except (ConnectError, ExchangeError) as error:
                if isinstance(error, ExchangeError) and error.stale:
                    continue  # the connection had been closed before it was used again
                tried[Kind.TRANSIENT] += 1
                if not self._retries.again(Kind.TRANSIENT, tried[Kind.TRANSIENT]):
                    raise self.unreachable(error, call) from error
                await self._pause(tried.total())
                continue
            if response.status < 300 or response.status == 304:
                return response
            refusal = read_refusal(response)
            kind = refusal.kind
            tried[kind] += 1
            if kind is Kind.FINAL or not self._retries.again(kind, tried[kind]):
                raise RefusedError(refusal, call)
            if kind in (Kind.EXPIRED, Kind.SKEWED):
                if fresh:
                    raise RefusedError(refusal, call)
                self.learn_time(refusal)
                fresh = True
            else:
                await self._pause(tried.total(), refusal.retry_after_s)

    async def once(self, call: Call, *, fresh: bool = False) -> Response:
        """Send a call once and return the answer, whatever its status.

        Raises ConnectError, ExchangeError or CredentialsError.
        """
        credentials = await self._credentials.get(fresh=fresh)
        headers = {"host": self.origin.authority, **call.headers}
        body = call.body
        if not body:
            digest = EMPTY_SHA256
        elif len(body) < _HASH_IN_THREAD:
            digest = sha256(body).hexdigest()
        else:
            digest = (await asyncio.to_thread(sha256, body)).hexdigest()
        signed = self._signer.sign(
            credentials,
            call.method,
            call.path,
            call.query,
            headers,
            digest,
            self.now(),
        )
        target = f"{call.path}?{call.query}" if call.query else call.path
        return await self._http.request(
            self.origin, call.method, target, signed, body, timeout=call.timeout_s
        )

    def now(self) -> float:
        """Return seconds since 1970 by the service's clock, as far as it is known."""
        return time.time() + self._skew_s

    def unreachable(self, error: Exception, call: Call) -> EndpointUnreachableError:
        """Return the error for a service that cannot be reached."""
        return EndpointUnreachableError(
            f"{self.service} {call.action}, {call.subject}: {error}. Check the network, `region` "
            f"({self.region}) and `endpoint_url` ({self.origin.scheme}://{self.origin.authority})."
        )

    async def _pause(self, tried: int, least: float | None = None) -> None:
        wait = self._retries.wait(tried, random.random())
        await asyncio.sleep(max(wait, min(least or 0.0, self._retries.most_s)))

    def renew(self, response: Response) -> bool:
        """Say whether a refused call may go through with a fresh signature; learn what it needs."""
        refusal = read_refusal(response)
        self.learn_time(refusal)
        return refusal.kind in (Kind.EXPIRED, Kind.SKEWED)

    def learn_time(self, refusal: Refusal) -> None:
        """Take over the service's clock where it says that ours is wrong."""
        if refusal.kind is Kind.SKEWED and refusal.date:
            self._skew_s = parsedate_to_datetime(refusal.date).timestamp() - time.time()


class Aws:
    """What all clients share: region, credentials, connections. Made once, and kept.

    `region`: None for what AWS's own settings say. `endpoint_url`: where services are emulated.
    Making one opens nothing; it belongs to the loop that first makes a call.

    Raises ConfigError where no region is known.
    """

    def __init__(
        self,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        credentials: CredentialSource | None = None,
        retries: Retries | None = None,
    ) -> None:
        self.region = region or find_region(profile)
        self.endpoint_url = endpoint_url
        self._credentials = credentials or credentials_for(profile, os.environ)
        self._retries = retries
        self._http = Http()
        self._clients: dict[tuple[str, str], Client] = {}

    @property
    def emulated(self) -> bool:
        """Whether services are not at AWS's own address (then buckets are named in the path)."""
        ours = dns_suffix(self.region)
        named = self.endpoint_url or configured_url("s3", os.environ)
        return named is not None and not named.endswith(f"s3.{self.region}.{ours}")

    def client(self, service: str, region: str | None = None, host_prefix: str = "") -> Client:
        """Return the client of a service: "sqs", "s3" or "lambda", the same one each time.

        `host_prefix` goes before the host's name, as a bucket's name does.
        """
        region = region or self.region
        key = (service, f"{region}/{host_prefix}")
        if key not in self._clients:
            url = endpoint_url(service, region, os.environ, self.endpoint_url)
            if host_prefix:
                scheme, _, rest = url.partition("://")
                url = f"{scheme}://{host_prefix}.{rest}"
            self._clients[key] = Client(
                service, region, url, self._credentials, self._http, self._retries
            )
        return self._clients[key]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()
