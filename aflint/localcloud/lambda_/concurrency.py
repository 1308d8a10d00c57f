"""How many invocations may run at once, for the account and for each function. Pure."""

from __future__ import annotations

from collections import Counter, deque

from aflint import limits
from aflint.localcloud.lambda_.errors import invalid, throttled

_WHOLE_ACCOUNT = "ConcurrentInvocationLimitExceeded"
_RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
_RATE = "FunctionInvocationRateLimitExceeded"


class Concurrency:
    """The account's concurrency, and what part of it is reserved or in use."""

    def __init__(self, account_limit: int, unreserved_minimum: int) -> None:
        self.account_limit = account_limit
        self.unreserved_minimum = unreserved_minimum
        self.reserved: dict[str, int] = {}
        self._running: Counter[str] = Counter()
        self._starts: dict[str, deque[float]] = {}

    @property
    def unreserved(self) -> int:
        """What functions without a reservation share."""
        return self.account_limit - sum(self.reserved.values())

    def running(self, function: str) -> int:
        """Invocations of one function that run now."""
        return self._running[function]

    def reserve(self, function: str, count: int) -> None:
        """Keep `count` for one function; raises when too little would be left for the others."""
        others = sum(value for name, value in self.reserved.items() if name != function)
        if count > 0 and self.account_limit - others - count < self.unreserved_minimum:
            raise invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                "UnreservedConcurrentExecution below its minimum value of "
                f"[{self.unreserved_minimum}]."
            )
        self.reserved[function] = count

    def forget(self, function: str) -> None:
        """End a reservation."""
        self.reserved.pop(function, None)

    def admit(self, function: str) -> None:
        """Count one more running invocation, or raise TooManyRequestsException."""
        own = self.reserved.get(function)
        if own is not None:
            if self._running[function] >= own:
                raise throttled(_RESERVED)
        elif self._sharing() >= self.unreserved:
            raise throttled(_WHOLE_ACCOUNT)
        self._running[function] += 1

    def release(self, function: str) -> None:
        """An admitted invocation has ended."""
        self._running[function] -= 1

    def start_environment(self, function: str, now: float) -> None:
        """Count a new environment against the ramp; raises TooManyRequestsException past it."""
        starts = self._starts.setdefault(function, deque())
        while starts and starts[0] <= now - limits.LAMBDA_RAMP_S:
            starts.popleft()
        if len(starts) >= limits.LAMBDA_RAMP_ENVIRONMENTS:
            raise throttled(_RATE)
        starts.append(now)

    def _sharing(self) -> int:
        return sum(count for name, count in self._running.items() if name not in self.reserved)
