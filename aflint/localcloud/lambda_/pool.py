"""The account's execution environments: which one takes an invocation, and when one is retired."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from aflint.localcloud.clock import Timer
from aflint.localcloud.lambda_.concurrency import Concurrency
from aflint.localcloud.lambda_.environment import Environment, Invocation, Platform
from aflint.localcloud.lambda_.launch import Image
from aflint.localcloud.lambda_.outcome import Doom, Outcome


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
        """Only environments of this revision are used from now on; None: of none."""
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
            return idle.pop()
        clock = self._platform.clock
        self.concurrency.start_environment(image.function, clock.now())
        environment = Environment(
            f"{next(self._names):08x}", image, self._platform, self._on_idle, self._on_gone
        )
        self.living.add(environment)
        self._spawn(environment)
        return environment

    def _on_idle(self, environment: Environment) -> None:
        function = environment.image.function
        if self._revisions.get(function) != environment.image.revision:
            environment.end(Doom.RETIRED)
            return
        self._idle.setdefault(function, []).append(environment)
        if environment not in self._recycling:
            self._arm(environment, self._platform.clock.now() + self._idle_seconds)

    def _arm(self, environment: Environment, when: float) -> None:
        clock = self._platform.clock
        self._recycling[environment] = clock.call_at(when, lambda: self._recycle(environment))

    def _recycle(self, environment: Environment) -> None:
        """Retire it when it was idle long enough, else look again when it might be."""
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
