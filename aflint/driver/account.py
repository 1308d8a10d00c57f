"""What a job has cost at any moment, and when it will have cost a given sum: pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from aflint.cost import US_EAST_1, PriceTable, Usage, price
from aflint.task import TaskId

_BEGUN_S: Final = 0.001
"""An invocation is billed by the begun millisecond."""


@dataclass(slots=True)
class _StageTally:
    """What attempts of one stage ask of SQS and S3: known when they have ended, expected before."""

    running: int = 0
    ended: int = 0
    dollars: float = 0.0

    @property
    def each(self) -> float:
        """The mean of those that ended."""
        return self.dollars / self.ended if self.ended else 0.0

    @property
    def expected(self) -> float:
        """What those that run will have asked for when they end."""
        return self.running * self.each


@dataclass(slots=True)
class Account:
    """The dollars of one job. Times are in seconds since the job began.

    `ended` is certain: it is what the attempts that ended were billed. For one that ended without
    saying how long it ran (its connection was lost, or it was stopped), it is the time that the
    driver knows of, and `silent` of these can have run on since. A running attempt has cost its
    invocation and its memory for every begun millisecond; its requests to SQS and S3 are known
    only when it ends, and taken until then for the mean of its stage. `runs_on_s`: how long after
    its start an abandoned attempt may still run; 0 where stopping it ends it.

    Work for each call does not grow with the number of attempts.
    """

    prices: PriceTable = US_EAST_1
    runs_on_s: float = 0.0
    ended: float = 0.0
    silent: int = 0
    # The start and the memory of each attempt that runs.
    _running: dict[TaskId, tuple[float, int]] = field(default_factory=dict)
    _fixed: float = 0.0
    """Of all that run: what each cost at once, less its rate times its start."""
    # Dollars a second of all that run; what their requests are expected to cost; and what silent
    # attempts may still cost.
    _rate: float = 0.0
    _expected: float = 0.0
    _tail: float = 0.0
    _stages: dict[int, _StageTally] = field(default_factory=dict)

    @property
    def running(self) -> int:
        """How many attempts run."""
        return len(self._running)

    def entry(self, stage: int, memory_mb: int) -> float:
        """Return the least that one more attempt of a stage will cost."""
        tally = self._stages.get(stage)
        return self._dollars(0.0, memory_mb) + (tally.each if tally is not None else 0.0)

    def started(self, id: TaskId, now: float, memory_mb: int) -> None:
        """Count an attempt in."""
        self._running[id] = now, memory_mb
        self._add(now, memory_mb, 1)
        self._tally(id.stage, 1)

    def finished(self, id: TaskId, now: float, usage: Usage | None) -> None:
        """Count an attempt out. `usage` is what AWS bills for it; None where that is not known."""
        known = self._running.pop(id, None)
        if known is None:
            return
        start, memory_mb = known
        self._add(start, memory_mb, -1)
        if usage is None:
            self._tally(id.stage, -1)
            self.silent += 1
            self.ended += self._dollars(now - start, memory_mb)
            self._tail += self._left(start, now, memory_mb)
        else:
            cost = price(usage, self.prices)
            self.ended += cost.total
            requests = cost.sqs + cost.s3_put + cost.s3_get
            self._tally(id.stage, -1, requests if usage.lambda_requests else None)
        if not self._running:
            self._fixed = self._rate = self._expected = 0.0  # and with them what rounding left

    def accrued(self, now: float) -> float:
        """Return what the attempts that run have cost for certain."""
        return max(0.0, self._fixed + self._rate * now)

    def spent(self, now: float) -> float:
        """Return what the job has cost for certain."""
        return self.ended + self.accrued(now)

    def committed(self, now: float) -> float:
        """Return what the job has cost, with the requests that are expected of what runs."""
        return self.spent(now) + self._expected

    def reaches(self, dollars: float) -> float:
        """Return when `committed` will be `dollars`, if nothing starts or ends before."""
        left = dollars - self.ended - self._expected - self._fixed
        if self._rate > 0.0:
            return left / self._rate
        return math.inf if left >= 0.0 else -math.inf

    def tail(self, now: float) -> float:
        """Return what may be billed, at most, for attempts that cannot be stopped: those that run,
        and the silent ones. Looks at each that runs: for the end of a job.
        """
        left = (self._left(start, now, memory_mb) for start, memory_mb in self._running.values())
        return self._tail + math.fsum(left)

    def _left(self, start: float, now: float, memory_mb: int) -> float:
        return self._rate_of(memory_mb) * max(0.0, start + self.runs_on_s - now)

    def _add(self, start: float, memory_mb: int, sign: int) -> None:
        rate = self._rate_of(memory_mb)
        self._rate += sign * rate
        self._fixed += sign * (self._dollars(0.0, memory_mb) - rate * start)

    def _tally(self, stage: int, change: int, requests: float | None = None) -> None:
        tally = self._stages.setdefault(stage, _StageTally())
        # Taken out and put back, as the mean changes for all that run.
        self._expected -= tally.expected
        tally.running += change
        if requests is not None:
            tally.ended += 1
            tally.dollars += requests
        self._expected += tally.expected

    def _rate_of(self, memory_mb: int) -> float:
        """Return what one second costs."""
        return memory_mb / 1024 * self.prices.gb_second("x86_64")

    def _dollars(self, seconds: float, memory_mb: int) -> float:
        """Return what an invocation has cost after some time."""
        return self.prices.lambda_request + (seconds + _BEGUN_S) * self._rate_of(memory_mb)
