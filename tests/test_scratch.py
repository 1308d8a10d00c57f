from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from aflint.driver.scratch import ScratchFolder
from aflint.errors import ConfigError
from aflint.locks import LOCK, PREFIX


def test_it_is_made_locked_and_removed(tmp_path: Path) -> None:
    parent = tmp_path / "a" / "b"
    with ScratchFolder(str(parent)) as scratch:
        assert scratch.path.parent == parent
        assert scratch.path.name.startswith(PREFIX)
        (scratch.path / "deep").mkdir()
        (scratch.path / "deep" / "file").touch()
        with (scratch.path / LOCK).open("rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list(parent.iterdir()) == []


def test_two_do_not_meet(tmp_path: Path) -> None:
    with ScratchFolder(str(tmp_path)) as one, ScratchFolder(str(tmp_path)) as other:
        assert one.path != other.path


def test_it_is_removed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ScratchFolder(str(tmp_path)):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_where_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"file.*scratch_dir"),
        ScratchFolder(str(tmp_path / "file")),
    ):
        pass
