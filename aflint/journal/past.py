"""What a run came to before, as its journal has it, and which of its jobs are met again: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aflint.errors import (
    AflintError,
    InputChangedError,
    JournalVersionError,
    ProgramChangedError,
)
from aflint.journal.entries import (
    DriverBegan,
    Entry,
    InputListed,
    JobBegan,
    JobClosed,
    SaveAborted,
    SaveCommitted,
    ShuffleClosed,
    ShuffleMade,
    TaskAccepted,
)
from aflint.task import ShuffleHandle, TaskResult

Links = tuple[TaskResult, ...]


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """What a job computes: its `fingerprint`, that of its `program` alone, and the versions of the
    `files` that it reads, which `input` names together.
    """

    fingerprint: str = ""
    program: str = ""
    input: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class PastJob:
    """One job of the run, as far as it came.

    `handles` are its shuffles that were not closed: also after its end, for the jobs after it.
    `results`, by (stage, partition), are what its tasks came to; the output of those that are
    `outdated` lies in a shuffle that was closed since. `counted` are the results that were accepted
    first, where tasks were run again: the run went on with what those accumulated and stored.
    `committed`: what it saved is in place. `error` is the type of the error that it ended with,
    empty where it gave its answer, and None where it did not end.
    `beside`: another job was under way at the same time, so that what was cached when it was
    planned may be otherwise in another run.
    """

    id: str
    name: str
    identity: JobIdentity
    handles: dict[int, ShuffleHandle] = field(default_factory=dict)
    counted: dict[tuple[int, int], Links] = field(default_factory=dict)
    results: dict[tuple[int, int], Links] = field(default_factory=dict)
    outdated: set[tuple[int, int]] = field(default_factory=set)
    committed: bool = False
    error: str | None = None
    beside: bool = False


class Past:
    """The jobs of a run so far. `generation` counts the drivers before this one."""

    def __init__(self, session: str, entries: Iterable[Entry] = ()) -> None:
        self.session = session
        self.drivers: list[DriverBegan] = []
        self._under_way: set[str] = set()
        self.jobs: dict[str, PastJob] = {}
        self.inputs: dict[str, Mapping[str, str]] = {}
        self.refused: AflintError | None = None
        """Why this driver may not go on with the run: then it runs no job and removes nothing."""
        for entry in entries:
            self._take_in(entry)
        # A job is met at most once, however often the program asks for an equal one.
        self._unmet = dict(self.jobs)
        # A job has ended otherwise than it did before, and the program may go another way.
        self._diverged = False

    @property
    def generation(self) -> int:
        """How many drivers there were."""
        return len(self.drivers)

    @property
    def numbers(self) -> int:
        """The highest number that a job of the run had, 0 if it had none."""
        return max((int(id.rpartition("-")[2]) for id in self.jobs), default=0)

    @property
    def unmet(self) -> Sequence[PastJob]:
        """The jobs that were not met again so far."""
        return tuple(self._unmet.values())

    def check_versions(self, aflint: str, python: str) -> None:
        """Raise JournalVersionError where the run was begun by other versions."""
        for driver in self.drivers[-1:]:
            if (driver.aflint, driver.python) != (aflint, python):
                raise JournalVersionError(
                    f"run {self.session} was started by aflint {driver.aflint} on Python "
                    f"{driver.python}, and this is aflint {aflint} on Python {python}. Resume it "
                    "with the versions it was started with. Nothing was changed."
                )

    def meet(self, identity: JobIdentity, name: str, *, alone: bool) -> PastJob | None:
        """Return the job that computes the same, once; None where the run had not come so far.

        `alone` says that no other job of this driver is under way. Where the run had jobs in this
        one's place, raises InputChangedError if a file has changed, else ProgramChangedError: with
        several at once, in either of both, that cannot be told, nor once a job has ended otherwise
        than it did.
        """
        # In the order of the first run, and each once: a program may well run equal jobs.
        for job in self._unmet.values():
            if job.identity.fingerprint == identity.fingerprint:
                return self._unmet.pop(job.id)
        # Nothing equal is left. A program of one job at a time asks for them in their order, so
        # that the next one in line is the one that has changed.
        expected = next(iter(self._unmet.values()), None)
        if expected is not None and not expected.beside and alone and not self._diverged:
            self.refused = self._refusal(expected, identity, name)
            raise self.refused
        return None

    def ended(self, job: PastJob, error: str) -> None:
        """Take in how a job that was met has ended now: with an error of that type, or, where that
        is empty, with its answer.
        """
        self._diverged |= job.error not in (None, error)

    def _refusal(self, expected: PastJob, found: JobIdentity, name: str) -> AflintError:
        """Return the error for a job that another one is asked for in place of."""
        kind: type[AflintError] = ProgramChangedError
        had, what = f"{expected.id} ({expected.name})", "program"
        why = (
            f"where it ran {had}, it now asks for {name!r}, with other functions, captured values "
            "or data"
        )
        if changes := changed_files(expected.identity, found):
            more = f" (and {len(changes) - 1:,} more)" if len(changes) > 1 else ""
            kind, what, why = InputChangedError, "input", f"{changes[0]}{more} since {had} began"
        return kind(
            f"run {self.session} cannot be resumed, because its {what} has changed: {why}. Nothing "
            f"was changed. Resume with the {what} as it was; or start over under another run id, "
            "and remove what is left of this run with `aflint clean`"
        )

    def saving(self, name: str) -> PastJob | None:
        """Return the saving job of that name, if one had begun and was not met again yet."""
        return next((job for job in self._unmet.values() if job.name == name), None)

    def _take_in(self, entry: Entry) -> None:
        match entry:
            case DriverBegan():
                self.drivers.append(entry)
                self._under_way.clear()
            case InputListed(id, files):
                self.inputs[id] = files
            case JobBegan(id, name, fingerprint, program, input):
                identity = JobIdentity(fingerprint, program, input, self.inputs.get(input, {}))
                self.jobs.setdefault(id, PastJob(id, name, identity)).error = None
                self._under_way.add(id)
                if len(self._under_way) > 1:
                    for each in self._under_way:
                        self.jobs[each].beside = True
            case ShuffleMade(stage, handle):
                job = self.jobs[handle.job]
                job.handles[handle.shuffle] = handle
                job.outdated.update(place for place in job.results if place[0] == stage)
            case TaskAccepted():
                results = entry.results
                task = results[-1].id
                job, place = self.jobs[task.job], (task.stage, task.partition)
                if entry.counts:
                    job.counted.setdefault(place, results)
                job.results[place] = results
                job.outdated.discard(place)
            case ShuffleClosed(handle):
                handles = self.jobs[handle.job].handles
                if handles.get(handle.shuffle) == handle:  # and not one that was made since
                    del handles[handle.shuffle]
            case JobClosed(id, error):
                self._under_way.discard(id)
                self.jobs[id].error = error
            case SaveAborted(id):
                self.jobs[id].results.clear()
            case SaveCommitted(id):
                self.jobs[id].committed = True


def changed_files(before: JobIdentity, now: JobIdentity) -> list[str]:
    """Say of each file that one job read and another does not, or in another version, what became
    of it; nothing where the jobs read other files because they are other programs. Pure.
    """
    had, has = before.files, now.files
    changes = [f"{p} was changed or replaced" for p in had if has.get(p, had[p]) != had[p]]
    if before.program == now.program:
        changes += [f"{path} is gone" for path in had if path not in has]
        changes += [f"{path} was added" for path in has if path not in had]
    return changes
