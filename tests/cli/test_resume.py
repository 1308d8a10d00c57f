from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner, Result

from aflint.cli import main
from aflint.codec.secret import SECRET_FILE, Secret
from aflint.driver.command import RUN_ID
from aflint.errors import JournalDamagedError, RunInUseError, UnknownRunError
from aflint.journal import NAME, Past, folder_of, open_journal
from aflint.journal.entries import DriverBegan, Entry, JobBegan, TaskAccepted, row_of
from aflint.journal.locks import LOCK
from aflint.journal.resuming import Resumable, choose, is_program
from aflint.storage.local import LocalStorage
from aflint.task import TaskId, TaskResult

PROGRAM = (sys.executable, "job.py", "--day", "a b")


def began(folder: Path, command: tuple[str, ...] = PROGRAM) -> DriverBegan:
    return DriverBegan("1", "3.11", command, str(folder), {"AFLINT_WORKERS": "2"}, "host", 1, 0.0)


def results(session: str) -> list[Entry]:
    job = f"{session}-1"
    tasks = (TaskResult(TaskId(job, 0, partition, 0)) for partition in range(3))
    return [JobBegan(job, "collect", "f"), *(TaskAccepted((row_of(task),)) for task in tasks)]


class Machine:
    """One on which drivers were killed."""

    def __init__(self, folder: Path) -> None:
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.replaced: list[tuple[str, list[str], dict[str, str], str]] = []

    def killed(self, session: str, *entries: Entry) -> Path:
        """Leave what a driver would have left that recorded these entries."""
        folder = self.scratch / f"aflint-{session}"
        folder.mkdir()
        (folder / LOCK).write_text(session)
        key = Secret.kept_in(folder / SECRET_FILE).key(NAME, session)

        async def write() -> None:
            place = folder_of(str(folder), session)
            journal, _ = await open_journal(place, LocalStorage(), key, session)
            for entry in entries:
                journal.record(entry)
            await journal.flush()
            await journal.aclose()

        asyncio.run(write())
        return folder

    def resume(self, *words: str) -> Result:
        before = self.all_bytes()
        result = CliRunner().invoke(main.app, ["resume", *words])
        assert self.all_bytes() == before, "something was changed"
        return result

    def all_bytes(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.scratch.rglob("*") if path.is_file()}


def segment(folder: Path) -> Path:
    """Return the file of the one segment of a journal."""
    (found,) = (folder / NAME).iterdir()
    return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFLINT_SCRATCH_DIR", str(machine.scratch))

    def replace(file: str, words: list[str], environ: dict[str, str]) -> NoReturn:
        if not Path(file).exists():
            raise FileNotFoundError(2, "No such file or directory", file)
        machine.replaced.append((file, words, environ, os.getcwd()))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execvpe", replace)
    return machine


def refused(machine: Machine, job: str, words: str) -> None:
    result = machine.resume(job)
    assert result.exit_code == 1
    assert "error: " in result.stderr
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert machine.replaced == []


def test_nothing_to_resume(machine: Machine) -> None:
    result = machine.resume()
    assert (result.exit_code, result.stdout) == (0, "Nothing to resume.\n")


def test_what_there_is_is_listed(machine: Machine, tmp_path: Path) -> None:
    machine.killed("nightly", began(tmp_path), *results("nightly"))
    machine.killed("other", began(tmp_path, (sys.executable, "[bold].py")))
    segment(machine.killed("hurt", began(tmp_path))).write_bytes(b"short")
    result = machine.resume()
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert rows.keys() >= {"nightly", "other", "hurt"}
    assert rows["nightly"].split()[3:] == [
        "1", "3", "job.py", "--day", "'a", "b'", str(machine.scratch / "aflint-nightly"),
    ]  # fmt: skip
    assert "[bold].py" in rows["other"]
    assert "is damaged" in " ".join(result.stdout.split())
    assert all(str(folder) in result.stdout for folder in machine.scratch.iterdir())


