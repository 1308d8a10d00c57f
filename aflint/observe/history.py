"""The runs of this user, kept as event logs in the user's state folder, up to a bound."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from aflint.errors import ConfigError
from aflint.observe.eventlog import app_id
from aflint.observe.logfile import IN_PROGRESS

_MOST_RUNS: Final = 1000
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
    while any((f / n).exists() for f in folders for n in (name, name + IN_PROGRESS)):
        attempt += 1
        name = f"{app_id(run)}_{attempt}"
    return name, attempt if attempt > 1 else None


def logs(folder: Path) -> Iterator[Path]:
    """Yield the logs in a folder, the latest first."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if not path.name.startswith(".") and path.is_file():
                    found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True):
        yield path


def prune(folder: Path, most_bytes: int, now: float) -> None:
    """Remove the oldest logs beyond the bound; those being written stay."""
    total = count = 0
    for path in logs(folder):
        with suppress(OSError):
            stat = path.stat()
            total += stat.st_size
            count += 1
            running = path.name.endswith(IN_PROGRESS) and now - stat.st_mtime < _ABANDONED_S
            if (total > most_bytes or count > _MOST_RUNS) and not running:
                path.unlink()
                total -= stat.st_size
