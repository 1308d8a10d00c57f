"""What functions see of the user's own modules, as docs/aws.md says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.errors import TaskError
from tests.cloud.clouds import localcloud


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of a package beside the program, imported and changed."""
    folder = tmp_path / "beside" / "my_own_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "words.py").write_text("SEEN = 'as written'\ndef seen(n): return SEEN\n")
    monkeypatch.syspath_prepend(folder.parent)
    words = importlib.import_module("my_own_package.words")
    words.SEEN = "as changed"  # type: ignore[attr-defined]
    yield words
    for name in ("my_own_package", "my_own_package.words"):
        del sys.modules[name]


async def test_a_module_travels_as_the_driver_left_it(package: Any) -> None:
    async with localcloud() as session:
        numbers = session.range(2, num_slices=2)
        assert await numbers.map(package.seen).collect() == ["as changed"] * 2
        assert await numbers.map(lambda n: package.SEEN).collect() == ["as changed"] * 2


async def test_a_local_worker_imports_a_module_anew(package: Any) -> None:
    async with aflint.connect(progress=False, workers=1) as session:
        numbers = session.range(1, num_slices=1)
        assert await numbers.map(package.seen).collect() == ["as written"]
        word = package.SEEN
        assert await numbers.map(lambda n: word).collect() == ["as changed"]


async def test_an_import_inside_a_function_says_how_a_module_comes_there(package: Any) -> None:
    def seen(n: int) -> Any:
        from my_own_package.words import SEEN  # type: ignore[import-not-found]

        return SEEN

    async with localcloud() as session:
        with pytest.raises(TaskError, match="No module named 'my_own_package'") as caught:
            await session.range(1).map(seen).collect()
        assert "at the top of the program and not inside the function" in str(caught.value)
        assert "--py-files" in str(caught.value)
