"""What is kept of DataFrames: cached ones and tables, and checkpoints.

Spark's planner knows what is cached; the engine keeps the rows.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import SparkSession
from pyspark.sql.catalog import Catalog

from aflint.driver.callsite import named_here
from aflint.plan.lineage import Mapped, PerPartition
from aflint.plan.program import Count
from aflint.pyspark import names
from aflint.pyspark.planner import planner_of
from aflint.pyspark.tables import new_frame
from aflint.sql.stages import as_input
from aflint.sql.tasks import Input, StageTask

_CACHE = re.compile(r"\s*cache\s", re.IGNORECASE)
_UNCACHE = re.compile(r"\s*uncache\s+table\b", re.IGNORECASE)
_CLEAR = re.compile(r"\s*clear\s+cache\b", re.IGNORECASE)


class Keeping:
    """Members of DataFrame."""

    sparkSession: Any

    def persist(self: Any, storageLevel: Any = StorageLevel.MEMORY_AND_DISK_DESER) -> Any:
        self.is_cached = True
        self._jdf.persist(_of_java(self.sparkSession, storageLevel))
        self.sparkSession._sc._caching += 1
        return self

    def unpersist(self: Any, blocking: bool = False) -> Any:
        _forget(self)
        self.is_cached = False
        self._jdf.unpersist(blocking)
        return self

    def checkpoint(self: Any, eager: bool = True) -> Any:
        self.sparkSession._sc._check_checkpoint_dir()
        return _kept(self, eager, local=False)

    def localCheckpoint(self: Any, eager: bool = True, storageLevel: Any = None) -> Any:
        return _kept(self, eager, local=True)


def _of_java(session: Any, level: StorageLevel) -> Any:
    parts = ("useDisk", "useMemory", "useOffHeap", "deserialized", "replication")
    made = session._jvm.org.apache.spark.storage.StorageLevel
    return made(*(getattr(level, part) for part in parts))


def _forget(frame: Any) -> None:
    """Forget the rows that are kept of a DataFrame, if it is cached itself. To be called before
    Spark is told: the plan that names what is kept is gone then.
    """
    context = frame.sparkSession._sc
    context._caching += 1
    level = frame.storageLevel
    if not (level.useMemory or level.useDisk):
        return
    for node in planner_of(context).plan(frame._jdf).walk():
        if node.kind == "InMemoryTableScanExec":
            _drop(context, node.fields["cache"])
            return


def _drop(context: Any, number: int) -> None:
    kept = context._cached.pop(number, None)
    if kept is not None:
        context._engine_running().forget(kept)


def by_place(frame: Any, name: str) -> Mapped:
    """Return an RDD of a DataFrame's batches, whose columns are named by their places: v0, v1 and
    so on, as names of columns need not be unique.
    """
    from aflint.pyspark.dataframes import query_of

    query = query_of(frame, rooted=False)
    columns = tuple((each.column, each.type.duckdb) for each in query.names)
    items = ", ".join(f"{column} AS v{i}" for i, (column, _) in enumerate(columns))
    given = Input("rows", columns or (("nothing", "INTEGER"),))
    task = StageTask(f"SELECT {items or '1 AS nothing'} FROM rows", (given,))
    return Mapped(name=name, parent=as_input(query.node, 0), operator=PerPartition(task))


def _kept(frame: Any, eager: bool, *, local: bool) -> Any:
    """Return a DataFrame whose rows are kept by the first job over all of them, and that knows
    nothing of how they were made.
    """
    context, name = frame.sparkSession._sc, named_here("checkpoint")
    node = by_place(frame, name)
    node.persisted, node.checkpointed, node.in_memory = local, not local, False
    if eager:
        jobs = context._engine_running().jobs

        async def compute() -> None:
            async with jobs.job(node, Count(), name) as job:
                await job.values(range(job.partitions))

        context._act(compute)
    return new_frame(frame.sparkSession, node, frame.schema)


class Tables:
    """Members of Catalog."""

    _sparkSession: Any

    def uncacheTable(self, tableName: str) -> None:
        _forget(self._sparkSession.table(tableName))
        _ORIGINAL["uncacheTable"](self, tableName)

    def clearCache(self) -> None:
        _forget_all(self._sparkSession._sc)
        _ORIGINAL["clearCache"](self)

    def cacheTable(self, tableName: str, storageLevel: Any = None) -> None:
        session = self._sparkSession
        session._sc._caching += 1
        given = () if storageLevel is None else (_of_java(session, storageLevel),)
        session._jsparkSession.catalog().cacheTable(tableName, *given)


def _forget_all(context: Any) -> None:
    context._caching += 1
    for number in list(context._cached):
        _drop(context, number)


def _sql(self: Any, sqlQuery: str, args: Any = None, **kwargs: Any) -> Any:
    """Return the answer of a query or command, of which some have rows forgotten."""
    run = partial(_ORIGINAL["sql"], self, args=args, **kwargs)
    if not isinstance(sqlQuery, str):
        return run(sqlQuery)
    if _CACHE.match(sqlQuery):
        self._sc._caching += 1
    elif _UNCACHE.match(sqlQuery) and self.catalog.tableExists(_named(self, sqlQuery)):
        _forget(self.table(_named(self, sqlQuery)))
    elif _CLEAR.match(sqlQuery):
        _forget_all(self._sc)
    return run(sqlQuery)


def _named(session: Any, command: str) -> str:
    """Return the table that a command names."""
    plan = session._jsparkSession.sessionState().sqlParser().parsePlan(command)
    parts = plan.table().multipartIdentifier()
    return ".".join(f"`{parts.apply(i)}`" for i in range(parts.size()))


_ORIGINAL: dict[str, Any] = {}
"""What PySpark's own members were."""


def install_keeping() -> None:
    """Have the engine keep what programs cache and checkpoint. Before SparkSession is installed."""
    for name in ("uncacheTable", "clearCache"):
        _ORIGINAL.setdefault(name, vars(Catalog)[name])
    _ORIGINAL.setdefault("sql", vars(SparkSession)["sql"])
    names.replace_members(Catalog, Tables)
    SparkSession.sql = _sql
