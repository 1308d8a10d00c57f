"""A forward proxy as companies have them: it wants a password, and looks into TLS."""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.aws.certificates import CERTIFICATE, KEY

USER, PASSWORD = "user", "p@ss/word"


@dataclass
class Proxy:
    """What goes through it: the first line of every request that was let in."""

    folder: Path
    url: str = ""
    seen: list[str] = field(default_factory=list)
    refused: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def bundle(self) -> Path:
        """The file with the certificate of its own authority."""
        return self.folder / "ca.pem"

    def context(self) -> ssl.SSLContext:
        """Return what it answers with in place of the server that is asked for."""
        self.bundle.write_text(CERTIFICATE)
        (self.folder / "key.pem").write_text(KEY)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.bundle, self.folder / "key.pem")
        return context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            await self._serve(reader, writer)
        self._tasks.discard(task)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        wanted = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        first, _, rest = head.partition("\r\n")
        if f"proxy-authorization: basic {wanted}".lower() not in rest.lower():
            self.refused += 1
            length = re.search(r"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            answer = b"HTTP/1.1 407 Password\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n"
            writer.write(answer + b"Connection: close\r\n\r\n")
            await writer.drain()
            return
        method, target, version = first.split(" ")
        self.seen.append(first)
        if method == "CONNECT":
            port = int(target.rpartition(":")[2])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.start_tls(self._context)
            begin = b""
        else:
            place, slash, path = target.removeprefix("http://").partition("/")
            port = int(place.rpartition(":")[2])
            kept = re.sub(r"(?im)^(proxy-)?(authorization: basic|connection:).*\r\n", "", rest)
            begin = f"{method} {slash}{path} {version}\r\nConnection: close\r\n{kept}".encode()
        there, back = await asyncio.open_connection("127.0.0.1", port)
        back.write(begin)
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(_copy(reader, back))
                await _copy(there, writer)
                sending.cancel()
        finally:
            back.transport.abort()

    async def start(self) -> asyncio.Server:
        """Listen, and say where in `url`."""
        self._context = self.context()
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = f"http://{USER}:p%40ss%2Fword@127.0.0.1:{port}"
        return server

    async def end(self) -> None:
        """Drop all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


@asynccontextmanager
async def proxying(folder: Path) -> AsyncIterator[Proxy]:
    """Run a proxy."""
    proxy = Proxy(folder)
    async with await proxy.start():
        try:
            yield proxy
        finally:
            await proxy.end()
