from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import aflint
from examples.taxi.generate import generate

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "taxi"


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset with a file of each format since there are green taxis."""
    folder = tmp_path_factory.mktemp("taxi")
    generate(folder, trips=12_000, seed=7, jobs=1)
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of published files, where this machine has it."""
    if not SAMPLES.is_dir():
        pytest.skip("the published files are not there")
    return SAMPLES


@pytest.fixture
async def session() -> AsyncIterator[aflint.Session]:
    async with aflint.connect(workers=2, progress=False) as session:
        yield session
