"""spark.read.json and spark.read.csv of lines that lie in no file: of an RDD, or of a DataFrame of
one column of text.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, DataFrameReader
from pyspark.sql import functions as F

from aflint.driver.callsite import named_here
from aflint.pyspark import names
from aflint.pyspark.keeping import by_place
from aflint.pyspark.tables import frame_of_lines
from aflint.sql.line_scans import Lines

_FORMATS = {"json": "JsonFileFormat", "csv": "CSVFileFormat"}
_OF_FILES = {
    "path", "paths", "basepath", "recursivefilelookup", "pathglobfilter", "modifiedbefore",
    "modifiedafter", "compression", "codec", "multiline", "encoding", "charset", "linesep",
    "samplingratio",
}  # fmt: skip
"""Options of files alone, or that are heeded here."""
_END = "\x1e"
"""What ends a line of those that a schema is found in: a newline may be within one."""


def install_lines() -> None:
    """Have PySpark's readers read lines by the engine."""
    for source in _FORMATS:
        setattr(DataFrameReader, source, _reading(source, getattr(DataFrameReader, source)))


def _reading(source: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def read(self: Any, path: Any, *arguments: Any, **named: Any) -> Any:
        if not isinstance(path, names.RDD | DataFrame):
            return original(self, path, *arguments, **named)
        frame = path
        if isinstance(path, names.RDD):
            frame = self._spark.createDataFrame(path.map(_row), "value string")
        # Over no lines Spark's own code takes the arguments, and raises what it raises
        empty = original(self, frame.limit(0), *arguments, **named)
        return _rows(self, source, frame.toDF("value"), empty.schema)

    return read


def _row(line: Any) -> tuple[str]:
    return (line if isinstance(line, str) else str(line),)


def _rows(reader: Any, source: str, lines: DataFrame, schema: Any) -> DataFrame:
    """Return what lines are read as, by the schema of a reader, or by the one found in them."""
    session, java = reader._spark, reader._jreader
    given = dict(session._jvm.scala.jdk.javaapi.CollectionConverters.asJava(java.extraOptions()))
    options = {name.lower(): value for name, value in given.items()}
    known = java.userSpecifiedSchema().isDefined()
    head = None
    if source == "csv":
        lines = lines.where(F.length(F.trim("value")) > 0)
        if comment := options.get("comment", ""):
            lines = lines.where(~F.col("value").startswith(comment))
        has_header = options.get("header", "").lower() == "true"
        head = lines.first() if has_header or not known else None
        if head is not None and has_header:
            lines = lines.where(F.col("value") != F.lit(head[0]))
    ratio = float(options.get("samplingratio", "1"))
    read = {name: value for name, value in options.items() if name not in _OF_FILES}
    if not known:
        whole = source == "json" or options.get("inferschema", "").lower() == "true"
        sampled = lines if ratio > 0.99 else lines.sample(ratio, seed=1)
        schema = _found(session, source, read, head, sampled if whole else lines.limit(0))
    corrupt = session.conf.get("spark.sql.columnNameOfCorruptRecord")
    read.setdefault("columnnameofcorruptrecord", corrupt)
    node = by_place(lines, named_here(source))
    return frame_of_lines(session, Lines(node, _FORMATS[source], read), schema)


def _found(session: Any, source: str, options: dict[str, str], head: Any, lines: DataFrame) -> Any:
    """Return the schema that Spark finds in a file of lines."""
    with tempfile.TemporaryDirectory(prefix="aflint-lines-") as folder:
        with Path(folder, "lines").open("w", encoding="utf-8", newline="") as file:
            file.writelines(f"{line}{_END}" for line in _texts(head, lines))
        reader = session._jsparkSession.read().format(source).option("lineSep", _END)
        for name, value in options.items():
            reader = reader.option(name, value)
        return DataFrame(reader.load(folder), session).schema


def _texts(head: Any, lines: DataFrame) -> Iterator[str]:
    if head is not None:
        yield head[0]
    yield from (row[0] for row in lines.toLocalIterator() if row[0] is not None)
