"""df.write: Spark's own writer analyses and plans, and the engine writes."""

from __future__ import annotations

from typing import Any

from aflint.driver.callsite import named_here
from aflint.errors import OutputExistsError
from aflint.plan.program import Count
from aflint.pyspark.errors import as_spark, translated
from aflint.pyspark.paths import absolute, spark_path
from aflint.pyspark.planner import planner_of, settings_of
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.writing import Write, compiled_write, run

_FORMATS = ("csv", "json", "orc", "parquet", "text", "xml")
REFUSED = {
    "saveAsTable": "Save to a path, and read it from there.",
    "insertInto": "Save to a path with mode('append').",
    "jdbc": "Collect the rows, or use foreachPartition.",
}


class EngineWriter:
    """Stands for the JVM's DataFrameWriter: it takes all that is set, and what would run there is
    run by the engine.
    """

    def __init__(self, java: Any, frame: Any, source: str = "") -> None:
        self._java = java
        self._frame = frame
        self._source = source

    def __getattr__(self, name: str) -> Any:
        if name in REFUSED:
            error = UnsupportedPlanError(f"DataFrameWriter.{name}", "", REFUSED[name])
            raise as_spark(error)
        if name in _FORMATS:
            return lambda path: self.format(name).save(path)
        member = getattr(self._java, name)
        return lambda *given: EngineWriter(member(*given), self._frame, self._source)

    def format(self, source: str) -> EngineWriter:
        """Say what is written."""
        return EngineWriter(self._java.format(source), self._frame, source)

    def save(self, path: str | None = None) -> None:
        """Write the rows. Raises AnalysisException as Spark does, before anything runs."""
        session = self._frame.sparkSession
        planner = planner_of(session._sc)
        if self._source.lower() == "noop":
            _compute(self._frame)
            return
        command = self._java.saveCommand(planner.jvm.scala.Option.apply(path))
        write_by(session, command)


def write_by(session: Any, command: Any) -> None:
    """Run a command of the JVM's that writes files."""
    context = session._sc
    jobs = context._engine_running().jobs
    plan = planner_of(context).plan_command(session._jsparkSession, command)
    settings = settings_of(session)

    async def make() -> Write:
        return compiled_write(plan, jobs, settings)

    with translated():
        write: Write = context._engine_running().run(make)
    try:
        context._act(lambda: run(write, jobs))
    except OutputExistsError as error:
        from pyspark.errors import AnalysisException

        raise AnalysisException(
            f"[PATH_ALREADY_EXISTS] Path {spark_path(absolute(write.target))} already exists. Set "
            'mode as "overwrite" to overwrite the existing path. SQLSTATE: 42K04'
        ) from error


def _compute(frame: Any) -> None:
    """Compute all rows, and keep none."""
    from aflint.pyspark.dataframes import _query

    query = _query(frame, rooted=False)
    context = frame.sparkSession._sc
    jobs, name = context._engine_running().jobs, named_here("save")

    async def compute() -> None:
        with jobs.query(name, query.plan) as number:
            async with jobs.job(query.node, Count(), name, number) as job:
                await job.values(range(job.partitions))

    context._act(compute)
