"""A job while it runs, as seen by who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from aflint.errors import InvalidArgumentError, JobCancelledError
from aflint.plan import Job
from aflint.task import ShuffleHandle, TaskResult

Acceptor = Callable[[TaskResult, bool], None]
_Answer = tuple[int, TaskResult]


def ignore(*news: object) -> None:
    """Do nothing with what a job tells."""


class RunningJob:
    """A job inside its `Scheduler.run` context."""

    def __init__(
        self,
        job: Job,
        request: Callable[[str, tuple[int, ...]], None],
        on_accept: Acceptor,
        on_open: Callable[[ShuffleHandle], None],
    ) -> None:
        self.job = job
        self.over = asyncio.Event()
        self.error: BaseException | None = None
        self.on_accept = on_accept
        self.on_open = on_open
        self._request = request
        self._waiting: dict[int, list[asyncio.Queue[_Answer | None]]] = {}
        self._readers: set[asyncio.Queue[_Answer | None]] = set()

    async def results(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, TaskResult]]:
        """Yield (partition, result) for partitions of the result stage, in order of completion.

        May be used several times, and by several tasks at once; each call names what it wants.
        Raises InvalidArgumentError for a partition that the job does not have, and the error of
        the job as soon as it fails.
        """
        wanted = tuple(dict.fromkeys(partitions))
        self._check(wanted)
        answers: asyncio.Queue[_Answer | None] = asyncio.Queue()
        self._readers.add(answers)
        for partition in wanted:
            self._waiting.setdefault(partition, []).append(answers)
        try:
            self._request(self.job.id, wanted)
            for _ in wanted:
                answer = await answers.get() if self.error is None else None
                if answer is None:
                    raise self._failure()
                yield answer
        finally:
            self._readers.discard(answers)
            self._forget(wanted, answers)

    def deliver(self, partition: int, result: TaskResult) -> None:
        """Hand a finished partition to those who wait for it."""
        for answers in self._waiting.pop(partition, ()):
            answers.put_nowait((partition, result))

    def fail(self, error: BaseException) -> None:
        """Have everyone who waits, now or later, raise `error`; the first one counts."""
        if self.error is None:
            self.error = error
            for answers in self._readers:
                answers.put_nowait(None)

    def _check(self, wanted: tuple[int, ...]) -> None:
        count = self.job.result_stage.tasks
        for partition in wanted:
            if not 0 <= partition < count:
                raise InvalidArgumentError(
                    f"job {self.job.id} has no partition {partition}: it has {count}, from 0"
                )

    def _failure(self) -> BaseException:
        return self.error or JobCancelledError(f"job {self.job.id} is over")

    def _forget(self, wanted: tuple[int, ...], answers: asyncio.Queue[_Answer | None]) -> None:
        for partition in wanted:
            queues = self._waiting.get(partition)
            if queues is not None and answers in queues:
                queues.remove(answers)
                if not queues:
                    del self._waiting[partition]
