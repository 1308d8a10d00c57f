"""One built bundle for all tests, and AWS as moto and as localcloud emulate it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

from aflint.config import Config, load_config
from aflint.deploy import bundle as bundles
from aflint.deploy.bundle import Bundle, build_bundle, own_files
from aflint.deploy.options import DeployOptions
from aflint.deploy.target import host_target
from aflint.localcloud import LocalCloud


@pytest.fixture(autouse=True)
def _no_aws_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
                 "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[PurePosixPath, Path]:
    """A copy of aflint's files, so that one bundle serves all tests while they are being edited."""
    folder = tmp_path_factory.mktemp("source")
    for name, source in own_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source.read_bytes())
    return {name: folder / name for name in own_files()}


@pytest.fixture(autouse=True)
def _one_source(frozen: Mapping[PurePosixPath, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "own_files", lambda: frozen)


@pytest.fixture(scope="session")
def bundle(cache: Path, frozen: Mapping[PurePosixPath, Path]) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "own_files", lambda: frozen)
        return asyncio.run(build_bundle(host_target(), cache=cache))


@pytest.fixture
def options(bundle: Bundle, cache: Path) -> DeployOptions:
    return DeployOptions(cache=cache)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration for moto, which starts empty."""
    reset_moto(moto_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return load_config(backend="aws", region="eu-west-1", endpoint_url=moto_url)


def reset_moto(url: str) -> None:
    """Forget everything."""
    with urlopen(Request(f"{url}/moto-api/reset", method="POST"), timeout=10):
        pass


@pytest.fixture
async def cloud(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalCloud]:
    async with LocalCloud() as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def config(cloud: LocalCloud) -> Config:
    return load_config(backend="aws", endpoint_url=cloud.endpoint_url)
