"""df.write: Spark's own writer analyses and plans, and the engine writes."""

from __future__ import annotations

from functools import partial
from typing import Any

from aflint.driver.callsite import named_here
from aflint.plan.program import Count
from aflint.pyspark.commands import analysed, prepared, run_commands
from aflint.pyspark.errors import as_spark
from aflint.pyspark.planner import planner_of
from aflint.sql.errors import UnsupportedPlanError

_FORMATS = ("csv", "json", "orc", "parquet", "text", "xml")
REFUSED = {
    "jdbc": "Collect the rows, or use foreachPartition.",
}


class EngineWriter:
    """Stands for the JVM's DataFrameWriter: it takes all that is set, and what would run there is
    run by the engine.
    """

    def __init__(self, java: Any, plain: Any, frame: Any, source: str = "", mode: str = "") -> None:
        self._java = java
        self._plain = plain  # another writer, without buckets
        self._frame = frame
        self._source = source
        self._mode = mode

    def __getattr__(self, name: str) -> Any:
        if name in REFUSED:
            error = UnsupportedPlanError(f"DataFrameWriter.{name}", "", REFUSED[name])
            raise as_spark(error)
        if name in _FORMATS:
            return lambda path: self.format(name).save(path)
        return partial(self._set, name)

    def _set(self, name: str, *given: Any) -> EngineWriter:
        java = getattr(self._java, name)(*given)
        plain = self._plain
        if name not in ("bucketBy", "sortBy"):
            plain = getattr(plain, name)(*given)
        return EngineWriter(java, plain, self._frame, self._source, self._mode)

    def format(self, source: str) -> EngineWriter:
        """Say what is written."""
        made = self._set("format", source)
        made._source = source
        return made

    def save(self, path: str | None = None) -> None:
        """Write the rows. Raises AnalysisException as Spark does, before anything runs."""
        session = self._frame.sparkSession
        planner = planner_of(session._sc)
        if self._source.lower() == "noop":
            _compute(self._frame)
            return
        option = planner.jvm.scala.Option.apply(path)
        run_commands(
            session,
            [self._java.saveCommand(option)],
            lambda: self._java.save(*([] if path is None else [path])),
        )

    def insertInto(self, table: str) -> None:
        """Write the rows into a table of the catalog's."""
        session = self._frame.sparkSession
        command = analysed(session, self._java.insertIntoCommand(table))
        run_commands(session, [command], lambda: self._java.insertInto(table))

    def saveAsTable(self, table: str) -> None:
        """Write the rows as a table of the catalog's."""
        session = self._frame.sparkSession

        def on_spark() -> None:
            self._java.saveAsTable(table)

        # Spark drops a table that is replaced while it makes the command: refusals come before it.
        if self._mode == "overwrite":
            somewhere = planner_of(session._sc).jvm.scala.Option.apply("/aflint")
            if prepared(session, [self._plain.saveCommand(somewhere)], on_spark) is None:
                return
        command = analysed(session, self._java.saveAsTableCommand(table))
        run_commands(session, [command], on_spark)

    def mode(self, mode: str) -> EngineWriter:
        """Say what becomes of what is there."""
        made = self._set("mode", mode)
        made._mode = mode.lower()
        return made


def _compute(frame: Any) -> None:
    """Compute all rows, and keep none."""
    from aflint.pyspark.dataframes import query_of

    query = query_of(frame, rooted=False)
    context = frame.sparkSession._sc
    jobs, name = context._engine_running().jobs, named_here("save")

    async def compute() -> None:
        with jobs.query(name, query.plan) as number:
            async with jobs.job(query.node, Count(), name, number) as job:
                await job.values(range(job.partitions))

    context._act(compute)
