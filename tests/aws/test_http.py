from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aflint.aws.connection import ConnectError, ExchangeError, Origin
from aflint.aws.http import Http
from aflint.aws.tls import tls_context
from tests.aws.certificates import CERTIFICATE, KEY

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[int, int, bytes], bytes | None]
"""By number of the connection, of the request on it, and head; None closes the connection."""


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Origin]:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        mine, requests = connections, 0
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                requests += 1
                said = answer(mine, requests, head)
                if said is None:
                    return
                writer.write(said)
                if b"half" in said:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Origin.of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/path")


@asynccontextmanager
async def client() -> AsyncIterator[Http]:
    http = Http()
    try:
        yield http
    finally:
        await http.aclose()


async def test_connections_are_used_again() -> None:
    seen = []

    def answer(connection: int, request: int, head: bytes) -> bytes:
        seen.append((connection, request))
        return OK

    async with serving(answer) as origin, client() as http:
        for _ in range(3):
            response = await http.request(origin, "GET", "/", {}, timeout=5)
            assert response.body == b"ok"
        calls = [http.request(origin, "GET", "/", {}, timeout=5) for _ in range(2)]
        await asyncio.gather(*calls)
    assert seen == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)]


async def test_each_request_is_in_the_debug_log_without_what_signs_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "aflint.aws")
    answered = OK.replace(b"\r\n\r\n", b"\r\nx-amzn-requestid: r-1\r\n\r\n")
    async with serving(lambda *_: answered) as origin, client() as http:
        target = "/run-3/part?X-Amz-Signature=s3cret"
        await http.request(origin, "GET", target, {"authorization": "s3cret"}, timeout=5)
    (said,) = caplog.messages
    assert said.startswith(f"GET {origin.authority}/run-3/part: 200 after ")
    assert said.endswith(" ms, request r-1")
    assert "s3cret" not in caplog.text


async def test_a_kept_connection_that_was_closed_meanwhile() -> None:
    def answer(connection: int, request: int, head: bytes) -> bytes | None:
        return OK if request == 1 else None

    async with serving(answer) as origin, client() as http:
        await http.request(origin, "GET", "/", {}, timeout=5)
        with pytest.raises(ExchangeError) as raised:
            await http.request(origin, "GET", "/", {}, timeout=5)
        assert raised.value.stale
        assert (await http.request(origin, "GET", "/", {}, timeout=5)).status == 200


async def test_a_response_cut_short() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"
    async with serving(lambda *_: half) as origin, client() as http:
        with pytest.raises(ExchangeError) as raised:
            await http.request(origin, "GET", "/", {}, timeout=5)
        assert not raised.value.stale
        assert not http._open


async def test_no_answer_in_time() -> None:
    async with serving(lambda *_: b"") as origin, client() as http:
        with pytest.raises(ExchangeError, match=r"0\.01 s"):
            await http.request(origin, "GET", "/", {}, timeout=0.01)
        assert not http._open


async def test_cancelling_closes_the_connection() -> None:
    asked = asyncio.Event()

    def answer(*_: object) -> bytes:
        asked.set()
        return b""

    async with serving(answer) as origin, client() as http:
        call = asyncio.create_task(http.request(origin, "GET", "/", {}, timeout=5))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not http._open


async def test_nobody_listens(unused_tcp_port: int) -> None:
    async with client() as http:
        origin = Origin.of(f"http://127.0.0.1:{unused_tcp_port}")
        with pytest.raises(ConnectError, match=str(unused_tcp_port)):
            await http.request(origin, "GET", "/", {}, timeout=5)
        with pytest.raises(ConnectError, match="nowhere"):
            await http.request(Origin.of("http://nowhere.invalid"), "GET", "/", {}, timeout=5)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.b", Origin("https", "a.b", 443, "a.b")),
        ("http://a.b:80/x", Origin("http", "a.b", 80, "a.b")),
        ("http://a.b:8080", Origin("http", "a.b", 8080, "a.b:8080")),
        ("http://[::1]:4566", Origin("http", "::1", 4566, "[::1]:4566")),
    ],
)
def test_origins(url: str, origin: Origin) -> None:
    assert Origin.of(url) == origin


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls(trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "certificate").write_text(CERTIFICATE)
    (tmp_path / "key").write_text(KEY)
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "certificate"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    origin = Origin.of(f"https://localhost:{server.sockets[0].getsockname()[1]}")
    tls_context.cache_clear()
    async with server, client() as http:
        if trusted:
            response = await http.request(origin, "GET", "/", {}, timeout=5)
            assert response.body == bytes(500_000)
        else:
            with pytest.raises(ConnectError, match="certificate"):
                await http.request(origin, "GET", "/", {}, timeout=5)
    tls_context.cache_clear()
