"""A proxy in the environment, as companies have one, is for other hosts than this machine."""

from __future__ import annotations

import os
import urllib.request
from operator import add
from typing import Any

import pytest
from aiohttp import ClientSession

from aflint.deploy.bundle import build_bundle
from aflint.deploy.requirements import requirements_of
from aflint.deploy.target import host_target
from tests.cloud.clouds import Deployed, localcloud

NOBODY = "http://127.0.0.1:9"
"""The discard port of this machine: nothing listens there."""


@pytest.fixture
async def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable that names a proxy, in each spelling that some client looks at."""
    await build_bundle(host_target(), requirements_of())  # pip may need the real one
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for spelling in (name, name.lower()):
            monkeypatch.delenv(spelling, raising=False)
            if name != "NO_PROXY":
                monkeypatch.setenv(spelling, NOBODY)


@pytest.mark.parametrize("transport", ["sqs", "s3"])
async def test_a_job_on_localcloud_asks_no_proxy(proxied: None, transport: str) -> None:
    async with localcloud(transport=transport) as session:
        pairs = session.range(100, num_slices=2).map(lambda n: (n % 7, n))
        assert len(await pairs.reduce_by_key(add, 2).collect()) == 7


async def test_functions_on_localcloud_see_no_proxy(proxied: None) -> None:
    def bypassed(_: int) -> tuple[dict[str, str], Any]:
        host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
        proxies = {k: v for k, v in urllib.request.getproxies().items() if k != "no"}
        return proxies, urllib.request.proxy_bypass(host)

    async with localcloud() as session:
        assert await session.range(1).map(bypassed).collect() == [({}, True)]


async def test_the_environment_that_localcloud_prints_excludes_it_from_proxies(
    deployed: Deployed, proxied: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in deployed.cloud.environment().items():
        monkeypatch.setenv(name, value)
    url = os.environ["AWS_ENDPOINT_URL"]
    async with ClientSession(trust_env=True) as session, session.get(url) as response:
        assert response.status == 403  # the emulator's own answer to what is not signed
