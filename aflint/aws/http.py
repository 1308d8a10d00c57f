"""HTTP/1.1 without a proxy: connections made, kept and given out again.

Small on purpose. It costs a fraction of a general client's CPU for each request and of its time to
import, which every cold start of a function pays.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import defaultdict
from collections.abc import Mapping

from aflint.aws.connection import ConnectError, Connection, ExchangeError, Origin
from aflint.aws.parser import Response
from aflint.aws.tls import shrink_buffer, tls_context

_IDLE_S = 50.0
_ADDRESSES_S = 30.0
_CONNECTING = 128
_KEEPALIVE = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPALIVE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
)
"""A silent connection is dropped after about 350 s by what stands between, and without these
nobody would hear of it. (macOS calls the first of them TCP_KEEPALIVE.)"""


_log = logging.getLogger("aflint.aws")


class Http:
    """Connections by origin, the one used last taken first.

    Times are in seconds. An exchange takes a connection for itself, so that as many are open as
    exchanges are under way; whoever calls bounds them. `verify` is as `tls_context` takes it.
    """

    def __init__(self, *, connect_timeout: float = 5.0, verify: bool | str = True) -> None:
        self._connect_timeout = connect_timeout
        self._verify = verify
        self._idle: dict[Origin, list[Connection]] = defaultdict(list)
        self._open: set[Connection] = set()
        self._addresses: dict[Origin, tuple[float, list[str]]] = {}
        self._resolving: dict[Origin, asyncio.Task[list[str]]] = {}
        self._connecting: asyncio.Semaphore | None = None

    async def request(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout: float,
    ) -> Response:
        """Send one request and return its response, whatever its status.

        A Content-Length is added. Raises ConnectError or ExchangeError.
        """
        logged = _log.isEnabledFor(logging.DEBUG)
        began = time.perf_counter() if logged else 0.0
        connection = self._take(origin) or await self._connect(origin)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        length = f"content-length: {len(body)}\r\n" if body or method in ("PUT", "POST") else ""
        head = f"{method} {target} HTTP/1.1\r\n{lines}{length}\r\n".encode("latin-1")
        try:
            async with asyncio.timeout(timeout):
                response = await connection.exchange(head, body, bodiless=method == "HEAD")
        except TimeoutError:
            raise ExchangeError(f"no response came within {timeout:g} s", timed_out=True) from None
        finally:
            self._give_back(origin, connection)
        if logged:
            # Of the target only the path: what follows may hold a signature.
            _log.debug(
                "%s %s%s: %d after %.0f ms, request %s",
                method, origin.authority, target.partition("?")[0], response.status,
                1000 * (time.perf_counter() - began), _request_id(response),
            )  # fmt: skip
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            connection.close()
        self._open.clear()
        self._idle.clear()
        await asyncio.sleep(0)

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle[origin]
        oldest = asyncio.get_running_loop().time() - _IDLE_S
        while idle:
            connection = idle.pop()
            if connection.closed or connection.transport.is_closing():
                self._open.discard(connection)
            elif connection.idle_since < oldest:
                connection.close()
                self._open.discard(connection)
            else:
                return connection
        return None

    def _give_back(self, origin: Origin, connection: Connection) -> None:
        if connection.closed:
            self._open.discard(connection)
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle[origin].append(connection)

    async def _connect(self, origin: Origin) -> Connection:
        if self._connecting is None:
            self._connecting = asyncio.Semaphore(_CONNECTING)
        async with self._connecting:
            try:
                async with asyncio.timeout(self._connect_timeout):
                    connection = await self._connect_to_any(origin, await self._resolve(origin))
            except TimeoutError:
                raise ConnectError(
                    f"no connection to {origin.authority} within {self._connect_timeout:g} s",
                    timed_out=True,
                ) from None
            except OSError as error:
                self._addresses.pop(origin, None)
                raise ConnectError(f"no connection to {origin.authority}: {error}") from error
        self._open.add(connection)
        return connection

    async def _connect_to_any(self, origin: Origin, addresses: list[str]) -> Connection:
        loop = asyncio.get_running_loop()
        secure = origin.scheme == "https"
        context = await asyncio.to_thread(tls_context, self._verify) if secure else None
        addresses.append(addresses.pop(0))
        for index, address in enumerate(addresses):
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(loop),
                    address,
                    origin.port,
                    ssl=context,
                    server_hostname=origin.host if secure else None,
                )
            except OSError:
                if index == len(addresses) - 1:
                    raise
            else:
                if secure:
                    shrink_buffer(connection.transport)
                keep_alive(connection.transport.get_extra_info("socket"))
                return connection
        raise OSError("its name has no address")

    async def _resolve(self, origin: Origin) -> list[str]:
        """Return the addresses of a host, asked for once by all who need them."""
        loop = asyncio.get_running_loop()
        asked, addresses = self._addresses.get(origin, (0.0, []))
        if addresses and loop.time() - asked < _ADDRESSES_S:
            return addresses
        if origin not in self._resolving:
            self._resolving[origin] = loop.create_task(self._look_up(origin))
        return await asyncio.shield(self._resolving[origin])

    async def _look_up(self, origin: Origin) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        finally:
            del self._resolving[origin]
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        self._addresses[origin] = (loop.time(), addresses)
        return addresses


def keep_alive(connection: socket.socket) -> None:
    """Have TCP ask a silent connection whether it is there."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _request_id(response: Response) -> str:
    headers = response.headers
    return headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", "unknown")
