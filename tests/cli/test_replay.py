from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from typer.testing import CliRunner

import aflint
from aflint.cli import main
from aflint.driver.failed import KEPT_S, FailedTasks
from aflint.errors import TaskError
from aflint.observe.history import failed_folder

PROGRAM = """\
import aflint


def share(pair, limit):
    word, counts = pair
    total = sum(counts)
    rest = limit.value - total
    return word, 100 // rest


async with aflint.connect() as session:
    words = session.parallelize(["a", "b", "a", "c", "a"], 2).map(lambda word: (word, 1))
    limit = session.broadcast(3)
    shares = words.group_by_key(1).map(lambda pair: share(pair, limit))
    await (shares.save_as_text_file("out") if {saves} else shares.collect())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fail(folder: Path, backend: str, *, saves: bool = False) -> str:
    """Run a program whose second task fails, and return its name."""
    (folder / "app.py").write_text(PROGRAM.replace("{saves}", str(saves)))
    options = ["--backend", backend, "--set", "keep_failed=true", "--set", "workers=1"]
    words = ["-m", "aflint", "run", *options, "app.py"]
    out, status = pexpect.run(
        " ".join([sys.executable, *words]), timeout=90, withexitstatus=True, cwd=str(folder)
    )
    assert status == 1, out
    ((name, _),) = FailedTasks(failed_folder()).names()
    assert f"`aflint replay {name}`".encode() in out
    return str(name)


def debugged(folder: Path, *words: str) -> Any:
    command = ["-m", "aflint", "replay", *words]
    return pexpect.spawn(
        sys.executable, command, cwd=str(folder), encoding="utf-8", timeout=60, dimensions=(24, 40)
    )


def test_a_task_of_a_function_stops_at_a_breakpoint_and_where_it_failed(folder: Path) -> None:
    name = fail(folder, "localcloud")
    child = debugged(folder, name, "--pdb", "--break", "app.py:8")
    child.expect("rest = limit.value|return word, 100")
    child.expect(r"\(Pdb\) ")
    child.sendline("p word, total, rest")
    child.expect(r"\('a', 3, 0\)|\('[bc]', 1, 2\)")
    child.expect(r"\(Pdb\) ")
    child.sendline("clear 1")
    child.expect(r"\(Pdb\) ")
    child.sendline("continue")
    child.expect("ZeroDivisionError")
    child.expect(r"\(Pdb\) ")
    child.sendline("p pair, rest")
    child.expect(r"\(\('a', .*\), 0\)")
    child.sendline("quit")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 1


def test_a_kept_task_runs_again_and_writes_nothing(folder: Path) -> None:
    name = fail(folder, "local", saves=True)
    result = CliRunner().invoke(main.app, ["replay", "--json"])
    assert [each["task"] for each in json.loads(result.stdout)] == [name]
    before = sorted(folder.rglob("*"))
    again = CliRunner().invoke(main.app, ["replay", name])
    assert again.exit_code == 1
    shown = [line for line in again.stderr.splitlines() if line.startswith("  File")]
    assert shown[-1] == f'  File "{folder}/app.py", line 8, in share'
    assert again.stderr.splitlines()[-1].startswith("ZeroDivisionError: ")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("words", [["nightly-1/0/0"], ["x"], ["../../x/0/0"], ["a/b/c/d"]])
def test_a_task_that_is_not_kept_is_told(folder: Path, words: list[str]) -> None:
    result = CliRunner().invoke(main.app, ["replay", *words])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: no failed task {words[0]!r} is kept")
    listed = CliRunner().invoke(main.app, ["replay"])
    assert listed.stdout.startswith("No failed task is kept")


async def test_what_was_kept_goes_after_a_week_and_what_is_kept_is_private(folder: Path) -> None:
    def boom(x: int) -> None:
        raise ValueError(x)

    settings: dict[str, Any] = {"workers": 1, "keep_failed": True, "progress": False}
    async with aflint.connect(**settings) as session:
        with pytest.raises(TaskError, match="ValueError"):
            await session.range(3, num_slices=1).map(boom).collect()
    failed = FailedTasks(failed_folder())
    ((name, since),) = failed.names()
    path = next(failed.folder.iterdir())
    assert path.stat().st_mode & 0o077 == 0
    assert failed.read(name).error.startswith("ValueError: 0")
    failed.expire(since + KEPT_S - 1)
    assert list(failed.names())
    failed.expire(since + KEPT_S + 1)
    assert list(failed.names()) == []


def test_a_task_kept_by_another_aflint_is_told(folder: Path) -> None:
    failed = FailedTasks(failed_folder())
    failed.folder.mkdir(parents=True)
    (failed.folder / "old-1-0-0").write_bytes(b"of another form")
    result = CliRunner().invoke(main.app, ["replay", "old-1/0/0"])
    assert result.exit_code == 1
    assert "was kept by another version of aflint" in result.stderr
