"""Runs whose drivers were killed: finds them, here and in S3, and starts their programs again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from aflint.codec.secret import SECRET_FILE, Secret
from aflint.config import Config
from aflint.deploy.clean import Folder, default_scratch, find_folders, names_cloud
from aflint.deploy.clients import open_clients
from aflint.deploy.status import find_deployment
from aflint.driver.command import RUN_ID
from aflint.errors import (
    AflintError,
    JournalDamagedError,
    JournalError,
    PathNotFoundError,
    RunInUseError,
    UnknownRunError,
)
from aflint.journal import JOURNALS, NAME, Past, folder_of, read_journal
from aflint.storage.base import Storage
from aflint.storage.local import LocalStorage
from aflint.storage.s3 import S3Storage

_PROMPTS = frozenset(("ipython", "ipython3", "IPython", "bpython", "ptpython", "jupyter-lab"))


@dataclass(frozen=True)
class Resumable:
    """One run. `place`: its folder. `problem`: why it cannot be resumed, empty where it can."""

    run: str
    place: str
    past: Past | None = None
    problem: JournalError | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """The words that its first driver was started with."""
        return self.past.drivers[0].command if self.past else ()

    @property
    def tasks(self) -> int:
        """How many tasks of it were accepted."""
        return sum(len(job.results) for job in self.past.jobs.values()) if self.past else 0


async def find_resumable(config: Config) -> list[Resumable]:
    """Return the runs that have a journal, here and, where the configuration names one, in S3.

    Runs whose drivers are alive on this machine are among them, with a RunInUseError.
    """
    folders = find_folders(default_scratch(config.scratch_dir))
    found = [await _in_folder(each) for each in folders if (each.path / NAME).is_dir()]
    if names_cloud(config, os.environ):
        alive = {each.session: each for each in folders if each.alive}
        found += await _in_cloud(config, alive)
    return [each for each in found if each is not None]


def choose(found: Iterable[Resumable], name: str) -> Resumable:
    """Return a run, named by its id or by that of any job of it ("nightly-3").

    Raises UnknownRunError where there is none, and the run's `problem` where it has one. Pure.
    """
    found = list(found)
    run = name.partition("-")[0]
    chosen = next((each for each in found if each.run == run), None)
    if chosen is None:
        known = ", ".join(sorted(each.run for each in found if each.problem is None))
        raise UnknownRunError(
            f"there is no run {run!r} to resume: it has ended, was removed by `aflint clean`, was "
            "started with another scratch_dir, bucket or prefix, or was killed before its journal "
            f"began. Runs that can be resumed: {known or 'none'}"
        )
    if chosen.problem is not None:
        raise chosen.problem
    if not is_program(chosen.command):
        raise UnknownRunError(
            f"run {run} was started in an interactive session, which `aflint resume` cannot start "
            f"again. Repeat its steps there, after connect(run_id={run!r})"
        )
    return chosen


def is_program(command: Sequence[str]) -> bool:
    """Say whether a command runs a program rather than a prompt or a notebook. Pure."""
    words = command[1:]
    if not words or words[0] in ("-", "-i"):
        return False
    return not any("ipykernel" in word or Path(word).name in _PROMPTS for word in words[:2])


def start_again(run: Resumable, environ: Mapping[str, str]) -> NoReturn:
    """Become the driver of a run: its program, in its folder, under its run id.

    Raises UnknownRunError where the folder or the interpreter that it was started in is gone.
    """
    assert run.past is not None
    driver = run.past.drivers[0]
    variables = {**environ, **driver.variables, RUN_ID: run.run}
    try:
        os.chdir(driver.folder)
        os.execvpe(driver.command[0], list(driver.command), variables)
    except OSError as error:
        raise UnknownRunError(
            f"run {run.run} cannot be started again with {' '.join(driver.command)!r} in "
            f"{driver.folder}: {error.strerror}. Start its program with {RUN_ID}={run.run}"
        ) from error


async def _in_folder(folder: Folder) -> Resumable | None:
    session, place = folder.session, str(folder.path)
    if folder.alive:
        return Resumable(session, place, problem=_alive(folder))
    try:
        key = Secret((folder.path / SECRET_FILE).read_bytes()).key(NAME, session)
        return await _stored(session, place, folder_of(place, session), LocalStorage(), key)
    except (AflintError, OSError, ValueError) as error:
        problem = JournalDamagedError(f"what is left of run {session} cannot be read: {error}")
        return Resumable(session, place, problem=problem)


async def _stored(
    session: str, place: str, journal: str, storage: Storage, key: bytes
) -> Resumable | None:
    """Return what a journal says of a run; None where it is over, and its driver was killed while
    it removed what the run had.
    """
    try:
        entries = (await read_journal(journal, storage, key, session)).entries
    except JournalError as error:
        return Resumable(session, place, problem=error)
    return Resumable(session, place, Past(session, entries)) if entries else None


async def _in_cloud(config: Config, alive: Mapping[str, Folder]) -> list[Resumable | None]:
    async with open_clients(config) as aws:
        found = await find_deployment(config, aws)
        journals = f"s3://{found.bucket}/{config.prefix}/{JOURNALS}"
        storage = S3Storage(aws)
        try:
            segments = await storage.list(f"{journals}/*/*")
        except PathNotFoundError:
            return []
        runs: list[Resumable | None] = []
        for session in sorted({Path(segment.path).parent.name for segment in segments}):
            place = f"{journals}/{session}"
            if session in alive:
                runs.append(Resumable(session, place, problem=_alive(alive[session])))
                continue
            key = found.secret.key(NAME, session)
            runs.append(await _stored(session, place, place, storage, key))
        return runs


def _alive(folder: Folder) -> RunInUseError:
    return RunInUseError(
        f"run {folder.session} is in use: its driver is alive and holds {folder.path}. There is "
        "nothing to resume"
    )
