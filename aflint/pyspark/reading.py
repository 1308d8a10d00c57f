"""spark.read, for text: files in the partitions that Spark SQL would put them in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrameReader

from aflint.driver.callsite import named_here
from aflint.errors import PathNotFoundError
from aflint.plan.lineage import Coalesced, Node, Source
from aflint.pyspark.conf import byte_size
from aflint.pyspark.engine import Engine
from aflint.pyspark.errors import analysis_exception, translated
from aflint.pyspark.frame import RowsFrame
from aflint.pyspark.names import make_rdd
from aflint.pyspark.paths import absolute, engine_path, spark_path
from aflint.pyspark.planner import available
from aflint.pyspark.refusals import unsupported_sql
from aflint.storage.base import FileInfo
from aflint.storage.formats import check_readable, compression_of
from aflint.task import FilesSplit, TextSplit

_LARGEST = "spark.sql.files.maxPartitionBytes"
_OPENING = "spark.sql.files.openCostInBytes"
_LEAST = "spark.sql.files.minPartitionNum"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file, or all of it, for one task to read."""

    file: FileInfo
    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes there are to read."""
        return self.end - self.start


def packed(
    files: list[FileInfo], *, largest: int, opening: int, cores: int, whole: bool
) -> list[list[Piece]]:
    """Return what each partition reads, as Spark's FilePartition has it.

    Files are cut into pieces of at most a core's share of all bytes; the pieces, largest first, are
    put together up to that size, each counted with the cost of `opening` a file, in bytes. `whole`
    files are not cut.
    """
    share = sum(file.size + opening for file in files) // cores
    most = min(largest, max(opening, share))
    pieces: list[Piece] = []
    for file in files:
        if whole or compression_of(file.path):
            pieces.append(Piece(file, 0, file.size))
        else:
            starts = range(0, file.size, most)
            pieces += [Piece(file, at, min(at + most, file.size)) for at in starts]
    partitions: list[list[Piece]] = []
    room = 0
    # Spark does not look back for room either: a partition is closed at the first that is too
    # large for what is left of it.
    for piece in sorted(pieces, key=lambda piece: -piece.size):
        if not partitions or piece.size > room:
            partitions.append([])
            room = most
        partitions[-1].append(piece)
        room -= piece.size + opening
    return partitions


class RowsReader:
    """spark.read, for text."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._format: str | None = None
        self._options: dict[str, str] = {}

    def format(self, source: str) -> RowsReader:
        """Say what `load` reads."""
        self._format = source
        return self

    def option(self, key: str, value: Any) -> RowsReader:
        """Set an option; text knows wholetext and recursiveFileLookup."""
        self._options[key.lower()] = str(value)
        return self

    def options(self, **options: Any) -> RowsReader:
        """Set options."""
        for key, value in options.items():
            self.option(key, value)
        return self

    def load(
        self, path: Any = None, format: str | None = None, schema: Any = None, **options: Any
    ) -> Any:
        """Read files of the format that was named, or of Spark's default one."""
        asked = format or self._format
        if asked != "text" or schema is not None or path is None:
            reader = self._reader(f"reading {asked or 'Parquet'}", "Use spark.read.text.")
            return reader.load(path, format, schema, **options)
        return self.options(**options).text(path)

    def text(self, paths: str | list[str], wholetext: bool = False, **options: Any) -> Any:
        """Read the lines of text files, one row each, or with `wholetext` one row a file.

        Raises AnalysisException for a path that leads nowhere, and PySparkRuntimeError for an
        option that would change what is read.
        """
        from pyspark.sql.types import StringType, StructType

        self.options(**{key: value for key, value in options.items() if value is not None})
        asked = {"wholetext": str(wholetext), **self._options}
        whole = asked.pop("wholetext").lower() == "true"
        recursive = asked.pop("recursivefilelookup", "").lower() == "true"
        if asked and available():
            return self._planned(paths, whole, recursive)
        # Options are looked at one by one, so that none is ignored in silence.
        if asked.pop("linesep", "\n") != "\n":
            raise unsupported_sql("lineSep", "Use wholetext=True and split the text.")
        for option in asked:
            raise unsupported_sql(f"the option {option} of spark.read.text", "Leave it out.")
        context = self._session.sparkContext
        files = self._listed([paths] if isinstance(paths, str) else list(paths), recursive)
        if not files and available():  # folders such as year=2020 have values in their names
            return self._planned(paths, whole, recursive)
        texts = make_rdd(context, self._source(files, whole))
        if whole:
            texts = texts.values()
        schema = StructType().add("value", StringType())

        def planned() -> Any:
            """Return the scan of the files, whose rows need no Python where SQL uses them."""
            return self._planned(paths, whole, recursive)._jdf

        return RowsFrame(self._session, texts.map(_cell), schema, planned)

    def _planned(self, paths: Any, whole: bool, recursive: bool) -> Any:
        """Return what PySpark's own reader makes of text files."""
        reader = self._reader("spark.read.text", "")
        return reader.options(wholetext=whole, recursiveFileLookup=recursive).text(paths)

    def _listed(self, paths: list[str], recursive: bool) -> list[FileInfo]:
        engine = self._session.sparkContext._engine_running()
        files: list[FileInfo] = []
        for path in map(engine_path, paths):
            try:
                with translated():
                    found = engine.listed(path, "read" if recursive else "skip")
            except PathNotFoundError as error:
                raise analysis_exception(
                    f"[PATH_NOT_FOUND] Path does not exist: {spark_path(absolute(path))}. "
                    "SQLSTATE: 42K03"
                ) from error
            # Without folders within it, a partitioned table looks like an empty folder.
            if not found and not available():
                _check_unpartitioned(engine, path)
            with translated():
                for file in found:
                    check_readable(file.path)
            files += found
        return files

    def _source(self, files: list[FileInfo], whole: bool) -> Node:
        """Return the node that reads files in Spark's partitions."""
        get, context = self._session.conf.get, self._session.sparkContext
        partitions = packed(
            files,
            largest=byte_size(get(_LARGEST, "128m"), _LARGEST, "b"),
            opening=byte_size(get(_OPENING, "4m"), _OPENING, "b"),
            cores=int(get(_LEAST, str(context.defaultParallelism))),
            whole=whole,
        )
        name = named_here("text")
        if whole:
            return Source(name=name, splits=tuple(map(_whole_files, partitions)))
        pieces = tuple(_lines(piece) for partition in partitions for piece in partition)
        source = Source(name=name, splits=pieces)
        # Each piece is a split; where a partition has several, neighbours are read by one task.
        if len(pieces) == len(partitions):
            return source
        sizes = tuple(map(len, partitions))
        return Coalesced(name=name, parent=source, partitions=len(sizes), sizes=sizes)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Be a DataFrameReader to whoever asks."""
        own: type = DataFrameReader
        return own

    def __repr__(self) -> str:
        return f"<{DataFrameReader.__module__}.DataFrameReader object at {id(self):#x}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._reader(f"spark.read.{name}", "Use spark.read.text."), name)

    def _reader(self, what: str, instead: str) -> Any:
        """Return PySpark's own reader, with the options set so far."""
        if not available():
            raise unsupported_sql(what, instead)
        reader = DataFrameReader(self._session).options(**self._options)
        return reader if self._format is None else reader.format(self._format)


def _check_unpartitioned(engine: Engine, path: str) -> None:
    """Raise PySparkRuntimeError for a folder whose files lie in folders such as year=2020."""
    with suppress(PathNotFoundError):
        if engine.listed(f"{path}/*=*/*"):
            raise unsupported_sql(f"reading the partitioned folder {path}", "Name its folders.")


def _lines(piece: Piece) -> TextSplit:
    file = piece.file
    return TextSplit(
        file.path,
        piece.start,
        piece.end,
        file.size,
        compression_of(file.path),
        errors="replace",
        version=file.version,
    )


def _whole_files(pieces: list[Piece]) -> FilesSplit:
    files = [piece.file for piece in pieces]
    return FilesSplit(
        tuple(file.path for file in files),
        tuple(file.size for file in files),
        "text",
        errors="replace",
        versions=tuple(file.version for file in files),
    )


def _cell(value: Any) -> tuple[Any]:
    return (value,)
