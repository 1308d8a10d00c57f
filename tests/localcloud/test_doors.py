"""Who may talk to what listens: loopback only, with a token, and under no other name."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import proxy_bypass

import pytest
from aiohttp import ClientSession

from aflint.localcloud import LocalCloud
from aflint.localcloud.lambda_.runtime import RuntimeApi
from aflint.localcloud.loopback import is_loopback, no_proxy


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("bucket.localhost:80", True),
        ("[::1]:5", True),
        ("", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8000", False),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
        ("[::1", False),
    ],
)
def test_hosts(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "corp.example"}, "corp.example,127.0.0.1,localhost"),
        ({"no_proxy": "a", "NO_PROXY": "b"}, "a,127.0.0.1,localhost"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_what_no_proxy_is_asked_for(
    environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = no_proxy(environ)
    assert variables == {"NO_PROXY": expected, "no_proxy": expected}
    for host in ("127.0.0.1:8000", "localhost"):
        monkeypatch.setenv("no_proxy", variables["no_proxy"])
        monkeypatch.setenv("http_proxy", "http://proxy.corp.example")
        assert proxy_bypass(host)


async def test_a_page_under_a_name_of_its_own_is_refused(cloud: LocalCloud) -> None:
    token = {"Authorization": f"Bearer {cloud.credentials[1]}"}
    url = f"{cloud.endpoint_url}/_localcloud/snapshot"
    async with ClientSession() as session:
        async with session.get(url, headers=token) as response:
            assert response.status == 200
        async with session.get(url, headers={**token, "Host": "evil.example"}) as response:
            assert response.status == 421


class Host:
    """An environment with one invocation."""

    def __init__(self) -> None:
        self.results: list[bytes] = []

    async def next_invocation(self) -> tuple[Mapping[str, str], bytes]:
        return {}, b'"secret"'

    def result(self, request_id: str, body: bytes) -> int:
        self.results.append(body)
        return 202

    def error(self, request_id: str, body: bytes) -> int:
        return self.result(request_id, body)

    def init_error(self, body: bytes) -> int:
        return self.result("", body)


async def test_the_runtime_api_is_for_its_own_environment() -> None:
    host = Host()
    api = RuntimeApi(host)
    address = await api.start()
    port, _, token = address.partition("/")
    assert port.startswith("127.0.0.1:")
    assert len(token) >= 32
    path = "2018-06-01/runtime/invocation"
    try:
        async with ClientSession() as session:
            for prefix in ("", "wrong/", f"{token}x/", f"{token[:-1]}/"):
                async with session.get(f"http://{port}/{prefix}{path}/next") as response:
                    assert response.status == 403
                    assert b"secret" not in await response.read()
                answer = f"http://{port}/{prefix}{path}/1/response"
                async with session.post(answer, data=b"1") as response:
                    assert response.status == 403
            assert host.results == []
            named = {"Host": "evil.example"}
            async with session.get(f"http://{address}/{path}/next", headers=named) as response:
                assert response.status == 421
            async with session.get(f"http://{address}/{path}/next") as response:
                assert await response.read() == b'"secret"'
            async with session.post(f"http://{address}/{path}/1/response", data=b"1") as response:
                assert response.status == 202
    finally:
        await api.close()
    assert host.results == [b"1"]
