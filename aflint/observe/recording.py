"""The listeners of a session that write: its event log where one is asked for, and its history."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path

from aflint.config import Config
from aflint.driver.report import Reporter
from aflint.errors import AflintError, ConfigError
from aflint.events import Listener
from aflint.observe.bucket import prune_remote, stamped
from aflint.observe.eventlog import EventLog, app_id
from aflint.observe.history import history_folder, new_log, prune
from aflint.observe.logfile import FromFirstJob, Lines, LogFile, LogWriter
from aflint.observe.rolling import PART_BYTES, ROLLING, RollingLog
from aflint.storage.base import Storage
from aflint.storage.local import LocalStorage

_log = logging.getLogger("aflint.observe")


class Recording:
    """What is written of a run, to `storage` where that is in S3. A session that runs no job leaves
    nothing in the history: that of this machine, and the one in the bucket that is at `remote`.
    """

    def __init__(
        self, config: Config, run: str, reporter: Reporter, storage: Storage, remote: str = ""
    ) -> None:
        self._config = config
        self._run = run
        self._reporter = reporter
        self._storage = storage
        self._remote = remote

    async def listeners(self, stack: AsyncExitStack) -> list[Listener]:
        """Return the listeners; the stack takes what completes their files.

        Raises ConfigError where what one of them needs is not installed.
        """
        found: list[Listener] = []
        if (writer := await self._log_writer()) is not None:
            stack.push_async_callback(writer.aclose)
            found.append(writer)
        if self._config.otel:
            with _installed("otel"):
                from aflint.observe.otel import OtelSpans
            found.append(OtelSpans())
        if self._config.openlineage:
            with _installed("openlineage"):
                from aflint.observe.openlineage import OpenLineageEvents
            lineage = OpenLineageEvents()
            stack.push_async_callback(lineage.aclose)
            found.append(lineage)
        return found

    async def _log_writer(self) -> LogWriter | None:
        """Return what writes the log into the history and where it is asked for, the same lines to
        all; None where none is wanted.
        """
        history, target = self._history_folder(), self._config.event_log
        folders = [folder for folder in (history,) if folder is not None]
        if target is not None and not _in_s3(target):
            folders.append(Path(target.removeprefix("file://")))
        name, attempt = new_log(folders, self._run)
        if target is not None and _in_s3(target) and self._config.run_id is not None:
            while await self._is_there(target, name):
                attempt = (attempt or 1) + 1
                name = f"{app_id(self._run)}_{attempt}"
        places: list[Lines] = []
        if history is not None:
            path = history / name
            prunes = partial(self._prune, history)
            what = f"the history of this run ({path})"
            places.append(FromFirstJob(LogFile(path, what, opened=prunes)))
        if self._remote and self._config.history_mb:
            places.append(FromFirstJob(self._in_bucket(name)))
        if target is not None:
            places.append(self._event_log(target, name))
        return LogWriter(EventLog(attempt), places, self._dollars_of) if places else None

    def _event_log(self, target: str, name: str) -> Lines:
        what = f"the event log ({target})"
        part_bytes = self._config.event_log_part_mb << 20
        if _in_s3(target):
            size = part_bytes or PART_BYTES
            return RollingLog(self._storage, target, name, what, part_bytes=size)
        folder = Path(target.removeprefix("file://"))
        if part_bytes:
            here = LocalStorage()
            return RollingLog(here, str(folder.absolute()), name, what, part_bytes=part_bytes)
        return LogFile(folder / name, what)

    def _in_bucket(self, name: str) -> Lines:
        prunes = partial(prune_remote, self._storage, self._remote, self._config.history_mb << 20)
        what = f"the history of this run in the bucket ({self._remote})"
        log = stamped(name, time.time())
        return RollingLog(self._storage, self._remote, name, what, log=log, finished=prunes)

    async def _is_there(self, target: str, name: str) -> bool:
        try:
            return await self._storage.exists(f"{target.rstrip('/')}/{ROLLING}{name}")
        except AflintError:  # writing to it says what is wrong
            return False

    def _history_folder(self) -> Path | None:
        if not self._config.history_mb:
            return None
        try:
            return history_folder()
        except ConfigError as error:
            _log.warning("this run leaves no history: %s", error)
            return None

    def _prune(self, folder: Path) -> None:
        prune(folder, self._config.history_mb << 20, time.time())

    def _dollars_of(self, job: str) -> float | None:
        report = self._reporter.jobs.get(job)
        return None if report is None else report.dollars


def _in_s3(target: str) -> bool:
    return target.startswith("s3://")


@contextmanager
def _installed(extra: str) -> Iterator[None]:
    """Say which extra of aflint's is missing where an import fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{extra} needs {error.name}: pip install 'aflint[{extra}]'") from None
