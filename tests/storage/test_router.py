from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from aflint.errors import ConfigError, InvalidArgumentError
from aflint.storage.local import LocalStorage
from aflint.storage.router import RoutedStorage, open_storage, s3_factory, scheme_of


class Recording(LocalStorage):
    closed = 0

    def __init__(self, *options: Any) -> None:
        self.options = options

    async def aclose(self) -> None:
        Recording.closed += 1


def test_knows_schemes() -> None:
    paths = ["/a", "a:b", "file:///a", "file:/a", "s3://b/k", "S3A://b", "s3n://b", "hdfs://h/p"]
    assert [scheme_of(path) for path in paths] == ["", "", "", "", "s3", "s3", "s3", "hdfs"]


async def test_local_paths_and_uris_go_to_the_disk(tmp_path: Path) -> None:
    storage = open_storage()
    await storage.write((tmp_path / "a").as_uri(), b"x")
    await storage.move(str(tmp_path / "a"), (tmp_path / "b").as_uri())
    assert await storage.read(str(tmp_path / "b")) == b"x"
    assert await storage.exists(str(tmp_path / "b"))
    await storage.write(str(tmp_path / "c"), b"y")
    await storage.delete_files(
        [str(tmp_path / "b"), (tmp_path / "c").as_uri(), str(tmp_path / "d")]
    )
    await storage.delete_files([])
    await storage.delete(str(tmp_path / "b"))
    assert await storage.list(str(tmp_path)) == []
    await storage.aclose()


def test_an_unknown_scheme_names_those_that_work() -> None:
    with pytest.raises(InvalidArgumentError, match=r"hdfs://.*file://.*s3://"):
        open_storage().at("hdfs://host/path")


def test_another_storage_is_made_when_first_used_with_its_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = types.ModuleType("aflint.storage.s3")
    monkeypatch.setattr(module, "S3Storage", Recording, raising=False)
    monkeypatch.setitem(sys.modules, "aflint.storage.s3", module)
    storage = open_storage("clients")
    made = storage.at("s3://bucket/key")
    assert isinstance(made, Recording)
    assert made.options == ("clients",)
    assert storage.at("s3a://bucket/other") is made


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aflint.storage.s3", None)
    with pytest.raises(ConfigError, match="s3:// paths cannot be used here"):
        s3_factory()()


async def test_closes_what_it_opened() -> None:
    storage = RoutedStorage({"": Recording, "s3": Recording})
    storage.at("/a")
    before = Recording.closed
    await storage.aclose()
    await storage.aclose()
    assert Recording.closed == before + 1


async def test_moving_between_storages_is_refused() -> None:
    storage = RoutedStorage({"": LocalStorage, "s3": Recording})
    with pytest.raises(InvalidArgumentError, match="another storage"):
        await storage.move("/a", "s3://b/a")
