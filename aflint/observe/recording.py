"""The listeners of a session that write: its event log where one is asked for, and its history."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from aflint.config import Config
from aflint.driver.report import Reporter
from aflint.errors import AflintError, ConfigError
from aflint.events import Listener
from aflint.observe.eventlog import EventLog
from aflint.observe.history import history_folder, new_log, prune
from aflint.observe.logfile import FromFirstJob, Lines, LogFile, LogWriter
from aflint.storage.base import Storage

_log = logging.getLogger("aflint.observe")

_PART: Final = 8 << 20


class Recording:
    """What is written of a run. A session that runs no job leaves nothing in the history."""

    def __init__(
        self, config: Config, run: str, reporter: Reporter, storage: Storage, scratch: Path
    ) -> None:
        self._config = config
        self._run = run
        self._reporter = reporter
        self._storage = storage
        self._scratch = scratch

    def listeners(self, stack: AsyncExitStack) -> list[Listener]:
        """Return the listeners; the stack takes what completes their files.

        Raises ConfigError where what one of them needs is not installed.
        """
        found: list[Listener] = []
        if (writer := self._log_writer(stack)) is not None:
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

    def _log_writer(self, stack: AsyncExitStack) -> LogWriter | None:
        """Return what writes the log into the history and where it is asked for, the same lines to
        both; None where neither is wanted.
        """
        history, target = self._history_folder(), self._config.event_log
        folders = [folder for folder in (history,) if folder is not None]
        in_s3 = target is not None and target.startswith("s3://")
        if target is not None and not in_s3:
            folders.append(Path(target.removeprefix("file://")))
        name, attempt = new_log(folders, self._run)
        places: list[Lines] = []
        if history is not None:
            path = history / name
            prunes = partial(self._prune, history)
            what = f"the history of this run ({path})"
            places.append(FromFirstJob(LogFile(path, what, opened=prunes)))
        if target is not None:
            folder = self._scratch / "eventlog" if in_s3 else folders[-1]
            places.append(LogFile(folder / name, f"the event log ({target})"))
            if in_s3:
                to = f"{target.rstrip('/')}/{name}"
                stack.push_async_callback(self._upload, folder / name, to)
        return LogWriter(EventLog(attempt), places, self._dollars_of) if places else None

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

    async def _upload(self, path: Path, target: str) -> None:
        """Put a complete log into S3; a bucket that takes none is warned of."""
        writer = self._storage.create(target)
        try:
            with path.open("rb") as file:
                while part := file.read(_PART):
                    await writer.write(part)
            await writer.finish()
        except (OSError, AflintError) as error:
            await writer.abort()
            _log.warning("the event log was not written to %s: %s", target, error)


@contextmanager
def _installed(extra: str) -> Iterator[None]:
    """Say which extra of aflint's is missing where an import fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{extra} needs {error.name}: pip install 'aflint[{extra}]'") from None
