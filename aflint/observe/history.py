"""The runs of this user, kept as event logs in the user's state folder, up to a bound."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from aflint.errors import ConfigError
from aflint.observe.eventlog import app_id
from aflint.observe.logfile import IN_PROGRESS
from aflint.observe.rolling import ROLLING

MOST_RUNS: Final = 1000
_ABANDONED_S: Final = 7 * 24 * 3600.0
"""A log that nobody has written to for so long is of a killed driver, and counts as complete."""


def history_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where this user's runs are kept: by $XDG_STATE_HOME, else in ~/.local/state.

    Raises ConfigError where there is no home folder.
    """
    if state := environ.get("XDG_STATE_HOME"):
        return Path(state) / "aflint" / "history"
    try:
        return Path.home() / ".local" / "state" / "aflint" / "history"
    except RuntimeError:
        raise ConfigError(
            "there is no home folder to keep the history of runs in: set XDG_STATE_HOME, or "
            "history_mb = 0 to keep none"
        ) from None


def predictions_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where predictions wait for their runs: beside the history. Raises as
    `history_folder`.
    """
    return history_folder(environ).with_name("predictions")


def failed_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where failed tasks are kept: beside the history. Raises as `history_folder`."""
    return history_folder(environ).with_name("failed")


def new_log(folders: Sequence[Path], run: str) -> tuple[str, int | None]:
    """Return a name for a run's log that no log in these folders has, and which run of its id it
    is, if not the first.
    """
    name, attempt = app_id(run), 1
    while any(
        (folder / each).exists()
        for folder in folders
        for each in (name, name + IN_PROGRESS, ROLLING + name)
    ):
        attempt += 1
        name = f"{app_id(run)}_{attempt}"
    return name, attempt if attempt > 1 else None


def logs(folder: Path) -> Iterator[Path]:
    """Yield the logs in a folder, the latest first: files, and the folders of rolling ones."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if not path.name.startswith(".") and (is_rolling(path) or path.is_file()):
                    found.append((size_and_time(path)[1], path))
    for _, path in sorted(found, reverse=True):
        yield path


def is_rolling(path: Path) -> bool:
    """Say whether a log is a folder of parts."""
    return path.name.startswith(ROLLING) and path.is_dir()


def size_and_time(path: Path) -> tuple[int, float]:
    """Return the bytes of a log, and when it was written last. Raises OSError where it is gone."""
    stats = [each.stat() for each in path.iterdir()] if is_rolling(path) else []
    stats = stats or [path.stat()]
    return sum(stat.st_size for stat in stats), max(stat.st_mtime for stat in stats)


def prune(folder: Path, most_bytes: int, now: float) -> None:
    """Remove the oldest logs beyond the bound; those being written stay."""
    total = count = 0
    for path in logs(folder):
        with suppress(OSError):
            size, written = size_and_time(path)
            total += size
            count += 1
            rolling = is_rolling(path)
            names = [each.name for each in path.iterdir()] if rolling else [path.name]
            begun = any(name.endswith(IN_PROGRESS) for name in names)
            running = begun and now - written < _ABANDONED_S
            if (total > most_bytes or count > MOST_RUNS) and not running:
                if rolling:
                    shutil.rmtree(path)
                else:
                    path.unlink()
                total -= size
