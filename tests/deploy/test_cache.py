"""Where bundles are kept: in the user's cache folder, or in a private one where there is none."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aflint.config import load_config
from aflint.deploy import bundle as bundles
from aflint.deploy.bundle import build_bundle
from aflint.deploy.cache import Cache, default_cache
from aflint.deploy.doctor import Level, check_here
from aflint.deploy.requirements import Requirements
from aflint.deploy.target import Target, host_target
from aflint.errors import ConfigError

NOBODY = 65534


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that can be written to, and an empty folder for temporary files."""
    (tmp_path / "home").mkdir()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return tmp_path


@pytest.fixture
def homeless(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As for the user `nobody`: a home below what is no folder. Returns the private folder."""
    (place / "file").touch()
    monkeypatch.setenv("HOME", str(place / "file" / "home"))
    return place / "temporary" / f"aflint-cache-{os.geteuid()}"


def test_bundles_are_kept_in_the_users_cache_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert default_cache() == place / "home/.cache/aflint/bundles"
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_cache() == place / "home/Library/Caches/aflint/bundles"
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "other"))
    assert default_cache() == place / "other/aflint/bundles"
    assert not (place / "temporary/aflint-cache").exists()


async def test_without_a_home_bundles_are_kept_in_a_private_folder(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fake(target: Target, wanted: Requirements, folder: Path) -> None:
        (folder / "thing.py").write_text("")

    monkeypatch.setattr(bundles, "install", fake)
    monkeypatch.setattr(bundles, "own_files", dict)
    built = await build_bundle(host_target())
    assert built.path.is_relative_to(homeless)
    assert stat.S_IMODE(homeless.lstat().st_mode) == 0o700  # noqa: ASYNC240
    assert await build_bundle(host_target()) == built


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_who_may_not_write_to_the_home_has_a_folder_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        os.seteuid(NOBODY)
        try:
            found = default_cache()
        finally:
            os.seteuid(0)
        assert found == Path(folder, f"aflint-cache-{NOBODY}/bundles")
        assert found.parent.stat().st_uid == NOBODY


def link(folder: Path) -> None:
    folder.with_name("elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    "prepare",
    [link, Path.touch, lambda folder: folder.mkdir(0o700) or folder.chmod(0o770)],
    ids=["a link", "a file", "open to the group"],
)
def test_a_folder_that_others_may_have_filled_is_not_used(homeless: Path, prepare: object) -> None:
    assert callable(prepare)
    prepare(homeless)
    with pytest.raises(ConfigError, match=f"{homeless}.*XDG_CACHE_HOME"):
        default_cache()
    found = next(each for each in check_here(load_config()) if each.subject == "bundles")
    assert found.level is Level.FAIL
    assert "XDG_CACHE_HOME" in found.advice


async def test_a_cache_that_cannot_be_written_to_is_one_error_that_names_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "file"))
    monkeypatch.setattr(bundles, "own_files", dict)
    with pytest.raises(ConfigError, match=r"file/aflint/bundles: Not a directory.*XDG_CACHE_HOME"):
        await build_bundle(host_target())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    yield Cache(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == []


def test_a_full_disk_while_a_bundle_is_built_is_that_error(cache: Cache) -> None:
    with pytest.raises(ConfigError, match="cache: No space left on device"), cache.adding("key"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_program_that_cannot_be_started_is_not_blamed_on_the_cache(cache: Cache) -> None:
    with pytest.raises(FileNotFoundError), cache.adding("key"):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/usr/bin/python3")


def test_a_cache_that_may_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Cache(tmp_path)
    with kept.adding("key") as folder:
        (folder / "x").touch()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert kept.find("key") == tmp_path / "key"
    assert kept.find("other") is None
