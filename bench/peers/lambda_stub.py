"""A stand-in for Lambda, in a process of its own: answers every Invoke after one second.

`python -m bench.peers.lambda_stub SECONDS FOLDER` prints its URLs, of HTTP and of HTTPS, and serves
until its input ends. Clients trust the second by FOLDER/ca.pem.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from binascii import b2a_base64
from pathlib import Path

from aflint.aws import envelope
from aflint.aws.tls import shrink_buffer
from aflint.task import Blob, TaskId, TaskResult
from aflint.wire import pack
from tests.aws.certificates import CERTIFICATE, KEY

_LOG = (
    b"START RequestId: 0 Version: $LATEST\nEND RequestId: 0\nREPORT RequestId: 0\tDuration: "
    b"1000.00 ms\tBilled Duration: 1000 ms\tMemory Size: 1769 MB\tMax Memory Used: 99 MB\t\n"
)


def answer() -> bytes:
    """Return a whole response: a small result and the tail of a log."""
    result = TaskResult(TaskId("job", 0, 0, 0), value=Blob("0" * 32, 64, bytes(64)))
    body = f'"{envelope.text_of(pack(result))}"'.encode()
    return b"\r\n".join(
        (
            b"HTTP/1.1 200 OK",
            b"Date: Sun, 22 Nov 2026 12:00:00 GMT",
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(body),
            b"Connection: keep-alive",
            b"x-amzn-RequestId: 01234567-89ab-cdef-0123-456789abcdef",
            b"X-Amzn-Trace-Id: root=1-0;sampled=0",
            b"X-Amz-Executed-Version: $LATEST",
            b"X-Amz-Log-Result: " + b2a_base64(_LOG, newline=False),
            b"",
            body,
        )
    )


class Stub(asyncio.Protocol):
    """One connection: counts bodies by their length, and answers each in due time."""

    def __init__(self, seconds: float, response: bytes) -> None:
        self._seconds = seconds
        self._response = response
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        shrink_buffer(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length or 0):
            return
        self._received = b""
        asyncio.get_running_loop().call_later(self._seconds, self._respond)

    def _respond(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._response)


async def _serve(seconds: float, context: ssl.SSLContext) -> None:
    loop, response = asyncio.get_running_loop(), answer()
    urls = []
    for scheme, secure in (("http", None), ("https", context)):
        server = await loop.create_server(
            lambda: Stub(seconds, response), "127.0.0.1", 0, backlog=16384, ssl=secure
        )
        urls.append(f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}")
    print(*urls, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _context(folder: Path) -> ssl.SSLContext:
    (folder / "ca.pem").write_text(CERTIFICATE)
    (folder / "key.pem").write_text(KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]), _context(Path(sys.argv[2]))))
