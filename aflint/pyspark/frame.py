"""DataFrames as far as programs over RDDs use them: made, and read as rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from aflint.pyspark.errors import AflintSparkError


def unsupported_sql(what: str, instead: str = "") -> AflintSparkError:
    """Return the error for what needs Spark's SQL engine."""
    return AflintSparkError(
        f"{what} needs Spark SQL, which aflint does not run yet."
        f"{f' {instead}' if instead else ' Use df.rdd and the RDD API.'} See docs/pyspark.md"
    )


class RowsFrame:
    """A DataFrame whose only use is to be read: `.rdd`, `collect()`, `count()` and their like.

    Anything else raises PySparkRuntimeError, as it needs Spark SQL.
    """

    def __init__(self, session: Any, internal: Any, schema: Any) -> None:
        self.sparkSession = session
        self.schema = schema
        self._internal = internal
        self._rows: Any = None

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

    def cache(self) -> RowsFrame:
        """Keep the rows once they were computed."""
        self.rdd.cache()
        return self

    persist = cache

    def unpersist(self, blocking: bool = False) -> RowsFrame:
        """Forget the kept rows."""
        self.rdd.unpersist()
        return self

    def printSchema(self, level: int | None = None) -> None:
        """Print the columns as a tree."""
        print(self.schema.treeString())

    def __repr__(self) -> str:
        return f"DataFrame[{', '.join(f'{name}: {kind}' for name, kind in self.dtypes)}]"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise unsupported_sql(f"DataFrame.{name}")

    def __getitem__(self, name: Any) -> Any:
        raise unsupported_sql("selecting columns of a DataFrame")


def _rows(schema: Any, records: Iterator[Any]) -> Iterator[Any]:
    return map(schema.fromInternal, records)


class RowsReader:
    """spark.read, for text."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._format = "text"
        self._options: dict[str, str] = {}

    def format(self, source: str) -> RowsReader:
        """Say what `load` reads."""
        self._format = source
        return self

    def option(self, key: str, value: Any) -> RowsReader:
        """Set an option; text knows wholetext."""
        self._options[key.lower()] = str(value)
        return self

    def options(self, **options: Any) -> RowsReader:
        """Set options."""
        for key, value in options.items():
            self.option(key, value)
        return self

    def load(self, path: Any = None, format: str | None = None, **options: Any) -> RowsFrame:
        """Read files of the format that was named."""
        if (format or self._format) != "text":
            raise unsupported_sql(f"reading {format or self._format}", "Use spark.read.text.")
        return self.options(**options).text(path)

    def text(
        self,
        paths: str | list[str],
        wholetext: bool = False,
        lineSep: str | None = None,
        **unused: Any,
    ) -> RowsFrame:
        """Read the lines of text files, one row each, or with `wholetext` one row a file."""
        from pyspark.sql.types import StringType, StructType

        if lineSep not in (None, "\n"):
            raise unsupported_sql("lineSep", "Use sc.wholeTextFiles and split the text.")
        context = self._session.sparkContext
        path = paths if isinstance(paths, str) else ",".join(paths)
        if wholetext or self._options.get("wholetext", "").lower() == "true":
            texts = context.wholeTextFiles(path).values()
        else:
            texts = context.textFile(path)
        return RowsFrame(self._session, texts.map(_cell), StructType().add("value", StringType()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise unsupported_sql(f"spark.read.{name}", "Use spark.read.text.")


def _cell(value: Any) -> tuple[Any]:
    return (value,)
