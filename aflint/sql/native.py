"""SQL of a session that awaits: planned in a thread, run as any job of the session's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aflint.config import Config
from aflint.driver.callsite import named_here
from aflint.driver.jobs import JobRunner
from aflint.errors import ConfigError, InvalidArgumentError
from aflint.sql.batches import Batches
from aflint.sql.catalyst import Catalyst, missing
from aflint.sql.objects import Objects
from aflint.sql.one_task import room
from aflint.sql.plan import PlanNode
from aflint.sql.queries import batches, compiled
from aflint.sql.results import named
from aflint.sql.stages import Settings

_MOST_SHOWN: Final = 1000


class Planner:
    """The planning session of one aflint session, started by its first query."""

    def __init__(self, runner: JobRunner, config: Config, slots: int) -> None:
        self._runner = runner
        self._config = config
        self._slots = slots
        self._catalyst: Catalyst | None = None
        self._starting = asyncio.Lock()

    async def run(self, query: str) -> Batches:
        """Run a query of Spark SQL and return its rows.

        Raises ConfigError where what it takes is not installed, InvalidArgumentError with Spark's
        own words for a query that Spark refuses, and UnsupportedPlanError, before anything runs,
        for one that aflint does not run.
        """
        catalyst = await self._started()
        plan, time_zone = await asyncio.to_thread(_planned, catalyst, query)
        memory_mb, split_bytes = self._runner.settings.memory_mb, Settings().split_bytes
        settings = Settings(
            time_zone=time_zone,
            partitions=self._slots,
            room=room(self._config, memory_mb, self._slots, split_bytes),
        )
        ready = compiled(plan, self._runner, settings)
        given = batches(ready, self._runner, named_here("sql"), shown=query[:_MOST_SHOWN])
        found = [each async for each in given]
        return await asyncio.to_thread(named, found, ready.names, ready.limit, ready.offset)

    async def _started(self) -> Catalyst:
        async with self._starting:
            if self._catalyst is None:
                if name := missing():
                    raise ConfigError(f"SQL needs {name}: pip install 'aflint[sql]'")
                partitions = {"spark.sql.shuffle.partitions": str(2 * self._slots)}
                loop = asyncio.get_running_loop()

                def call(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
                    return asyncio.run_coroutine_threadsafe(make(), loop).result()

                objects = Objects(self._runner.storage, call)
                self._catalyst = await asyncio.to_thread(Catalyst, partitions, objects)
            return self._catalyst

    def close(self) -> None:
        """End the planning session."""
        if self._catalyst is not None:
            self._catalyst.close()
            self._catalyst = None


def _planned(catalyst: Catalyst, query: str) -> tuple[PlanNode, str]:
    from py4j.protocol import Py4JJavaError

    try:
        frame = catalyst.session.sql(query)
        plan = catalyst.plan(frame)
    except Py4JJavaError as error:
        raise InvalidArgumentError(error.java_exception.getMessage()) from None
    return plan, catalyst.session.conf().get("spark.sql.session.timeZone")
