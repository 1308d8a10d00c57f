"""The account's execution environments: how many run, which takes an invocation, which retires."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Callable

from aflint import limits
from aflint.localcloud.clock import Timer
from aflint.localcloud.lambda_.environment import Environment, Invocation, Platform
from aflint.localcloud.lambda_.errors import invalid, throttled
from aflint.localcloud.lambda_.outcome import Doom, Outcome
from aflint.localcloud.lambda_.runtime import Image

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
        # A reservation is a limit, too: such a function never uses what the others share.
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
        starts.append(now)  # Lambda counts starts in a sliding window, for each function

    def _sharing(self) -> int:
        return sum(count for name, count in self._running.items() if name not in self.reserved)


class Pool:
    """Environments by function; the one used last is used first, as Lambda does."""

    def __init__(
        self,
        platform: Platform,
        concurrency: Concurrency,
        idle_seconds: float,
        spawn: Callable[[Environment], object],
    ) -> None:
        self.concurrency = concurrency
        self._platform = platform
        self._idle_seconds = idle_seconds
        self._spawn = spawn
        self._names = itertools.count(1)
        self._idle: dict[str, list[Environment]] = {}
        self._revisions: dict[str, int] = {}
        self._recycling: dict[Environment, Timer] = {}
        self.living: set[Environment] = set()

    def revise(self, function: str, revision: int | None) -> None:
        """Use only environments of this revision from now on; with None, no environment at all."""
        if revision is None:
            self._revisions.pop(function, None)
        else:
            self._revisions[function] = revision
        for environment in list(self._idle.get(function, ())):
            if environment.image.revision != revision:
                self._retire(environment)

    async def run(
        self,
        image: Image,
        payload: bytes,
        request_id: str,
        trace_id: str,
        client_context: str | None = None,
    ) -> Outcome:
        """One invocation, in a warm environment if there is one.

        Raises TooManyRequestsException when the concurrency or the ramp leaves no room.
        """
        # As on Lambda, what is turned away here starts no environment and counts in no ramp.
        self.concurrency.admit(image.function)
        try:
            environment = self._take(image)
            done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            environment.begin(Invocation(request_id, payload, trace_id, client_context, done))
            return await done
        finally:
            self.concurrency.release(image.function)

    def _take(self, image: Image) -> Environment:
        idle = self._idle.get(image.function)
        if idle:
            return idle.pop()  # the one used last, so that the others become idle enough to retire
        clock = self._platform.clock
        self.concurrency.start_environment(image.function, clock.now())
        environment = Environment(
            f"{next(self._names):08x}", image, self._platform, self._on_idle, self._on_gone
        )
        self.living.add(environment)
        # It loads while its first invocation waits in it: that is the cold start.
        self._spawn(environment)
        return environment

    def _on_idle(self, environment: Environment) -> None:
        function = environment.image.function
        # It was changed or deleted while it ran: Lambda, too, lets an invocation end on old code.
        if self._revisions.get(function) != environment.image.revision:
            environment.end(Doom.RETIRED)
            return
        self._idle.setdefault(function, []).append(environment)
        # One timer for each environment, not for each invocation: it looks again when it fires.
        if environment not in self._recycling:
            self._arm(environment, self._platform.clock.now() + self._idle_seconds)

    def _arm(self, environment: Environment, when: float) -> None:
        clock = self._platform.clock
        self._recycling[environment] = clock.call_at(when, lambda: self._recycle(environment))

    def _recycle(self, environment: Environment) -> None:
        """Retire an environment that was idle for long enough; else look again later."""
        del self._recycling[environment]
        since = environment.idle_since
        if since is None:
            return
        due = since + self._idle_seconds
        if due <= self._platform.clock.now():
            self._retire(environment)
        else:
            self._arm(environment, due)

    def _retire(self, environment: Environment) -> None:
        self._forget_idle(environment)
        environment.end(Doom.RETIRED)

    def _on_gone(self, environment: Environment) -> None:
        self._forget_idle(environment)
        self.living.discard(environment)
        timer = self._recycling.pop(environment, None)
        if timer is not None:
            timer.cancel()

    def _forget_idle(self, environment: Environment) -> None:
        idle = self._idle.get(environment.image.function, [])
        if environment in idle:
            idle.remove(environment)
