"""Opens and closes shuffles for the scheduler, and reports how that went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from aflint.errors import AflintError, InternalError
from aflint.scheduler.instructions import CloseShuffle, OpenShuffle
from aflint.scheduler.stimuli import ShuffleClosed, ShuffleOpened, ShuffleOpenFailed, Stimulus
from aflint.task import ShuffleHandle

_log = logging.getLogger(__name__)


class ShuffleService(Protocol):
    """Opens and closes shuffles; every `aflint.transport.base.Transport` is one."""

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Make ready what the shuffle needs."""
        ...

    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere."""
        ...


class ShuffleCarrier:
    """Carries out OpenShuffle and CloseShuffle."""

    def __init__(self, service: ShuffleService, post: Callable[[Stimulus], None]) -> None:
        self._service = service
        self._post = post

    async def open(self, wanted: OpenShuffle) -> None:
        """Open a shuffle; an exception that is no AflintError becomes an InternalError."""
        job, shuffle = wanted.job, wanted.shuffle
        try:
            handle = await self._service.open(job, shuffle, wanted.partitions)
        except AflintError as error:
            self._post(ShuffleOpenFailed(job, shuffle, error))
        except Exception as error:
            wrapped = InternalError(f"shuffle {shuffle} of job {job} was not opened: {error!r}")
            wrapped.__cause__ = error
            self._post(ShuffleOpenFailed(job, shuffle, wrapped))
        else:
            self._post(ShuffleOpened(job, shuffle, handle))

    async def close(self, wanted: CloseShuffle) -> None:
        """Close a shuffle; a failure is logged, as the job has its answer or its error already."""
        try:
            await self._service.close(wanted.handle)
        except Exception:
            _log.exception(
                "shuffle %d of job %s was not removed; `aflint clean` removes what it left",
                wanted.shuffle,
                wanted.job,
            )
        self._post(ShuffleClosed(wanted.job, wanted.shuffle))
