"""DataFrames of tables: PySpark's own code makes record batches of pandas and Arrow, whose rows the
engine's tasks read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pyspark.sql import DataFrame

from aflint.executor.blockfile import pack_block
from aflint.plan.lineage import Source
from aflint.sql.line_scans import Lines
from aflint.sql.operators.leaves import BATCHES
from aflint.task import DataSplit

_sent: ContextVar[list[Any] | None] = ContextVar("_sent", default=None)
_numbers = itertools.count(1)


def frame_of_table(session: Any, create: Any, data: Any, *arguments: Any) -> Any:
    """Return a DataFrame of a table, whose batches and schema PySpark's own `create` makes."""
    with _taking_batches() as taken:
        frame = create(session, data, *arguments)
    return _scanned(session, taken, frame.schema) if taken else frame


@contextmanager
def _taking_batches() -> Iterator[list[Any]]:
    taken: list[Any] = []
    before = _sent.set(taken)
    try:
        yield taken
    finally:
        _sent.reset(before)


def send_to_jvm(original: Any) -> Any:
    """Return SparkContext._serialize_to_jvm so that record batches of a table stay with the engine:
    the JVM is given their schema, without rows.
    """

    def _serialize_to_jvm(
        context: Any, data: Iterable[Any], serializer: Any, reader: Any, server: Any
    ) -> Any:
        batches, taken = list(data), _sent.get()
        if taken is None or not batches:
            return original(context, batches, serializer, reader, server)
        taken += batches
        return original(context, [batches[0].slice(0, 0)], serializer, reader, server)

    return _serialize_to_jvm


def _scanned(session: Any, batches: list[Any], schema: Any) -> Any:
    """Return a DataFrame that reads record batches, in at most as many partitions as slots."""
    context = session._sc
    engine = context._engine_running()
    encoded = [_encoded(batch) for batch in batches]
    parts = min(context.defaultParallelism, len(encoded))
    cuts = [len(encoded) * i // parts for i in range(parts + 1)]
    blobs = [
        engine.jobs.programs.blob(pack_block(encoded[low:high]))
        for low, high in itertools.pairwise(cuts)
    ]
    node = Source(name="createDataFrame", splits=tuple(DataSplit((blob,)) for blob in blobs))
    return new_frame(session, node, schema)


def new_frame(session: Any, node: Any, schema: Any) -> DataFrame:
    """Return a DataFrame that reads an RDD of batches, whose columns are named by their places."""
    return frame_of(session, f"{BATCHES}{next(_numbers)}", node, schema)


def frame_of_lines(session: Any, lines: Lines, schema: Any) -> DataFrame:
    """Return a DataFrame of what lines are read as."""
    return frame_of(session, f"aflint-lines:/{next(_numbers)}", lines, schema)


def frame_of(session: Any, name: str, rows: Any, schema: Any) -> DataFrame:
    """Return a DataFrame that stands for an RDD of rows or batches, or for lines: a scan of an RDD
    by a name, which fails should the JVM itself ever run it.
    """
    context, java_session = session._sc, session._jsparkSession
    context._tables[name] = rows
    scan = session._jsc.textFile(name).rdd()
    kind = java_session.parseDataType(schema.json())
    return DataFrame(java_session.internalCreateDataFrame(scan, kind, False), session)


def _encoded(batch: Any) -> bytes:
    """Return a record batch whose columns have the names that scans know: their places."""
    import pyarrow as pa

    named = batch.rename_columns([f"v{i}" for i in range(batch.num_columns)])
    if not batch.num_columns:
        named = pa.RecordBatch.from_arrays([pa.nulls(batch.num_rows, pa.int32())], ["nothing"])
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, named.schema) as writer:
        writer.write_batch(named)
    return bytes(out.getvalue())
