"""aiobotocore's HTTP session, over aflint's own connections where the way to AWS is plain.

It is given to aiobotocore by `AioConfig(http_session_cls=...)`. A request that needs a proxy, a
client certificate or a body that is streamed goes the way that it always goes.
"""

from __future__ import annotations

import socket
from io import BytesIO
from typing import Any, ClassVar

from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.httpsession import AIOHTTPSession
from botocore import exceptions as its

from aflint.aws.connection import ConnectError, ExchangeError, Origin
from aflint.aws.endpoints import is_loopback
from aflint.aws.http import Http, keep_alive
from aflint.aws.parser import Received, Response

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
        # TCP's keep-alive is left out by aiobotocore: a proxy drops a connection that is silent for
        # as long as an invocation, and its end would be heard by none.
        others["connector_args"] = {
            **(others.get("connector_args") or {}),
            "socket_factory": kept_alive,
        }
        super().__init__(
            verify=verify, proxies=proxies, timeout=timeout, client_cert=client_cert, **others
        )
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        self._read_timeout = read or 60.0
        self._proxies = proxies or {}
        self._can_be_plain = client_cert is None
        self._http = Http(connect_timeout=connect or 60.0, verify=verify)
        self._ways: dict[str, tuple[Origin, bool]] = {}
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
        origin, direct = self.way_to(request.url)
        body = request.body
        if isinstance(body, str):
            body = body.encode()
        elif type(body) is BytesIO:  # into which botocore puts the bytes of an object
            body = body.getvalue()[body.tell() :]
        if not direct or not (body is None or isinstance(body, bytes | bytearray)):
            return await self._send_as_always(request)
        headers = {"host": origin.authority, **headers_of(request)}
        headers.pop("content-length", None)  # it is added for all
        headers.pop("expect", None)
        response = await self.exchange(
            request.url,
            origin,
            request.method,
            target_of(request.url),
            headers,
            bytes(body or b""),
        )
        return answer_of(request.url, response)

    def way_to(self, url: str) -> tuple[Origin, bool]:
        """Return the origin of a URL, and whether it is reached directly."""
        base = url[: url.find("/", 8)] if "/" in url[8:] else url
        if base not in self._ways:
            self._ways[base] = Origin.of(base), self._can_be_plain and not self._is_proxied(base)
        return self._ways[base]

    def _is_proxied(self, url: str) -> bool:
        # no proxy could reach this machine itself
        return bool(self._proxies.get(url.partition(":")[0])) and not is_loopback(url)

    async def _send_as_always(self, request: Any) -> Any:
        try:
            response = await super().send(request)
        except ValueError as error:  # that of a URL
            raise its.ProxyConnectionError(proxy_url="as set", error=error) from error
        except its.EndpointConnectionError as error:
            if not self._is_proxied(request.url):
                raise
            # Behind a proxy only the proxy's own name is looked up here, but aiobotocore blames the
            # endpoint.
            behind = error.kwargs["error"]
            raise its.ProxyConnectionError(proxy_url="as set", error=behind) from error
        if response.status_code == 407:  # no service's answer, though it would be read as one
            wanted = "407: it wants another user and password"
            raise its.ProxyConnectionError(proxy_url="as set", error=wanted)
        return response

    async def exchange(
        self,
        url: str,
        origin: Origin,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
    ) -> Response:
        """Send what is signed already, directly. Raises botocore's errors."""
        try:
            return await self._http.request(
                origin,
                method,
                target,
                headers,
                body,
                timeout=self._read_timeout + len(body) / _BYTES_PER_S,
            )
        except ConnectError as error:
            kind = its.ConnectTimeoutError if error.timed_out else its.EndpointConnectionError
            raise kind(endpoint_url=url, error=error) from error
        except ExchangeError as error:
            if error.timed_out:
                raise its.ReadTimeoutError(endpoint_url=url, error=error) from error
            raise its.ConnectionClosedError(error=error, endpoint_url=url) from error


def kept_alive(address: tuple[int, int, int, str, Any]) -> socket.socket:
    """Return a socket for an address as `getaddrinfo` gives it, with TCP's keep-alive."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    keep_alive(made)
    return made


def answer_of(url: str, response: Response) -> Any:
    """Return a response as aiobotocore takes it from its HTTP session."""
    return AioAWSResponse(url, response.status, response.headers, Received(response.body))


def target_of(url: str) -> str:
    """Return the path and query of a URL, as they are sent."""
    return "/" + url.partition("://")[2].partition("/")[2]


def headers_of(request: Any) -> dict[str, str]:
    """Return the headers of a prepared request, their names in lower case."""
    return {
        name.lower(): value if isinstance(value, str) else value.decode("latin-1")
        for name, value in request.headers.items()
    }
