from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import aflint
from aflint import Session


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(scratch: Path) -> AsyncIterator[Session]:
    """One session for a module: starting workers takes longer than most tests."""
    checkpoints = str(scratch / "checkpoints")
    async with aflint.connect(
        workers=2, progress=False, scratch_dir=str(scratch), checkpoint_dir=checkpoints
    ) as session:
        yield session
