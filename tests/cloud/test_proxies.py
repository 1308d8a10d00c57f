"""A driver that reaches AWS through a proxy with a password, and in no other way."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from operator import add
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.aws import http_session
from aflint.aws.clients import Aws
from aflint.aws.http import Http
from aflint.config import Config
from aflint.deploy.bundle import build_bundle
from aflint.deploy.clean import clean
from aflint.deploy.clients import open_clients
from aflint.deploy.doctor import Level, examine
from aflint.deploy.options import DeployOptions
from aflint.deploy.requirements import requirements_of
from aflint.deploy.up import deploy, target_of
from aflint.errors import ConfigError, EndpointUnreachableError
from aflint.localcloud import LocalCloud
from aflint.task import AwsEndpoints
from tests.cloud.proxy import Proxy, proxying


@pytest.fixture
async def proxy(
    plain: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Proxy]:
    """The only way out of this process; functions have ways of their own."""

    async def none(*_: Any, **__: Any) -> Any:
        raise AssertionError("a request went past the proxy")

    async with proxying(tmp_path) as running:
        monkeypatch.setattr("aflint.aws.http_session.is_loopback", lambda _: False)
        monkeypatch.setattr(Http, "request", none)
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, running.url)
            monkeypatch.delenv(name.lower(), raising=False)
        yield running


@pytest.fixture
def _scratch(config: Config) -> None:
    Path(config.scratch_dir or "").mkdir(exist_ok=True)


@pytest.fixture
async def plain(config: Config, _scratch: None, monkeypatch: pytest.MonkeyPatch) -> Config:
    """HTTP endpoints, and a bundle that was built before."""
    await build_bundle(target_of(config, DeployOptions()), requirements_of())
    for name in ("NO_PROXY", "no_proxy", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return config


@pytest.fixture
def tls(cloud: LocalCloud, plain: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """HTTPS endpoints, which only a proxy can answer for; functions call them as before."""
    told = AwsEndpoints(
        cloud.region,
        None,
        cloud.endpoint_url,
        f"{cloud.endpoint_url}/{{bucket}}",
        f"{cloud.endpoint_url}/{{bucket}}",
    )

    async def resolve(self: Aws, client: str) -> AwsEndpoints:
        return told

    monkeypatch.setattr(Aws, "resolve", resolve)
    url = cloud.endpoint_url.replace("http://127.0.0.1", "https://localhost")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return plain.replace(endpoint_url=url)


async def goes_through(config: Config, proxy: Proxy) -> None:
    """Deploy, look, run a job on each transport and clean up."""
    await deploy(config, DeployOptions())
    found = await examine(config)
    assert [each for each in found if each.level is Level.FAIL] == []
    for transport in ("hybrid", "sqs", "s3"):
        async with aflint.connect(config.replace(transport=transport)) as session:
            pairs = session.range(40, num_slices=2).map(lambda number: (number % 3, number))
            assert dict(await pairs.reduce_by_key(add, 2).collect()) == {0: 273, 1: 247, 2: 260}
    await clean(config)
    assert proxy.seen


async def test_all_goes_through_a_proxy(plain: Config, proxy: Proxy) -> None:
    await goes_through(plain, proxy)
    assert all(line.split()[1].startswith("http://127.0.0.1:") for line in proxy.seen)


async def test_all_goes_through_a_proxy_that_inspects_tls(
    tls: Config, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(proxy.bundle))
    await goes_through(tls, proxy)
    assert all(line.startswith("CONNECT localhost:") for line in proxy.seen)


async def test_a_proxys_certificate_by_the_config_file(
    tls: Config, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {proxy.bundle}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    await goes_through(tls, proxy)
    assert all(line.startswith("CONNECT localhost:") for line in proxy.seen)


async def test_connections_to_a_proxy_outlive_silence(
    plain: Config, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []
    original = http_session.kept_alive

    def noted(*address: Any) -> socket.socket:
        made.append(original(*address))
        return made[-1]

    monkeypatch.setattr(http_session, "kept_alive", noted)
    async with open_clients(plain) as clients:
        assert await clients.sqs().list_queues("nothing") == []
        assert [each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for each in made] == [1]
    assert len(proxy.seen) == 1


async def refused(config: Config) -> str:
    with pytest.raises(EndpointUnreachableError) as raised:
        await deploy(config, DeployOptions())
    said = str(raised.value)
    assert "\n" not in said
    return said


async def test_a_certificate_that_is_not_trusted(tls: Config, proxy: Proxy) -> None:
    assert "AWS_CA_BUNDLE" in await refused(tls)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_wrong_password(
    scheme: str,
    plain: Config,
    tls: Config,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = proxy.url.replace("p%40ss", "pass")
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", wrong)
    if scheme == "http":
        monkeypatch.setenv("AWS_ENDPOINT_URL", plain.endpoint_url or "")
    said = await refused(plain if scheme == "http" else tls)
    assert "HTTPS_PROXY" in said
    assert "pass" not in said.replace("password", "")
    assert proxy.refused


async def test_a_proxy_that_is_not_there(
    plain: Config, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_tcp_port}")
    said = await refused(plain)
    assert str(unused_tcp_port) in said
    assert "HTTPS_PROXY" in said


async def test_a_proxy_whose_name_is_unknown_is_not_blamed_on_the_endpoint(
    tls: Config, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = socket.getaddrinfo

    def looked_up(host: Any, *others: Any, **named: Any) -> Any:
        if host == "mistyped":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return original(host, *others, **named)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setenv("HTTPS_PROXY", "http://mistyped:3128")
    said = await refused(tls)
    assert "HTTPS_PROXY" in said
    assert "mistyped:3128" in said
    assert "SSLContext" not in said


async def test_a_proxy_that_is_no_url(
    plain: Config, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://[nonsense")
    with pytest.raises((EndpointUnreachableError, ConfigError), match="PROXY"):
        await deploy(plain, DeployOptions())


async def test_no_proxy_is_heeded(cloud: LocalCloud, plain: Config, tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    async with proxying(tmp_path) as running:
        monkeypatch.setattr("aflint.aws.http_session.is_loopback", lambda _: False)
        monkeypatch.setenv("HTTP_PROXY", running.url)
        monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.1")
        await deploy(plain, DeployOptions(), dry_run=True)
        assert running.seen == []


async def test_this_machine_is_reached_without_a_proxy(
    plain: Config, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_tcp_port}")  # nobody listens there
    await deploy(plain, DeployOptions())
    async with aflint.connect(plain) as session:
        pairs = session.range(8, num_slices=2).map(lambda number: (number % 2, number))
        assert dict(await pairs.reduce_by_key(add, 2).collect()) == {0: 12, 1: 16}
    await clean(plain)
