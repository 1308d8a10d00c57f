from __future__ import annotations

import errno
import fcntl
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import IO, NoReturn

import pytest

from aflint.driver.scratch import ScratchFolder
from aflint.errors import ConfigError, DiskFullError, PathNotFoundError, RunInUseError
from aflint.journal.locks import LOCK, PREFIX
from tests.interrupts import interrupted


def test_it_is_made_locked_and_removed(tmp_path: Path) -> None:
    parent = tmp_path / "a" / "b"
    with ScratchFolder(str(parent)) as scratch:
        assert scratch.path.parent == parent
        assert scratch.path.name.startswith(PREFIX)
        (scratch.path / "deep").mkdir()
        (scratch.path / "deep" / "file").touch()
        with (scratch.path / LOCK).open("rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list(tmp_path.iterdir()) == []  # nor is the parent left, which was missing


def test_a_parent_that_was_missing_stays_while_something_else_is_in_it(tmp_path: Path) -> None:
    parent = tmp_path / "typo" / "deep"
    with ScratchFolder(str(parent)) as first, ScratchFolder(str(parent)) as second:
        first.__exit__(None, None, None)
        assert second.path.is_dir()
        assert not first.path.exists()
    (tmp_path / "there").mkdir()
    with ScratchFolder(str(tmp_path / "there")):
        pass
    assert (tmp_path / "there").is_dir()  # it is the user's


def test_two_do_not_meet(tmp_path: Path) -> None:
    with ScratchFolder(str(tmp_path)) as one, ScratchFolder(str(tmp_path)) as other:
        assert one.path != other.path


def test_it_is_removed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ScratchFolder(str(tmp_path)):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_where_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for parent in ("file", "file/below", "new/../file/below"):
        with (
            pytest.raises(ConfigError, match=rf"{parent}: it is not a folder.*scratch_dir"),
            ScratchFolder(str(tmp_path / parent)),
        ):
            pass
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def no_room(*arguments: object, **settings: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["pathlib.Path.mkdir", "fcntl.flock", "pathlib.Path.open"])
def test_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(where, no_room)
    with (
        pytest.raises(DiskFullError, match=f"{tmp_path}: No space left.*`scratch_dir`"),
        ScratchFolder(str(tmp_path)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_the_system_has_no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", missing)
    with (
        pytest.raises(ConfigError, match=r"No usable temporary .*`scratch_dir`"),
        ScratchFolder(None),
    ):
        pass


def test_errors_of_files_in_the_folder_are_explained_and_others_are_not(tmp_path: Path) -> None:
    with ScratchFolder(str(tmp_path)) as scratch:
        inside = str(scratch.path / "journal")
        for error, kind in (
            (OSError(errno.EACCES, "denied", inside), ConfigError),
            (OSError(errno.ENOSPC, "no space"), DiskFullError),
            (OSError(errno.EACCES, "denied", "/elsewhere"), PermissionError),
            (PathNotFoundError("none", inside), PathNotFoundError),
        ):
            with pytest.raises(kind), scratch.explained():
                raise error


KILLED = """
import os, signal, sys
from aflint.driver.scratch import ScratchFolder
with ScratchFolder(sys.argv[1], sys.argv[2], named=True) as scratch:
    (scratch.path / "journal").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def named(parent: Path, session: str = "nightly") -> ScratchFolder:
    return ScratchFolder(str(parent), session, named=True)


def killed(parent: Path, session: str = "nightly") -> Path:
    """Return the folder that a killed driver left."""
    before = set(parent.iterdir())
    subprocess.run([sys.executable, "-c", KILLED, str(parent), session], check=False)
    (folder,) = set(parent.iterdir()) - before
    return folder


def test_a_killed_drivers_folder_is_used_again_and_stays(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    for _ in range(2):
        with named(tmp_path) as scratch:
            assert scratch.path == folder
            assert (scratch.path / "journal").read_bytes() == b"x"
    assert (folder / LOCK).read_bytes() == b"nightly"


def test_it_goes_once_it_is_owned(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    with named(tmp_path) as scratch:
        scratch.own()
    assert not folder.exists()


def test_it_stays_where_it_was_owned_and_is_to_be_kept_after_all(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    with named(tmp_path) as scratch:
        scratch.own()
        scratch.keep()
    assert (folder / "journal").exists()


def test_a_new_folder_goes_whatever_is_said(tmp_path: Path) -> None:
    with named(tmp_path) as scratch:
        scratch.keep()
    assert list(tmp_path.iterdir()) == []


def test_a_living_drivers_folder_is_left_alone(tmp_path: Path) -> None:
    with named(tmp_path) as first:
        (first.path / "journal").touch()
        with (
            pytest.raises(RunInUseError, match="nightly is in use on this machine"),
            named(tmp_path),
        ):
            pass
        assert (first.path / "journal").exists()
        with named(tmp_path, "nightl") as other, ScratchFolder(str(tmp_path), "nightly") as unnamed:
            assert len({first.path, other.path, unnamed.path}) == 3
    with named(tmp_path) as second:
        assert second.path != first.path


def test_a_folder_of_another_session_is_not_used(tmp_path: Path) -> None:
    folders = [killed(tmp_path, session) for session in ("nightl", "nightlyx", "")]
    with named(tmp_path) as scratch:
        assert scratch.path not in folders
    assert all((folder / "journal").exists() for folder in folders)


def foreign(place: Path) -> Path:
    """Make a folder as a driver of this session would have."""
    place.mkdir()
    (place / LOCK).write_bytes(b"nightly")
    return place


def test_links_are_not_followed(tmp_path: Path) -> None:
    real, parent = foreign(tmp_path / "real"), tmp_path / "tmp"
    parent.mkdir()
    (parent / "aflint-link").symlink_to(real)
    linked = parent / "aflint-linked-lock"
    linked.mkdir()
    (linked / LOCK).symlink_to(real / LOCK)
    with named(parent) as scratch:
        scratch.own()
        assert scratch.path not in (parent / "aflint-link", linked)
    assert (real / LOCK).read_bytes() == b"nightly"
    assert linked.is_dir()


@pytest.mark.parametrize("which", ["", LOCK])
def test_what_is_another_users_is_not_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    folder = foreign(tmp_path / "aflint-other")
    real = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        found = real(path)
        if path != folder / which:
            return found
        return os.stat_result((*found[:4], os.getuid() + 1, *found[5:]))

    monkeypatch.setattr(Path, "lstat", lstat)
    with named(tmp_path) as scratch:
        assert scratch.path != folder
    assert (folder / LOCK).exists()


def test_a_folder_that_goes_while_it_is_adopted_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = foreign(tmp_path / "aflint-going"), fcntl.flock

    def removed_first(handle: IO[bytes], how: int) -> None:
        if folder.exists():
            shutil.rmtree(folder)
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with named(tmp_path) as scratch:
        assert scratch.path != folder
        assert scratch.path.is_dir()


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("session", ["", "nightly"])
def test_a_folder_is_not_left_by_a_signal_at_any_line(tmp_path: Path, session: str) -> None:
    for line in count():
        scratch = ScratchFolder(str(tmp_path / "new"), session, named=bool(session))
        if not interrupted(line, scratch.__enter__):
            break
        assert not list(tmp_path.iterdir())
    assert line > 20
    scratch.__exit__(None, None, None)
    assert not list(tmp_path.iterdir())
    gc.collect()  # a file that was opened on an interrupted line is closed here
