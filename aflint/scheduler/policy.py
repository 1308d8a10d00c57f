"""What is retried, after how long, what is tried a second time, how much runs at once: pure."""

from __future__ import annotations

import enum
import math
import random
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Final

from aflint import errors, limits
from aflint.plan.adaptive import Skew

_RAMP_STEP_S: Final = 0.1


class Verdict(enum.Enum):
    """What follows from a failed attempt."""

    FAIL = "the job fails"
    RETRY = "again, at the cost of one attempt"
    LATER = "again after a while, at no cost: it never ran"
    REFETCH = "again, once the map outputs it missed are there"


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of the scheduler. Times are in seconds."""

    # How often one task may be lost before its job fails.
    max_attempts: int = 4
    # How often map tasks of one stage may be run again because their output was lost.
    max_fetch_rounds: int = 4
    # Whether an exception of the user's code is retried as a lost attempt is.
    retry_user_errors: bool = False
    # The function sizes, ascending, that a task killed at its memory limit moves up through.
    memory_sizes_mb: tuple[int, ...] = ()
    # Whether two attempts may read one partition of a shuffle at once, as they can files and
    # objects but not queues. Without that, tasks that read a shuffle are not speculated on.
    rereadable: bool = True
    # Which reduce partitions are combined in shares before one task merges them.
    skew: Skew = field(default_factory=Skew)

    # A throttled task waits base, 2 * base, 4 * base ... up to the most, with jitter by the seed.
    throttle_base_s: float = 0.25
    throttle_max_s: float = 20.0
    seed: int = 0
    # The limit on attempts in flight (AIMD): a throttle cuts it to this share of what was in
    # flight, and it grows by `gain` attempts each time that a limit's worth of them succeeded.
    throttle_cut: float = 0.7
    throttle_gain: float = 10.0

    # Second attempts begin once this share of a stage is accepted, for tasks that have run this
    # many times the median, and at least so long.
    speculation: bool = False
    speculation_quantile: float = 0.75
    speculation_multiplier: float = 1.5
    speculation_min_s: float = 1.0

    # Lambda's ramp: environments that may start at once (None: no ramp), and how many more in each
    # `ramp_s`. After so long without work the environments are taken to be gone.
    ramp_burst: int | None = None
    ramp_environments: int = limits.LAMBDA_RAMP_ENVIRONMENTS
    ramp_s: float = float(limits.LAMBDA_RAMP_S)
    environment_idle_s: float = 300.0

    def judge(self, kind: type[BaseException]) -> Verdict:
        """Say what follows from a failure of this class."""
        if issubclass(kind, errors.ThrottledError):
            return Verdict.LATER
        if issubclass(kind, errors.FetchFailedError):
            return Verdict.REFETCH
        if issubclass(kind, errors.TaskError):
            return Verdict.RETRY if self.retry_user_errors else Verdict.FAIL
        retriable = issubclass(kind, errors.AflintError) and kind.retriable
        return Verdict.RETRY if retriable else Verdict.FAIL

    def backoff(self, throttles: int, salt: str) -> float:
        """Return how long a task waits after that many throttles in a row, doubled with each.

        The jitter, between half and the whole of it, depends on `seed` and `salt` alone.
        """
        whole = min(self.throttle_max_s, self.throttle_base_s * 2.0 ** min(throttles - 1, 30))
        return whole * (0.5 + random.Random(f"{self.seed}/{salt}/{throttles}").random() / 2)

    def memory_mb(self, base: int, kills: int) -> int:
        """Return the memory for a task of `base` after that many kills at its limit."""
        if not kills:
            return base
        larger = [size for size in self.memory_sizes_mb if size > base]
        return larger[min(kills, len(larger)) - 1] if larger else base

    def speculates(self, *, reads_shuffle: bool) -> bool:
        """Say whether tasks of a stage may be run twice at once."""
        return self.speculation and (self.rereadable or not reads_shuffle)

    def straggles_after(self, durations: Durations, tasks: int) -> float | None:
        """Return the age at which an attempt is a straggler, or None while that is unknown.

        `durations` are those of the stage's accepted attempts; `tasks` how many tasks of it are
        wanted.
        """
        if len(durations) < max(1.0, self.speculation_quantile * tasks):
            return None
        return max(self.speculation_min_s, self.speculation_multiplier * durations.median)


class Durations:
    """Seconds that attempts took, and their median: the larger one, of two in the middle.

    Two heaps, the lower half negated: a sorted row takes longer to insert into with every duration
    that is there already, and a stage may have a million tasks.
    """

    __slots__ = ("_high", "_low")

    def __init__(self) -> None:
        self._low: list[float] = []
        self._high: list[float] = []

    def __len__(self) -> int:
        return len(self._low) + len(self._high)

    def add(self, seconds: float) -> None:
        """Take in one more."""
        # Of an odd number, the upper half has the one in the middle.
        if len(self._high) > len(self._low):
            heappush(self._low, -heappushpop(self._high, seconds))
        else:
            heappush(self._high, -heappushpop(self._low, -seconds))

    @property
    def median(self) -> float:
        """The one in the middle. There must be one."""
        return self._high[0]


class Concurrency:
    """Counts what runs, and says how much room there is. Time is always passed in.

    The ramp is a bucket of new environments, as Lambda's is: `ramp_burst` at first, refilled by
    `ramp_environments` in each `ramp_s`. An attempt that finds an environment idle needs no new
    one. A throttle cuts the limit to a share of what was in flight, once for each burst of them;
    every success raises it again a little.
    """

    def __init__(self, policy: Policy, slots: int) -> None:
        # What the invoker can run at once.
        self.slots = slots
        # Attempts that occupy a slot, those being stopped included.
        self.running = 0
        self._policy = policy
        # The limit after throttles; infinite when the last one is overcome.
        self._cap = math.inf
        # When the cap was last cut: throttles of attempts launched before that say nothing new.
        self._cut_at = -math.inf
        # Environments that are taken to be there, busy or idle.
        self._environments = 0
        # Environments that the ramp lets start now, and when that was computed.
        self._tokens = float(policy.ramp_burst or 0)
        self._refilled_at: float | None = None
        self._idle_since = -math.inf

    @property
    def limit(self) -> int:
        """How many may run at once, leaving the ramp aside."""
        return self.slots if self._cap >= self.slots else int(self._cap)

    def has_room(self, now: float) -> bool:
        """Say whether one more may be launched."""
        return self.running < self.limit and self._environment_free(now)

    def opens_at(self, now: float) -> float | None:
        """Return when the ramp will let more in; None if something else holds work back."""
        if self.running >= self.limit or self._environment_free(now):
            return None
        rate = self._policy.ramp_environments / self._policy.ramp_s
        return now + max(_RAMP_STEP_S, (1.0 - self._tokens) / rate)

    def launched(self, now: float) -> None:
        """Count an attempt in."""
        if self.running >= self._environments and self._policy.ramp_burst is not None:
            self._environments += 1
            self._tokens -= 1.0
        self.running += 1

    def ended(self, now: float) -> None:
        """Count an attempt out."""
        self.running -= 1
        if not self.running:
            self._idle_since = now

    def succeeded(self) -> None:
        """Raise the limit after a throttle: by `throttle_gain` for each limit-ful of successes."""
        if self._cap < self.slots:
            self._cap += self._policy.throttle_gain / self._cap
        else:
            self._cap = math.inf

    def throttled(self, started: float, now: float) -> None:
        """Lower the limit, once for each burst: not for an attempt launched before the last cut."""
        self._environments = max(0, self._environments - 1)  # the refused attempt never had one
        if started <= self._cut_at:
            return
        self._cut_at = now
        self._cap = max(1.0, min(self.running, self.limit) * self._policy.throttle_cut)

    def _environment_free(self, now: float) -> bool:
        if self._policy.ramp_burst is None:
            return True
        self._refill(now)
        return self.running < self._environments or self._tokens >= 1.0

    def _refill(self, now: float) -> None:
        policy = self._policy
        if not self.running and now - self._idle_since > policy.environment_idle_s:
            self._environments = 0
        if self._refilled_at is not None:
            gained = (now - self._refilled_at) * policy.ramp_environments / policy.ramp_s
            full = float(max(policy.ramp_burst or 0, 1))
            self._tokens = min(full, self._tokens + gained)
        self._refilled_at = now
