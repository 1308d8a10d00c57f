"""DataFrames as far as programs over RDDs use them: made, and read as rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from aflint.pyspark.names import RELEASE, node_of
from aflint.pyspark.planner import available
from aflint.pyspark.refusals import NoJvm, unsupported_sql


class RowsFrame:
    """A DataFrame as long as it is only read: `.rdd`, `collect()`, `count()` and their like, which
    need no JVM.

    For anything else it becomes one of PySpark's own, by `planned`, which gives the Java DataFrame,
    or as a scan of its rows. Where SQL is not installed, that raises PySparkRuntimeError.
    """

    def __init__(self, session: Any, internal: Any, schema: Any, planned: Any = None) -> None:
        self.sparkSession = session
        self.schema = schema
        self._internal = internal
        self._rows: Any = None
        self._planned = planned
        self._frame: Any = None

    @property
    def rdd(self) -> Any:
        """The rows."""
        if self._rows is None:
            self._rows = self._internal.mapPartitions(partial(_rows, self.schema))
        return self._rows

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema.names)

    @property
    def dtypes(self) -> list[tuple[str, str]]:
        """The names and types of the columns."""
        return [(field.name, field.dataType.simpleString()) for field in self.schema.fields]

    def collect(self) -> list[Any]:
        """Return all rows."""
        rows: list[Any] = self.rdd.collect()
        return rows

    def count(self) -> int:
        """Return the number of rows."""
        count: int = self._internal.count()
        return count

    def take(self, num: int) -> list[Any]:
        """Return the first rows."""
        rows: list[Any] = self.rdd.take(num)
        return rows

    def first(self) -> Any:
        """Return the first row, or None."""
        rows = self.take(1)
        return rows[0] if rows else None

    def head(self, n: int | None = None) -> Any:
        """Return the first row, or the first n."""
        return self.first() if n is None else self.take(n)

    def isEmpty(self) -> bool:
        """Say whether there is no row."""
        return not self.take(1)

    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[Any]:
        """Give all rows, one partition in memory at a time."""
        rows: Iterator[Any] = self.rdd.toLocalIterator(prefetchPartitions)
        return rows

    def foreach(self, f: Any) -> None:
        """Call a function with each row, in tasks."""
        self.rdd.foreach(f)

    def foreachPartition(self, f: Any) -> None:
        """Call a function with the rows of each partition, in tasks."""
        self.rdd.foreachPartition(f)

    def persist(self, storageLevel: Any = StorageLevel.MEMORY_AND_DISK_DESER) -> RowsFrame:
        """Keep the rows once they were computed."""
        self._internal.persist(storageLevel)
        return self

    def cache(self) -> RowsFrame:
        """Keep the rows once they were computed."""
        return self.persist()

    def unpersist(self, blocking: bool = False) -> RowsFrame:
        """Forget the kept rows."""
        self._internal.unpersist()
        return self

    @property
    def storageLevel(self) -> StorageLevel:
        """How the rows are kept."""
        return self._internal.getStorageLevel()

    @property
    def is_cached(self) -> bool:
        """Say whether the rows are kept."""
        cached: bool = self._internal.is_cached
        return cached

    def printSchema(self, level: int | None = None) -> None:
        """Print the columns as a tree."""
        print(self.schema.treeString(*([] if level is None else [level])))

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Be an instance of DataFrame to whoever asks, as functions of PySpark's do."""
        if RELEASE < (4, 0):
            own: type = DataFrame
            return own
        from pyspark.sql.classic.dataframe import DataFrame as Classic

        classic: type = Classic
        return classic

    def __repr__(self) -> str:
        shows = self.sparkSession.conf.get("spark.sql.repl.eagerEval.enabled", "false") == "true"
        if shows and available():
            return repr(self._dataframe("a DataFrame's rows"))
        return f"DataFrame[{', '.join(f'{name}: {kind}' for name, kind in self.dtypes)}]"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or (name not in dir(DataFrame) and name.startswith("_")):
            raise AttributeError(name)
        return getattr(self._dataframe(f"DataFrame.{name}"), name)

    def __getitem__(self, name: Any) -> Any:
        return self._dataframe("selecting columns of a DataFrame")[name]

    def __dir__(self) -> list[str]:
        return sorted(
            {*super().__dir__(), *dir(DataFrame), *filter(str.isidentifier, self.columns)}
        )

    @property
    def _jdf(self) -> Any:
        return self._dataframe("df._jdf")._jdf if available() else NoJvm("df._jdf")

    def _dataframe(self, what: str) -> Any:
        if not available():
            raise unsupported_sql(what)
        if self._frame is None:
            java = self._planned() if self._planned is not None else self._scanned()
            self._frame = DataFrame(java, self.sparkSession)
        return self._frame

    def _scanned(self) -> Any:
        """Return a Java DataFrame that stands for the rows: a scan of an RDD by a name, which fails
        should the JVM itself ever run it.
        """
        from aflint.pyspark.tables import frame_of  # it imports what may not be installed

        node = node_of(self._internal)
        return frame_of(self.sparkSession, f"aflint-rows:/{node.id}", node, self.schema)._jdf


def _rows(schema: Any, records: Iterator[Any]) -> Iterator[Any]:
    return map(schema.fromInternal, records)
