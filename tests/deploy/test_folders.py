from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from aflint.config import load_config
from aflint.deploy.clean import default_scratch, find_folders, remove_folder
from aflint.deploy.doctor import Finding, Level, check_here
from aflint.driver.scratch import ScratchFolder
from aflint.journal.locks import LOCK

KILLED = """
import os, signal, sys
from aflint.driver.scratch import ScratchFolder
with ScratchFolder(sys.argv[1], "0123abcd") as scratch:
    (scratch.path / "block").write_bytes(b"x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_drivers_folder_is_found_and_removed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (found,) = find_folders(tmp_path)
    assert (found.alive, found.session) == (False, "0123abcd")
    assert found.size >= 1000
    assert remove_folder(found.path)
    assert list(tmp_path.iterdir()) == []


def test_a_living_drivers_folder_stays(tmp_path: Path) -> None:
    with ScratchFolder(str(tmp_path)) as scratch:
        (found,) = find_folders(tmp_path)
        assert found.alive
        assert not remove_folder(found.path)
        assert scratch.path.is_dir()


def test_the_lock_may_name_its_session(tmp_path: Path) -> None:
    folder = tmp_path / "aflint-x"
    folder.mkdir()
    with (folder / LOCK).open("w") as lock:
        lock.write("0123abcd\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        (found,) = find_folders(tmp_path)
        assert (found.alive, found.session) == (True, "0123abcd")


def test_what_no_driver_made_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "aflint-no-lock").mkdir()
    (tmp_path / "aflint-file").write_text("")
    real = tmp_path / "other"
    real.mkdir()
    (real / LOCK).write_text("")
    (tmp_path / "aflint-link").symlink_to(real)
    linked = tmp_path / "aflint-linked-lock"
    linked.mkdir()
    (linked / LOCK).symlink_to(real / LOCK)
    assert find_folders(tmp_path) == []
    assert find_folders(tmp_path / "nowhere") == []


def test_a_folder_that_went_meanwhile_is_no_error(tmp_path: Path) -> None:
    assert not remove_folder(tmp_path / "aflint-gone")


def test_the_configured_folder_is_looked_in(tmp_path: Path) -> None:
    assert default_scratch(str(tmp_path)) == tmp_path
    assert default_scratch(None).is_dir()


def space(scratch: Path) -> Finding:
    """Return what the doctor says of a scratch folder."""
    found = check_here(load_config(scratch_dir=str(scratch)))
    return next(each for each in found if each.subject == "scratch folder")


def test_the_doctor_looks_at_the_scratch_folder_as_a_session_would_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert space(tmp_path).level is not Level.FAIL
    later = space(tmp_path / "made" / "later")
    assert later.level is not Level.FAIL
    assert "is missing" in later.seen
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    found = space(tmp_path / "file")
    assert (found.level, found.seen) == (
        Level.FAIL, f"{tmp_path / 'file'} cannot be used: Not a directory",
    )  # fmt: skip
    assert "`scratch_dir`" in found.advice

    def full(**settings: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    found = space(tmp_path)
    assert (found.level, found.seen) == (
        Level.FAIL, f"{tmp_path} cannot be used: No space left on device",
    )  # fmt: skip


def test_the_doctor_says_where_the_system_has_no_temporary_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", missing)
    found = {each.subject: each for each in check_here(load_config())}
    assert found["scratch folder"].level is Level.FAIL
    assert "No usable temporary directory" in found["scratch folder"].seen