@pytest.mark.parametrize("name", ["nightly", "nightly-1"])
def test_the_program_is_started_again_where_it_was(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    second = began(tmp_path, (sys.executable, "-m", "aflint", "another"))
    machine.killed("nightly", began(home), *results("nightly"), second)
    monkeypatch.setenv(RUN_ID, "wrong")
    monkeypatch.setenv("AFLINT_WORKERS", "9")
    result = machine.resume(name)
    assert result.exit_code == 0
    assert "resuming run nightly: 1 jobs had begun, 3 tasks are kept" in result.stderr
    ((file, words, environ, folder),) = machine.replaced
    assert (file, words, folder) == (sys.executable, list(PROGRAM), str(home))
    assert (environ[RUN_ID], environ["AFLINT_WORKERS"]) == ("nightly", "2")
    assert environ["PATH"] == os.environ["PATH"]


def test_an_unknown_run_is_told_with_what_there_is(machine: Machine, tmp_path: Path) -> None:
    machine.killed("nightly", began(tmp_path))
    segment(machine.killed("hurt", began(tmp_path))).write_bytes(b"short")
    refused(machine, "weekly", "there is no run 'weekly' to resume")
    refused(machine, "weekly", "Runs that can be resumed: nightly")
    refused(machine, "night", "there is no run 'night' to resume")


def test_with_nothing_at_all_any_run_is_unknown(machine: Machine) -> None:
    refused(machine, "nightly", "Runs that can be resumed: none")


def test_a_run_whose_driver_lives_is_told(machine: Machine, tmp_path: Path) -> None:
    folder = machine.killed("nightly", began(tmp_path))
    with (folder / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(
            machine, "nightly", f"run nightly is in use: its driver is alive and holds {folder}"
        )
        assert "is in use" in machine.resume().stdout


def test_a_damaged_journal_is_told(machine: Machine, tmp_path: Path) -> None:
    folder = machine.killed("nightly", began(tmp_path), *results("nightly"))
    whole = segment(folder).read_bytes()
    for damaged in (whole[:-1], whole[:40] + b"?" + whole[41:], b"x" * 100):
        segment(folder).write_bytes(damaged)
        refused(machine, "nightly", "is damaged")
    segment(folder).write_bytes(whole[:7] + b"\x09" + whole[8:])
    refused(machine, "nightly", "has format version 9")


@pytest.mark.parametrize("secret", [None, b"", b"short", b"another secret of thirty-two by."])
def test_a_secret_that_is_gone_or_another_is_told(
    machine: Machine, tmp_path: Path, secret: bytes | None
) -> None:
    folder = machine.killed("nightly", began(tmp_path))
    (folder / SECRET_FILE).unlink()
    if secret is not None:
        (folder / SECRET_FILE).write_bytes(secret)
    refused(machine, "nightly", "damaged" if secret and len(secret) > 16 else "what is left of run")


@pytest.mark.parametrize(
    "words",
    [(), ("-i",), ("-",), ("-m", "ipykernel_launcher", "-f", "x"), ("/usr/bin/ipython",)],
)
def test_an_interactive_session_is_not_started_again(
    machine: Machine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    machine.killed("nightly", began(tmp_path, (sys.executable, *words)))
    refused(machine, "nightly", "connect(run_id='nightly')")


@pytest.mark.parametrize(
    "words", [("job.py",), ("-m", "pkg"), ("-c", "print()"), ("job.py", "-i", "in"), ("a.py", "-")]
)
def test_programs_are_told_from_prompts(words: tuple[str, ...]) -> None:
    assert is_program((sys.executable, *words))


def test_what_a_driver_left_that_was_killed_before_it_began_is_no_run(machine: Machine) -> None:
    (machine.killed("nightly") / NAME).mkdir()
    assert machine.resume().stdout == "Nothing to resume.\n"
    refused(machine, "nightly", "there is no run 'nightly' to resume")


def test_a_folder_or_an_interpreter_that_is_gone_is_told(machine: Machine, tmp_path: Path) -> None:
    machine.killed("nightly", began(tmp_path / "gone"))
    refused(machine, "nightly", f"Start its program with {RUN_ID}=nightly")
    machine.killed("other", began(tmp_path, (str(tmp_path / "python"), "job.py")))
    refused(machine, "other", "No such file or directory")


def test_what_other_users_or_programs_left_is_not_looked_at(machine: Machine) -> None:
    (machine.scratch / "aflint-no-journal").mkdir()
    (machine.scratch / "aflint-no-journal" / LOCK).write_text("nightly")
    (machine.scratch / "aflint-no-lock").mkdir()
    (machine.scratch / "aflint-no-lock" / NAME).write_bytes(b"?")
    refused(machine, "nightly", "there is no run 'nightly'")


def test_choosing_raises_what_stands_in_the_way() -> None:
    past = Past("b", [began(Path("/"))])
    found: list[Any] = [
        Resumable("a", "/a", problem=RunInUseError("alive")),
        Resumable("b", "/b", past),
        Resumable("c", "/c", problem=JournalDamagedError("hurt")),
    ]
    assert choose(found, "b-17") is found[1]
    for job, error in (("a", RunInUseError), ("c-1", JournalDamagedError), ("", UnknownRunError)):
        with pytest.raises(error):
            choose(found, job)
