"""The listeners of a session that write: its event log where one is asked for, and its history."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

from aflint.config import Config
from aflint.driver.report import Reporter
from aflint.errors import AflintError, ConfigError
from aflint.events import Event, JobStarted, Listener
from aflint.observe.eventlog import EventLog, app_id
from aflint.observe.history import history_folder, new_log, prune
from aflint.observe.logfile import LogFile
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
        if self._config.history_mb:
            try:
                folder = history_folder()
            except ConfigError as error:
                _log.warning("this run leaves no history: %s", error)
            else:
                found.append(self._history(folder, stack))
        if self._config.event_log is not None:
            found.append(self._event_log(self._config.event_log, stack))
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

    def _history(self, folder: Path, stack: AsyncExitStack) -> Listener:
        path, attempt = new_log(folder, self._run)
        most = self._config.history_mb << 20
        file = LogFile(
            path, f"the history of this run ({path})", lambda: prune(folder, most, time.time())
        )
        stack.push_async_callback(file.aclose)
        return _FromFirstJob(EventLog(file.write, self._reporter, attempt))

    def _event_log(self, target: str, stack: AsyncExitStack) -> Listener:
        if target.startswith("s3://"):
            path, attempt = self._scratch / "eventlog" / app_id(self._run), None
            stack.push_async_callback(self._upload, path, f"{target.rstrip('/')}/{path.name}")
        else:
            path, attempt = new_log(Path(target.removeprefix("file://")), self._run)
        file = LogFile(path, f"the event log ({target})")
        stack.push_async_callback(file.aclose)
        return EventLog(file.write, self._reporter, attempt)

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


class _FromFirstJob:
    """Holds a run's first event back until it has a job."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._held: list[Event] | None = []

    def __call__(self, event: Event) -> None:
        if self._held is not None:
            if not isinstance(event, JobStarted):
                self._held.append(event)
                return
            held, self._held = self._held, None
            for each in held:
                self._listener(each)
        self._listener(event)
