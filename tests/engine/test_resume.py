"""A driver that is killed outright, and another one that goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.errors import RunInUseError

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Driver:
    """One run of a program in a process of its own."""

    status: int
    told: dict[str, Any]
    errors: str
    out: str = ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ran", "scratch"):
        (tmp_path / name).mkdir()
    return tmp_path


def start(words: list[str], folder: Path, **variables: str) -> Driver:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {**os.environ, "PYTHONPATH": path, **variables}
    ended = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True
    )
    told = json.loads(ended.stdout) if ended.stdout.startswith("{") else {}
    return Driver(ended.returncode, told, ended.stderr, ended.stdout)


def run(name: str, folder: Path, *more: object, **variables: str) -> Driver:
    words = ["-m", "tests.engine.resumable", name, str(folder), *map(str, more)]
    return start(words, folder, **variables)


def ran(folder: Path) -> Counter[str]:
    """Return how often each partition was computed."""
    names = (path.name.rpartition(".")[0].rpartition(".")[0] for path in (folder / "ran").iterdir())
    return Counter(names)


def written_down(folder: Path) -> set[str]:
    """Return the tasks that killed drivers had accepted, and had seen written down."""
    return set((folder / "accepted").read_text().split())


def left(folder: Path) -> list[Path]:
    return list((folder / "scratch").iterdir())


Alone = Callable[[str], Any]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """Return what a program answers when nobody kills it."""

    @cache
    def answer(name: str) -> Any:
        folder = tmp_path_factory.mktemp(name)
        for part in ("ran", "scratch"):
            (folder / part).mkdir()
        driver = run(name, folder)
        assert driver.status == 0, driver.errors
        return driver.told["answer"]

    return answer


@pytest.mark.parametrize(
    ("name", "kill_after", "stage"),
    [
        ("counts", 1, ""),
        ("counts", 7, ""),
        ("counts", 12, ""),  # the last map task
        ("counts", 14, ""),  # in the reduce stage
        ("counts", 16, ""),  # the last of the first job
        ("counts", 18, ""),  # in a later job, which reads what the first one left
        ("joined", 5, ""),
        ("joined", 2, 2),
        ("cached", 4, ""),
        ("cached", 8, ""),
        ("side_by_side", 9, ""),
    ],
)
def test_a_killed_driver_is_resumed(
    name: str, kill_after: int, stage: object, folder: Path, alone: Alone
) -> None:
    killed = run(name, folder, kill_after, stage, PYTHONHASHSEED="1")
    assert killed.status == -signal.SIGKILL
    resumed = run(name, folder, PYTHONHASHSEED="2")
    assert resumed.status == 0, resumed.errors
    assert resumed.told["answer"] == alone(name)
    assert left(folder) == []
    assert resumed.told["recovered"]
    assert len(written_down(folder)) >= kill_after
    again = set(resumed.told["accepted"])
    assert not again & (written_down(folder) | set(resumed.told["recovered"]))


def test_accepted_map_tasks_are_not_run_again(folder: Path) -> None:
    run("counts", folder, 12)
    assert set(ran(folder).values()) == {1}
    resumed = run("counts", folder)
    assert set(resumed.told["recovered"]) >= {f"run-1.0.{p}" for p in range(12)}
    assert not [task for task in resumed.told["accepted"] if task.startswith("run-1.0.")]


def test_a_run_can_be_resumed_again_and_again(folder: Path, alone: Alone) -> None:
    for kill_after in (3, 3, 3, 3):
        assert run("counts", folder, kill_after).status == -signal.SIGKILL
    resumed = run("counts", folder)
    assert resumed.told["answer"] == alone("counts")
    assert not written_down(folder) & set(resumed.told["accepted"])
    assert left(folder) == []


def test_a_run_that_is_over_is_not_resumed(folder: Path, alone: Alone) -> None:
    driver = run("counts", folder, "end")
    assert driver.status == -signal.SIGKILL, driver.errors
    assert left(folder)
    listed = start(["-m", "aflint", "resume"], folder, AFLINT_SCRATCH_DIR=str(folder / "scratch"))
    assert "Nothing to resume" in listed.out
    driver = run("counts", folder)
    assert (driver.status, driver.told["answer"]) == (0, alone("counts")), driver.errors
    assert driver.told["recovered"] == []
    assert not left(folder)


def test_a_save_is_committed_once(folder: Path, alone: Alone) -> None:
    for kill_after in (3, 9, 2, 1):
        assert run("saved", folder, kill_after).status == -signal.SIGKILL
    resumed = run("saved", folder)
    assert resumed.status == 0, resumed.errors
    assert resumed.told["answer"] == alone("saved")
    assert left(folder) == []


def test_another_program_is_refused_and_destroys_nothing(folder: Path, alone: Alone) -> None:
    run("counts", folder, 8)
    (scratch,) = left(folder)
    files = {path for path in scratch.rglob("*") if "worker" not in str(path)}
    refused = run("changed", folder)
    assert refused.status == 1
    assert "ProgramChangedError: run run cannot be resumed" in refused.errors
    assert files <= set(scratch.rglob("*"))
    resumed = run("counts", folder)
    assert resumed.told["answer"] == alone("counts")


@pytest.mark.parametrize("same_size", [True, False])
def test_a_run_whose_input_was_changed_is_refused(same_size: bool, folder: Path) -> None:
    path = folder / "input.txt"
    path.write_text("to be or not\n" * 100)
    assert run("lines", folder, 3).status == -signal.SIGKILL
    resumed = run("lines", folder, 3)
    assert resumed.status == -signal.SIGKILL
    times = path.stat()
    path.write_text("or not to be\n" * (100 if same_size else 101))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    refused = run("lines", folder)
    assert refused.status == 1
    assert "InputChangedError: run run cannot be resumed" in refused.errors
    assert f"{path} was changed or replaced since run-1 (" in refused.errors
    assert left(folder)


def damage(journal: Path, how: str) -> None:
    """Damage the last segment of a journal."""
    segment = max(journal.iterdir())
    data = bytearray(segment.read_bytes())
    if how == "truncated":
        del data[len(data) // 2 :]
    elif how == "altered":
        data[len(data) // 2] ^= 1
    elif how == "of another version":
        data[7] = 9
    else:
        data.clear()
        data += b"something else"
    segment.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("truncated", "JournalDamagedError"),
        ("altered", "JournalDamagedError"),
        ("of another version", "JournalVersionError"),
        ("something else", "JournalDamagedError"),
    ],
)
def test_a_damaged_journal_is_refused_and_stays(how: str, error: str, folder: Path) -> None:
    run("counts", folder, 8)
    (scratch,) = left(folder)
    whole = {path: path.read_bytes() for path in (scratch / "journal").iterdir()}
    damage(scratch / "journal", how)
    refused = run("counts", folder)
    assert refused.status == 1
    assert error in refused.errors.splitlines()[-1]
    assert str(scratch / "journal") in refused.errors
    for path, data in whole.items():
        path.write_bytes(data)
    resumed = run("counts", folder)
    assert resumed.status == 0, resumed.errors
    assert len(resumed.told["recovered"]) >= 8


def test_the_command_runs_the_program_again(folder: Path, alone: Alone) -> None:
    run("counts", folder, 8)
    command = ["-m", "aflint", "resume"]
    scratch = {"AFLINT_SCRATCH_DIR": str(folder / "scratch")}
    listed = subprocess.run(
        [sys.executable, *command], env={**os.environ, **scratch}, capture_output=True, text=True
    )
    assert "run" in listed.stdout
    assert "tests.engine.resumable counts" in listed.stdout
    unknown = start([*command, "other"], folder, **scratch)
    assert unknown.status == 1
    assert "there is no run 'other' to resume" in unknown.errors
    assert "Runs that can be resumed: run" in unknown.errors
    resumed = start([*command, "run-1"], folder, **scratch)  # without what it was killed by
    assert resumed.status == -signal.SIGKILL  # which is part of its command: it is killed again
    assert run("counts", folder).told["answer"] == alone("counts")


async def test_a_run_whose_driver_is_alive_is_not_resumed(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"workers": 1, "progress": False, "scratch_dir": str(tmp_path)}
    async with aflint.connect(run_id="mine", **settings) as session:
        with pytest.raises(RunInUseError, match="run mine is in use on this machine"):
            async with aflint.connect(run_id="mine", **settings):
                pass
        assert await session.range(10).sum() == 45
    async with aflint.connect(run_id="mine", **settings) as session:
        assert await session.range(10).sum() == 45
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "written"),
    [({}, False), ({"journal": False, "run_id": "mine"}, False), ({"journal": True}, True),
     ({"run_id": "mine"}, True)],
)  # fmt: skip
async def test_a_local_run_is_written_down_at_once_where_that_is_asked(
    settings: dict[str, Any], written: bool, tmp_path: Path
) -> None:
    async with aflint.connect(
        workers=1, progress=False, scratch_dir=str(tmp_path), **settings
    ) as session:
        assert await session.range(10).key_by(lambda n: n % 2).count_by_key() == {0: 5, 1: 5}
        (scratch,) = os.listdir(tmp_path)
        assert (tmp_path / scratch / "journal").exists() == written
    assert os.listdir(tmp_path) == []
