"""What the simulated function bills each job, and whether budget and deadline were kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aflint.config import Config
from aflint.cost import Usage, lambda_usage, price
from aflint.errors import AflintError, BudgetExceededError
from aflint.events import Event, JobEnded, JobStarted

_ROUNDING = 1.0 + 1e-9
_LATE_S = 0.001


@dataclass(slots=True)
class Call:
    """One invocation. It is billed until it ends, and by a promise until nobody waits for it: what
    runs on after that cannot be stopped.
    """

    job: str
    began: float
    until: float | None = None

    def over(self) -> None:
        """Note that it ended, or that the driver no longer waits."""
        if self.until is None:
            self.until = asyncio.get_running_loop().time()


@dataclass(slots=True)
class Bills:
    """A listener that compares what one driver invoked for a job with what it was allowed, when the
    job ends.
    """

    config: Config
    calls: list[Call] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """The promises that were not kept, in words."""
    _began: dict[str, float] = field(default_factory=dict)

    def call(self, job: str) -> Call:
        """Begin to bill an invocation."""
        call = Call(job, asyncio.get_running_loop().time())
        self.calls.append(call)
        return call

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        now = asyncio.get_running_loop().time()
        if isinstance(event, JobStarted):
            self._began[event.job] = now
        elif isinstance(event, JobEnded):
            self._check(event.job, now)

    def _check(self, job: str, now: float) -> None:
        calls = [(c.began, now if c.until is None else c.until) for c in self.calls if c.job == job]
        budget, deadline = self.config.budget_usd, self.config.deadline_s
        used = (lambda_usage(until - began, self.config.memory_mb) for began, until in calls)
        dollars = price(sum(used, Usage())).total
        if budget is not None and dollars > budget * _ROUNDING:
            self.broken.append(f"job {job} was billed ${dollars:.9f} of a budget of ${budget:.9f}")
        last = max((until for _, until in calls), default=0.0) - self._began[job]
        if deadline is not None and last > deadline + _LATE_S:
            self.broken.append(f"job {job} ran for {last:g} s with a deadline of {deadline:g} s")

    def check_error(self, error: AflintError, requests_usd: float) -> None:
        """Check what an error says was spent; requests are known only when an attempt has ended."""
        budget = self.config.budget_usd
        if budget is None or not isinstance(error, BudgetExceededError):
            return
        if error.spent_usd - requests_usd > budget * _ROUNDING:
            self.broken.append(f"an error says ${error.spent_usd:.9f} of ${budget:.9f}: {error}")
