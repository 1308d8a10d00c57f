"""Predictions that wait for the jobs that they are of, to be told beside the bill.

A job is known again by its name, which says where in the program its action is, and by what it runs
on: a prediction for other functions, or another transport, is none of this job.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from aflint.cost.forecast import Setup
from aflint.cost.prediction import PredictedJob
from aflint.events import Predicted

_log = logging.getLogger("aflint.driver")

_KEPT_S: Final = 7 * 24 * 3600.0
_MOST_PROGRAMS: Final = 200


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What one job was predicted to come to, on functions of `memory_mb`."""

    name: str
    memory_mb: int
    transport: str
    dollars: float
    seconds: float

    @classmethod
    def of(cls, job: PredictedJob) -> Self:
        """Return what is likely of a job."""
        setup = job.setup
        likely = job.dollars.likely, job.seconds.likely
        return cls(job.name, setup.memory_mb, setup.transport, *likely)


@dataclass(slots=True)
class Predictions:
    """Those of a session: several of one name are of jobs that come one after the other."""

    _waiting: dict[str, deque[Foreseen]] = field(default_factory=lambda: defaultdict(deque))

    def add(self, jobs: Iterable[Foreseen]) -> None:
        """Add what a program was predicted to run, in place of what was known of jobs so named."""
        jobs = list(jobs)
        for job in jobs:
            self._waiting.pop(job.name, None)
        for job in jobs:
            self._waiting[job.name].append(job)

    def take(self, name: str, setup: Setup) -> Predicted | None:
        """Return what was predicted of a job that begins, once."""
        if name not in self._waiting:
            return None
        job = self._waiting[name].popleft()
        if not self._waiting[name]:
            del self._waiting[name]
        if (job.memory_mb, job.transport) != (setup.memory_mb, setup.transport):
            return None
        return Predicted(job.dollars, job.seconds)


def keep(folder: Path, program: str, arguments: Sequence[str], jobs: Iterable[Foreseen]) -> None:
    """Keep what a program was predicted to run, for its next runs within a week.

    A folder that cannot be written to is warned of.
    """
    path = _file_of(folder, program, arguments)
    said = {"program": _digest(program), "jobs": [_as_list(job) for job in jobs]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in _too_many(folder):
            old.unlink(missing_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(said), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        _log.warning("the bill of the run will not have this prediction beside it: %s", error)


def kept(folder: Path) -> list[Foreseen]:
    """Return what this process's program was predicted to run; nothing once it was changed."""
    if not sys.argv or not sys.argv[0]:
        return []
    path = _file_of(folder, sys.argv[0], sys.argv[1:])
    # Whatever is wrong with the file, it is only told beside something else.
    with suppress(OSError, ValueError, TypeError, LookupError):
        if time.time() - path.stat().st_mtime < _KEPT_S:
            said = json.loads(path.read_text(encoding="utf-8"))
            if said["program"] == _digest(sys.argv[0]):
                return [Foreseen(*job) for job in said["jobs"]]
    return []


def _as_list(job: Foreseen) -> list[object]:
    return [job.name, job.memory_mb, job.transport, job.dollars, job.seconds]


def _file_of(folder: Path, program: str, arguments: Sequence[str]) -> Path:
    words = json.dumps([os.path.realpath(program), *arguments])
    return folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"


def _digest(program: str) -> str:
    return hashlib.sha256(Path(program).read_bytes()).hexdigest()


def _too_many(folder: Path) -> Iterator[Path]:
    """Yield what is to be removed before one more is kept: what is old, and beyond the bound."""
    now = time.time()
    files = sorted(((file.stat().st_mtime, file) for file in folder.iterdir()), reverse=True)
    for place, (written, file) in enumerate(files, 1):
        if place >= _MOST_PROGRAMS or now - written > _KEPT_S:
            yield file
