"""Removes what killed drivers left, here and in the cloud, and nothing that a living one uses.

Here, each driver has a temporary folder, and holds a lock on a file in it while it lives.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.config import Config
from aflint.deploy.clients import open_clients
from aflint.deploy.leftovers import Leftover, find_leftovers, remove, session_of
from aflint.deploy.names import Names
from aflint.deploy.plan import find_names
from aflint.deploy.up import is_loopback
from aflint.errors import ConfigError
from aflint.journal.locks import LOCK, open_lock, own_folders

OnRemoved = Callable[[str], object]

OLDER_THAN_S: Final = 24 * 3600.0
"""Whose drivers run elsewhere is not known here; no job in one account is to last longer."""


@dataclass(frozen=True)
class Cleaned:
    """What was removed, or would be: temporary folders, and what jobs had in the cloud."""

    folders: tuple[Folder, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    kept: int = 0
    """Things in the cloud that may belong to a running job."""


async def clean(
    config: Config,
    *,
    cloud: bool | None = None,
    older_than_s: float | None = None,
    dry_run: bool = False,
    on_removed: OnRemoved = lambda label: None,
) -> Cleaned:
    """Remove the folders of dead drivers; with `cloud`, also queues and objects.

    `cloud` None: where the configuration or the environment names a cloud.

    In the cloud, what is older than `older_than_s` goes (None: a day; at once where AWS is emulated
    on this machine), and whatever belongs to a driver that is known to be dead. What belongs to a
    driver that is alive on this machine stays in any case.

    Raises:
        BackendError: AWS refused. The folders stay: by them a dead driver's things are known.
    """
    folders = find_folders(default_scratch(config.scratch_dir))
    dead = [each for each in folders if not each.alive]
    found: list[Leftover] = []
    chosen: list[Leftover] = []
    if names_cloud(config, os.environ) if cloud is None else cloud:
        if older_than_s is None:
            older_than_s = 0.0 if is_loopback(config.endpoint_url, os.environ) else OLDER_THAN_S
        async with open_clients(config) as clients:
            names = await find_names(clients, config)
            found = await find_leftovers(clients, names)
            before = time.time() - older_than_s
            # Only drivers of this machine are known: those elsewhere are judged by age.
            living = {each.session for each in folders if each.alive}
            left = {each.session for each in dead if each.session}
            chosen = choose(found, names.prefix, before, living, left)
            if not dry_run:
                await together(_remove(clients, names, each, on_removed) for each in chosen)
    removed = [each for each in dead if dry_run or remove_folder(each.path)]
    for folder in removed if not dry_run else ():
        on_removed(str(folder.path))
    return Cleaned(tuple(removed), tuple(chosen), len(found) - len(chosen))


async def _remove(clients: Aws, names: Names, leftover: Leftover, tell: OnRemoved) -> None:
    await remove(clients, names, leftover)
    tell(leftover.label)


def names_cloud(config: Config, environ: Mapping[str, str]) -> bool:
    """Whether there is a cloud to look at: a session's own ends with the session. Pure."""
    endpoint = config.endpoint_url or environ.get("AWS_ENDPOINT_URL")
    return config.backend == "aws" or bool(endpoint)


def choose(
    leftovers: Iterable[Leftover],
    prefix: str,
    before: float,
    living: Collection[str],
    dead: Collection[str],
) -> list[Leftover]:
    """Return those to remove: older than the time `before`, or of a dead session; never those of a
    living one. Pure.
    """
    return [
        each
        for each in leftovers
        if (session := session_of(each, prefix)) not in living
        and (each.since <= before or session in dead)
    ]


@dataclass(frozen=True)
class Folder:
    """One driver's folder. `session` is what its lock file names as its owner, if anything."""

    path: Path
    alive: bool
    session: str
    age_s: float
    size: int


def default_scratch(scratch_dir: str | None) -> Path:
    """Return the folder that temporary folders are made in. Raises ConfigError if there is none."""
    try:
        return Path(scratch_dir or tempfile.gettempdir())
    except FileNotFoundError as error:  # each place that Python looks at is full, or read-only
        raise ConfigError(f"{error.strerror}. Set `scratch_dir`") from error


def find_folders(parent: Path, now: float | None = None) -> list[Folder]:
    """Return the drivers' folders in `parent` that are this user's, by path.

    What no driver of this user made is not looked at.
    """
    return [
        Folder(
            path,
            alive=_is_held(path / LOCK),
            session=_owner(path / LOCK),
            age_s=max(0.0, (now or time.time()) - _modified(path)),
            size=_size(path),
        )
        for path in own_folders(parent)
    ]


def remove_folder(path: Path) -> bool:
    """Remove a folder whose driver is dead; return False, and leave it, if it is not.

    The lock is held meanwhile, so that two who clean at once do not meet.
    """
    with _locked(path / LOCK) as taken:
        if taken:
            shutil.rmtree(path, ignore_errors=True)
        return taken


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[bool]:
    """Hold a lock if it is free; yield whether it is held now, False also where it is gone."""
    try:
        handle = open_lock(lock)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _take(handle)
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _is_held(lock: Path) -> bool:
    with _locked(lock) as taken:
        return not taken


def _owner(lock: Path) -> str:
    try:
        return lock.read_text(encoding="ascii", errors="replace").strip()[:64]
    except OSError:
        return ""


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _size(path: Path) -> int:
    total = 0
    for entry in path.rglob("*"):
        with contextlib.suppress(OSError):
            total += entry.lstat().st_size
    return total
