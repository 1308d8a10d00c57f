"""A listener that sends OpenLineage's run events: which files each job read, and what it wrote.

Where they go is for OpenLineage's own settings to say: `OPENLINEAGE_URL`, or `openlineage.yml`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import posixpath
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.facet_v2 import (
    error_message_run,
    job_type_job,
    parent_run,
    processing_engine_run,
)
from openlineage.client.transport.noop import NoopConfig, NoopTransport
from openlineage.client.uuid import generate_new_uuid

from aflint import __version__
from aflint.errors import ConfigError
from aflint.events import Event, JobEnded, JobStarted, RunEnded, RunStarted, TaskEnded, TaskStarted

_log = logging.getLogger("aflint.observe")

PRODUCER: Final = f"https://pypi.org/project/aflint/{__version__}"
NAMESPACE: Final = "aflint"


class OpenLineageEvents:
    """Sends START and COMPLETE, or FAIL, of the run and of each job in it.

    They are sent in threads, one after the other; the first that cannot be sent is warned of, and
    no job fails. `aclose` waits until all were sent.

    Raises ConfigError where OpenLineage's own settings are wrong, or do not say where to send them.
    """

    def __init__(
        self,
        client: OpenLineageClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client or _client()
        self._clock = clock
        # The event that is being sent, which waits for those before it.
        self._last: asyncio.Task[None] | None = None
        self._failed = False
        self._run: tuple[Run, Job] | None = None
        self._jobs: dict[str, tuple[Run, Job, list[InputDataset], list[OutputDataset]]] = {}

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case TaskStarted() | TaskEnded():  # most events
                pass
            case RunStarted(name=name):
                self._run = (Run(_new_id(), _engine()), Job(NAMESPACE, name, _type("APPLICATION")))
                self._send(RunState.START, *self._run)
            case JobStarted():
                self._job_started(event)
            case JobEnded(job, error):
                run, named, inputs, outputs = self._jobs.pop(job)
                if error:
                    message, _, rest = error.partition("\n")
                    run.facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
                        message, "Python", rest.strip() or None
                    )
                state = RunState.FAIL if error else RunState.COMPLETE
                self._send(state, run, named, inputs, outputs)
            case RunEnded():
                if self._run is not None:
                    self._send(RunState.COMPLETE, *self._run)

    async def aclose(self) -> None:
        """Wait until all events were sent."""
        if self._last is not None:
            await self._last
        await asyncio.to_thread(self._client.close)

    def _job_started(self, event: JobStarted) -> None:
        facets: dict[str, Any] = _engine()
        name = event.name
        if self._run is not None:
            run, program = self._run
            facets["parent"] = parent_run.ParentRunFacet(
                parent_run.Run(run.runId), parent_run.Job(program.namespace, program.name)
            )
            name = f"{program.name}.{event.name}"
        paths = (path for stage in event.stages for rdd in stage.rdds for path in rdd.paths)
        targets = [stage.target for stage in event.stages if stage.target]
        found = (
            Run(_new_id(), facets),
            Job(NAMESPACE, name, _type("JOB")),
            [InputDataset(*dataset) for dataset in datasets(paths)],
            [OutputDataset(*_named(target)) for target in targets],
        )
        self._jobs[event.job] = found
        self._send(RunState.START, *found)

    def _send(
        self,
        state: RunState,
        run: Run,
        job: Job,
        inputs: Iterable[InputDataset] = (),
        outputs: Iterable[OutputDataset] = (),
    ) -> None:
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat()
        event = RunEvent(
            eventType=state, eventTime=at, run=run, job=job, producer=PRODUCER,
            inputs=list(inputs), outputs=list(outputs),
        )  # fmt: skip
        self._last = asyncio.get_running_loop().create_task(self._emit_after(self._last, event))

    async def _emit_after(self, before: asyncio.Task[None] | None, event: RunEvent) -> None:
        if before is not None:
            await before
        await asyncio.to_thread(self._emit, event)

    def _emit(self, event: RunEvent) -> None:
        try:
            self._client.emit(event)
        except Exception as error:  # of any transport's own kind
            if not self._failed:
                self._failed = True
                _log.warning("lineage is not sent: %s", error)


def _client() -> OpenLineageClient:
    """Return a client by OpenLineage's own settings: by itself, one prints where there are none."""
    try:
        settings = OpenLineageClient(transport=NoopTransport(NoopConfig())).config
        disabled = os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true"
        kind = (settings.transport or {}).get("type")
        if kind or os.environ.get("OPENLINEAGE_URL") or disabled:
            return OpenLineageClient()
    except Exception as error:  # of any transport's own kind
        raise ConfigError(f"OpenLineage's own settings cannot be used: {error}") from error
    raise ConfigError(
        "openlineage is on, but nothing says where its events go: set OPENLINEAGE_URL, or a "
        "transport in openlineage.yml, which OPENLINEAGE_CONFIG may name"
    )


def datasets(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Return the datasets that files are, as (namespace, name): several files of one folder are the
    folder. Pure.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        folders[posixpath.dirname(path)].append(path)
    return [_named(files[0] if len(files) == 1 else folder) for folder, files in folders.items()]


def _named(path: str) -> tuple[str, str]:
    """Return a path as OpenLineage names datasets."""
    if path.startswith("s3://"):
        bucket, _, key = path.removeprefix("s3://").partition("/")
        return f"s3://{bucket}", key.rstrip("/") or "/"
    return "file", path


def _new_id() -> str:
    return str(generate_new_uuid())


def _engine() -> dict[str, Any]:
    engine = processing_engine_run.ProcessingEngineRunFacet(__version__, "aflint", __version__)
    return {"processing_engine": engine}


def _type(kind: str) -> dict[str, Any]:
    return {"jobType": job_type_job.JobTypeJobFacet("BATCH", "AFLINT", kind)}
