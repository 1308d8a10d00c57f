"""Commands that compute, of spark.sql and df.write: Spark's planner analyses them, and the engine
runs what they compute.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from aflint.errors import OutputExistsError
from aflint.pyspark import fallback
from aflint.pyspark.errors import analysis_exception, translated
from aflint.pyspark.paths import absolute, spark_path
from aflint.pyspark.planner import planner_of, settings_of
from aflint.sql import commands
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.writing import Write, compiled_write, run


def running_commands(original: Any) -> Any:
    """Return SparkSession.sql so that the engine runs commands that compute."""

    @functools.wraps(original)
    def sql(self: Any, *arguments: Any, **named: Any) -> Any:
        def again() -> Any:
            return original(self, *arguments, **named)

        try:
            return again()
        except Exception as error:
            if self._sc._planner is None:  # which did not start
                raise
            with translated():
                command = commands.met(self._sc._planner, error)
            if command is None:
                raise
        if commands.is_cache(command):
            return _cache(self, command)
        run_commands(self, commands.parts(command), again)
        return DataFrame(self._jsparkSession.emptyDataFrame(), self)

    return sql


def run_commands(session: Any, given: list[Any], again: Callable[[], Any]) -> None:
    """Run commands of the planner's on the engine, in order; `again` runs them on Spark.

    Raises UnsupportedPlanError, before anything runs, where one of them is refused.
    """
    for write, step in prepared(session, given, again) or ():
        step.begin()
        write_now(session, write)
        step.finish()


def prepared(
    session: Any, given: list[Any], again: Callable[[], Any]
) -> list[tuple[Write, commands.Step]] | None:
    """Return what commands write, or None where Spark has run them: the program asks for that where
    one is refused, or there was nothing to compute.
    """
    planner, java_session = planner_of(session._sc), session._jsparkSession
    with translated():
        try:
            steps = [commands.step(planner, java_session, each) for each in given]
            if None not in steps:
                return [(compiled(session, step.plan), step) for step in steps if step]
        except UnsupportedPlanError as refusal:
            if not fallback.wanted(session):
                raise
            rows = any("LogicalRDD" in each.toString() for each in given)
            fallback.say(refusal, of_python=rows)
    with planner.commands_open():
        again()
    return None


def analysed(session: Any, command: Any) -> Any:
    """Return a command as the planner's analyzer leaves it."""
    return planner_of(session._sc).analysed(session._jsparkSession, command)


def compiled(session: Any, plan: Any) -> Write:
    """Return the write of a command's plan. Raises UnsupportedPlanError, before anything runs."""
    engine, settings = session._sc._engine_running(), settings_of(session)

    async def make() -> Write:
        return compiled_write(plan, engine.jobs, settings)

    write: Write = engine.run(make)
    return write


def write_now(session: Any, write: Write) -> None:
    """Run a write. Raises AnalysisException where something is there that may not be."""
    context = session._sc
    jobs = context._engine_running().jobs
    try:
        context._act(lambda: run(write, jobs))
    except OutputExistsError as error:
        raise analysis_exception(
            f"[PATH_ALREADY_EXISTS] Path {spark_path(absolute(write.target))} already exists. Set "
            'mode as "overwrite" to overwrite the existing path. SQLSTATE: 42K04'
        ) from error


def _cache(session: Any, command: Any) -> Any:
    """Have the planner keep a table, and compute its rows at once, as Spark does."""
    planner, java_session = planner_of(session._sc), session._jsparkSession
    make = session._jvm.org.apache.spark.sql.classic.Dataset.ofRows
    made = DataFrame(make(java_session, planner.commands.lazily(command)), session)
    if commands.kind(command) == "CacheTableAsSelect":
        name = f"`{command.tempViewName()}`"
    else:
        parts = command.multipartIdentifier()
        name = ".".join(f"`{parts.apply(i)}`" for i in range(parts.size()))
    session.table(name).count()
    return made
