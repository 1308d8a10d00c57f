"""Whole jobs on the aws backend, against an emulator on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path, PurePosixPath

import pytest

from aflint.config import Config, load_config
from aflint.deploy import bundle as bundles
from aflint.deploy.bundle import own_files
from aflint.deploy.options import DeployOptions
from aflint.deploy.up import deploy
from aflint.localcloud import LocalCloud
from examples.taxi import oracle
from examples.taxi.generate import generate
from tests.cloud.clouds import MEMORY_MB, Deployed

_FOREIGN = ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")  # fmt: skip


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[PurePosixPath, Path]:
    """A copy of aflint's files, so that one bundle serves all tests while they are being edited."""
    folder = tmp_path_factory.mktemp("source")
    for name, source in own_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source.read_bytes())
    return {name: folder / name for name in own_files()}


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bundle is kept between tests."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def _alone(
    frozen: Mapping[PurePosixPath, Path],
    caches: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One bundle for all tests, no settings of AWS from outside, and no history."""
    monkeypatch.setattr(bundles, "own_files", lambda: frozen)
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    # What runs leave in the bucket on purpose would be in the way of seeing what they forgot.
    monkeypatch.setenv("AFLINT_HISTORY_MB", "0")
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of trips, in a file of each format, and the weather."""
    folder = tmp_path_factory.mktemp("taxi")
    generate(folder, trips=12_000, seed=7, jobs=1)
    return folder


@pytest.fixture(scope="session")
def answers(taxi: Path) -> Mapping[str, object]:
    """What the queries come to, by a plain loop over the files."""
    paths = sorted(taxi.glob("*_tripdata_*.csv"))
    return oracle.answers(paths, taxi / "central_park_weather.csv", jobs=1)


@pytest.fixture
async def cloud() -> AsyncIterator[LocalCloud]:
    """An emulator that outlives sessions, with nothing deployed."""
    async with LocalCloud(concurrency=6) as running:
        yield running


@pytest.fixture
def config(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    """The aws backend on that emulator, by the environment that it prints."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    scratch = tmp_path / "scratch"
    return load_config(
        backend="aws",
        endpoint_url=cloud.endpoint_url,
        scratch_dir=str(scratch),
        memory_mb=MEMORY_MB,
        concurrency=2,
        progress=False,
    )


@pytest.fixture
async def deployed(cloud: LocalCloud, config: Config) -> Deployed:
    """The emulator with functions of three sizes."""
    return Deployed(cloud, config, await deploy(config, DeployOptions()))
