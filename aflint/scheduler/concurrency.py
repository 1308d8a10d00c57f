"""How many attempts may run at once: the invoker's slots, Lambda's ramp, and AIMD on throttles."""

from __future__ import annotations

import math

from aflint.scheduler.policy import Policy

_RAMP_STEP_S = 0.1


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
