"""The jobs of the history."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from aflint.errors import EventLogError, InvalidArgumentError
from aflint.observe.history import history_folder, logs
from aflint.observe.reading import Job, LogReader, Run

_log = logging.getLogger("aflint.observe")


def latest_jobs(most: int) -> list[tuple[Run, Job]]:
    """Return the latest jobs, those that began last first.

    Logs that cannot be read are warned of, all at once. Raises EventLogError where none can be.
    """
    found: list[tuple[Run, Job]] = []
    unread: list[EventLogError] = []
    for run in _runs(unread):
        found += [(run, job) for job in reversed(run.jobs)]
        if len(found) >= most:
            break
    if unread and not found:
        raise unread[0]
    if unread:
        others = f"{len(unread)} runs are" if len(unread) > 1 else "a run is"
        _log.warning("%s left out: %s", others, unread[0])
    return found[:most]


def find_job(id: str) -> tuple[Run, Job]:
    """Return a job, and its run; of several runs of one name, the latest.

    Raises InvalidArgumentError where no run that is kept has it, and EventLogError where its run is
    kept in a log that cannot be read.
    """
    run_id = id.rpartition("-")[0]
    unread: list[EventLogError] = []
    for run in _runs(unread, run_id):
        for job in run.jobs:
            if job.id == id:
                return run, job
    if unread:
        raise unread[0]
    raise InvalidArgumentError(
        f"no run that is kept has a job {id!r}: `aflint jobs` lists those there are"
    )


def _runs(unread: list[EventLogError], only: str = "") -> Iterator[Run]:
    """Yield the runs that are kept, the latest first; why a log cannot be read is added to
    `unread`.
    """
    for path in logs(history_folder()):
        if only not in path.name:
            continue
        reader = LogReader(path)
        try:
            reader.read()
        except EventLogError as error:
            unread.append(error)
        except FileNotFoundError:
            continue  # it was removed meanwhile
        except OSError as error:
            unread.append(EventLogError(f"{path} cannot be read: {error.strerror}"))
        else:
            yield reader.run


def output_of(job: Job, task: str | None = None) -> list[str]:
    """Return the lines that a job's tasks printed, each with the task that did.

    `task` is a partition, in any stage, or a stage and a partition, as 2/17. Raises
    InvalidArgumentError where it is neither, or the job has none such.
    """
    wanted = _place(task) if task is not None else None
    lines, met = [], False
    for number, stage in enumerate(job.stages):
        for each in stage.tasks.values():
            if wanted is not None and (wanted[0] not in (None, number) or wanted[1] != each.index):
                continue
            met = True
            again = f", attempt {each.attempt}" if each.attempt else ""
            mark = f"[stage {number}, partition {each.index}{again}]"
            lines += [f"{mark} {line}" for line in each.logs.splitlines()]
    if wanted is not None and not met:
        raise InvalidArgumentError(f"job {job.id} ran no task {task}")
    return lines


def _place(task: str) -> tuple[int | None, int]:
    stage, slash, partition = task.rpartition("/")
    try:
        return int(stage) if slash else None, int(partition)
    except ValueError:
        raise InvalidArgumentError(
            f"{task!r} is no task: name its partition, as 17, or its stage, too, as 2/17"
        ) from None
