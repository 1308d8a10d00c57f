"""aiobotocore's HTTP session, over aflint's own connections where the way to AWS is plain.

It is given to aiobotocore by `AioConfig(http_session_cls=...)`. A request that needs a proxy, a
client certificate or a body that is streamed goes the way that it always goes.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar

from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.httpsession import AIOHTTPSession
from botocore import exceptions as its

from aflint.aws.connection import ConnectError, ExchangeError, Origin
from aflint.aws.endpoints import is_loopback
from aflint.aws.http import Http

_BYTES_PER_S = 1_000_000
"""How fast at least a body has to be sent, on top of the time for which an answer is waited for."""


class PlainHttpSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore ships no types
    """Takes the arguments that aiobotocore's endpoint creator gives to each of its sessions.

    A client's session is kept in `made` of the class that its configuration names.
    """

    made: ClassVar[list[PlainHttpSession]] = []

    def __init__(
        self,
        verify: bool | str = True,
        proxies: dict[str, str] | None = None,
        timeout: float | tuple[float, float] | None = None,
        client_cert: Any = None,
        **others: Any,
    ) -> None:
        super().__init__(
            verify=verify, proxies=proxies, timeout=timeout, client_cert=client_cert, **others
        )
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        self._read_timeout = read or 60.0
        self._proxies = proxies or {}
        self._can_be_plain = client_cert is None
        self._http = Http(connect_timeout=connect or 60.0, verify=verify)
        self._origins: dict[str, tuple[Origin, bool]] = {}
        self.made.append(self)

    @classmethod
    def of_one_client(cls) -> type[PlainHttpSession]:
        """Return a class for the configuration of one client."""
        return type(cls.__name__, (cls,), {"made": []})

    async def __aexit__(self, *raised: Any) -> None:
        await self._http.aclose()
        await super().__aexit__(*raised)

    async def send(self, request: Any) -> Any:
        """Send a prepared request and return aiobotocore's response. Raises botocore's errors."""
        base, slash, rest = request.url[8:].partition("/")
        base = request.url[:8] + base
        if base not in self._origins:
            self._origins[base] = self._look_at(base)
        origin, direct = self._origins[base]
        body = request.body
        if isinstance(body, str):
            body = body.encode()
        elif type(body) is BytesIO:  # into which botocore puts the bytes of an object
            body = body.getvalue()[body.tell() :]
        if not direct or not (body is None or isinstance(body, bytes | bytearray)):
            return await self._send_as_always(request)
        return await self._exchange(request, origin, slash + rest or "/", bytes(body or b""))

    async def _send_as_always(self, request: Any) -> Any:
        try:
            response = await super().send(request)
        except ValueError as error:  # that of a URL
            raise its.ProxyConnectionError(proxy_url="as set", error=error) from error
        if response.status_code == 407:  # no service's answer, though it would be read as one
            wanted = "407: it wants another user and password"
            raise its.ProxyConnectionError(proxy_url="as set", error=wanted)
        return response

    def _look_at(self, base: str) -> tuple[Origin, bool]:
        """Return the origin of URLs, and whether it is reached directly. No proxy could reach this
        machine itself.
        """
        scheme = base.partition(":")[0]
        direct = is_loopback(base) or not self._proxies.get(scheme)
        return Origin.of(base), direct and self._can_be_plain

    async def _exchange(self, request: Any, origin: Origin, target: str, body: bytes) -> Any:
        headers = {"host": origin.authority}
        for name, value in request.headers.items():
            if name.lower() not in ("content-length", "expect"):  # the first is added for all
                headers[name] = value if isinstance(value, str) else value.decode("latin-1")
        context = getattr(request, "context", None) or {}
        timeout = context.get("read_timeout") or self._read_timeout
        try:
            response = await self._http.request(
                origin,
                request.method,
                target,
                headers,
                body,
                timeout=timeout + len(body) / _BYTES_PER_S,
            )
        except ConnectError as error:
            kind = its.ConnectTimeoutError if error.timed_out else its.EndpointConnectionError
            raise kind(endpoint_url=request.url, error=error) from error
        except ExchangeError as error:
            if error.timed_out:
                raise its.ReadTimeoutError(endpoint_url=request.url, error=error) from error
            raise its.ConnectionClosedError(
                error=error, request=request, endpoint_url=request.url
            ) from error
        raw = Received(request.url, response.body)
        return AioAWSResponse(request.url, response.status, response.headers, raw)


class Received:
    """A body as aiobotocore reads it from aiohttp; all of it is here already."""

    __slots__ = ("_at", "_body", "url")

    def __init__(self, url: str, body: bytes) -> None:
        self.url = url
        self._body = body
        self._at = 0

    @property
    def content(self) -> Received:
        """The stream of the body: this itself."""
        return self

    async def read(self, size: int = -1) -> bytes:
        """Return what is left of the body, or at most `size` bytes of it."""
        begin, end = self._at, len(self._body)
        self._at = end if size < 0 else min(end, begin + size)
        return self._body if self._at - begin == end else self._body[begin : self._at]

    def at_eof(self) -> bool:
        """Say whether all was read."""
        return self._at == len(self._body)

    def close(self) -> None:
        """Do nothing: the connection was given back already."""
