"""SQL of a session that awaits: planned in a thread, run as any job of the session's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from aflint.config import Config
from aflint.driver.callsite import named_here
from aflint.driver.jobs import JobRunner
from aflint.errors import ConfigError, InvalidArgumentError
from aflint.sql import commands
from aflint.sql.batches import Batches
from aflint.sql.catalyst import Catalyst, missing, plan_of, python_settings
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.objects import Objects
from aflint.sql.one_task import room
from aflint.sql.plan import PlanNode
from aflint.sql.queries import batches, compiled
from aflint.sql.results import named
from aflint.sql.stages import Settings
from aflint.sql.writing import compiled_write, run

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
        planned = await asyncio.to_thread(_planned, catalyst, query)
        time_zone = catalyst.session.conf().get("spark.sql.session.timeZone")
        settings = self._settings(time_zone)
        if isinstance(planned, PlanNode):
            return await self._rows(planned, settings, "sql", query[:_MOST_SHOWN])
        writes = [(step, compiled_write(step.plan, self._runner, settings)) for step in planned]
        for step, write in writes:
            await asyncio.to_thread(step.begin)
            await run(write, self._runner)
            await asyncio.to_thread(step.finish)
        return named([], ())

    async def collect(self, frame: Any) -> Batches:
        """Return the rows of a PySpark DataFrame: as `run` does those of a query."""
        if not hasattr(frame, "_jdf"):
            raise InvalidArgumentError(
                "dataframe() takes a DataFrame of PySpark's, of a SparkSession with a JVM, and not "
                f"{type(frame).__module__}.{type(frame).__name__}"
            )
        session = frame.sparkSession
        plan = await asyncio.to_thread(_plan_of, frame)
        conf, context = session._jsparkSession.conf(), session._sc
        settings = replace(
            self._settings(conf.get("spark.sql.session.timeZone")),
            tables=getattr(context, "_tables", {}),
            functions=_Functions(getattr(context, "_functions", {})),
            python=partial(python_settings, conf),
        )
        return await self._rows(plan, settings, "collect", "")

    def _settings(self, time_zone: str) -> Settings:
        memory_mb, split_bytes = self._runner.settings.memory_mb, Settings().split_bytes
        return Settings(
            time_zone=time_zone,
            partitions=self._slots,
            memory_mb=memory_mb,
            room=room(self._config, memory_mb, self._slots, split_bytes),
        )

    async def _rows(self, plan: PlanNode, settings: Settings, name: str, shown: str) -> Batches:
        ready = compiled(plan, self._runner, settings)
        given = batches(ready, self._runner, named_here(name), shown=shown)
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
                self._catalyst.forbid_commands()
            return self._catalyst

    def close(self) -> None:
        """End the planning session."""
        if self._catalyst is not None:
            self._catalyst.close()
            self._catalyst = None


class DataFrame:
    """A DataFrame of PySpark's, whose rows a session computes."""

    def __init__(self, planner: Planner, frame: Any) -> None:
        self._planner = planner
        self._frame = frame

    async def collect(self) -> Batches:
        """Return the rows as a table of Arrow's. Raises what `session.sql` does."""
        return await self._planner.collect(self._frame)


class _Functions(dict[str, bytes]):
    """The Python functions of a SparkSession of aflint's, by their names."""

    def __missing__(self, name: str) -> bytes:
        raise UnsupportedPlanError(
            "a Python function of Spark's own session",
            instead="Start it after `import aflint.pyspark`.",
        )


def _plan_of(frame: Any) -> PlanNode:
    return plan_of(frame.sparkSession._jvm, frame._jdf)


def _planned(catalyst: Catalyst, query: str) -> PlanNode | list[commands.Step]:
    """Return the plan of a query, or how a command that computes is run."""
    from py4j.protocol import Py4JJavaError

    session = catalyst.session
    try:
        return catalyst.plan(session.sql(query))
    except Py4JJavaError as error:
        command = commands.met(catalyst, error)
        if command is None:
            raise InvalidArgumentError(error.java_exception.getMessage()) from None
    steps = [commands.step(catalyst, session, each) for each in commands.parts(command)]
    if None not in steps:
        return [step for step in steps if step]
    with catalyst.commands_open():  # there is nothing to compute: it raises, or does nothing
        try:
            return catalyst.plan(session.sql(query))
        except Py4JJavaError as error:
            raise InvalidArgumentError(error.java_exception.getMessage()) from None
