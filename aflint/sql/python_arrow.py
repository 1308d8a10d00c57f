"""Python functions over Arrow in a task: PySpark's own worker calls them, with its conversions.

Its functions are given record batches, or groups of them, and give record batches; here these are
made of a stage's batches, and what comes is made batches again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from aflint.codec import closure
from aflint.errors import ConfigError
from aflint.sql.arrow_types import batches_of
from aflint.sql.errors import QueryError
from aflint.sql.python_rows import Function
from aflint.sql.types import stored_type

GROUP = "python_group"
"""The column that numbers the groups of a partition's rows, which are in its order."""
LEFT, RIGHT = "python_left", "python_right"
"""The columns of cogroups: the rows of either side as structs; NULL in those of the other."""
_MOST_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"


@dataclass(frozen=True)
class Given:
    """What functions are given of a batch: its columns, with their schema in PySpark's JSON.

    With `packed`, they are the fields of one column.
    """

    columns: tuple[str, ...]
    schema: Mapping[str, Any]
    packed: bool = False

    def batches(self, table: Any, most: int, settings: Mapping[str, str]) -> Iterator[Any]:
        """Yield the rows of a table as record batches of at most so many rows."""
        import pyarrow as pa

        schema, columns = self._schema(settings), table.select(list(self.columns)).columns
        if not len(schema):  # a table would forget how many rows there are
            for at in range(0, table.num_rows, most):
                count = min(most, table.num_rows - at)
                rows = pa.StructArray.from_buffers(pa.struct([]), count, [None])
                bare = pa.RecordBatch.from_struct_array(rows)
                yield pa.RecordBatch.from_arrays([rows], ["_0"]) if self.packed else bare
            return
        for place, kind in enumerate(schema.types):
            if pa.types.is_null(kind):  # whose column is of another type, as DuckDB has none
                columns[place] = pa.nulls(table.num_rows)
        for batch in batches_of(pa.table(columns, names=schema.names), schema, most):
            packed = batch.to_struct_array
            yield pa.RecordBatch.from_arrays([packed()], ["_0"]) if self.packed else batch

    def nothing(self, settings: Mapping[str, str]) -> Any:
        """Return a record batch without rows."""
        import pyarrow as pa

        return pa.RecordBatch.from_pylist([], self._schema(settings))

    def _schema(self, settings: Mapping[str, str]) -> Any:
        from pyspark.sql.pandas.types import to_arrow_schema
        from pyspark.sql.types import StructType

        return to_arrow_schema(
            StructType.fromJson(self.schema),
            timezone=settings["spark.sql.session.timeZone"],
            prefers_large_types=settings.get("spark.sql.execution.arrow.useLargeVarTypes")
            == "true",
        )


@dataclass(frozen=True)
class OverArrow:
    """Calls functions of one kind, PySpark's `eval_type`, over the batches of a partition.

    `how` says what they are given: "rows", "groups", or "sides", which are groups of two. `passed`
    are columns that stand beside what they return: those of each row, or where functions give one
    row for a `group`, those of its first. `results` are the columns of what they return, with
    their types in PySpark's JSON.
    """

    eval_type: int
    functions: tuple[Function, ...]
    given: tuple[Given, ...]
    how: str
    results: tuple[tuple[str, Any], ...]
    settings: Mapping[str, str]
    passed: tuple[str, ...] = ()
    passes_first: bool = False
    unpacks: bool = False
    evaluation: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, partition: int, batches: Iterator[bytes]) -> Iterator[bytes]:
        """Yield batches.

        Raises ConfigError where pyarrow or pandas is missing, QueryError where functions return
        other types than they say.
        """
        first = next(batches, None)
        if first is None:  # functions are not called for a partition without rows
            return
        call = self._loaded()
        beside = _Beside(self.passed)
        tables = _tables(itertools.chain([first], batches))
        given = {"rows": self._rows, "groups": self._groups, "sides": self._sides}[self.how]
        for made in call(partition, given(tables, beside)):
            yield self._written(made, beside.take(made.num_rows))

    def _loaded(self) -> Any:
        """Return PySpark's function over record batches."""
        try:
            import pyarrow  # noqa: F401
            from pyspark.worker import EvalConf, RunnerConf, read_udfs
            from pyspark.worker_message import UDFInfo

            infos = [
                UDFInfo(
                    udfs=list(function.commands),
                    args=[place for keyword, place in function.arguments if not keyword],
                    kwargs={keyword: place for keyword, place in function.arguments if keyword},
                    result_id=0,
                )
                for function in self.functions
            ]
            settings = RunnerConf(dict(self.settings))
            evaluation = EvalConf(dict(self.evaluation))
            return read_udfs(_Unpickling, infos, self.eval_type, settings, evaluation)[0]
        except ImportError as error:
            raise ConfigError(
                f"Python functions over Arrow need {error.name or 'pyarrow'} where tasks run: pip "
                "install 'aflint[pandas]'; with pyarrow, a function on AWS takes an image (aflint "
                "deploy --image --package pyarrow --package pandas). Plain UDFs do without, with "
                "spark.sql.execution.pythonUDF.arrow.enabled=false"
            ) from error

    @property
    def _most(self) -> int:
        most = int(self.settings[_MOST_ROWS])
        return most if most > 0 else 1 << 31

    def _rows(self, tables: Iterator[Any], beside: _Beside) -> Iterator[Any]:
        (given,) = self.given
        for table in _filled(tables, self._most):
            beside.add(table)
            yield from given.batches(table.combine_chunks(), self._most, self.settings)

    def _groups(self, tables: Iterator[Any], beside: _Beside) -> Iterator[Iterator[Any]]:
        for _, pieces in itertools.groupby(_pieces(tables), key=lambda each: each[0]):
            yield self._group(pieces, beside)

    def _group(self, pieces: Iterator[tuple[int, Any]], beside: _Beside) -> Iterator[Any]:
        (given,) = self.given
        for count, (_, table) in enumerate(pieces):
            if not (self.passes_first and count):
                beside.add(table.slice(0, 1) if self.passes_first else table)
            yield from given.batches(table, self._most, self.settings)

    def _sides(self, tables: Iterator[Any], beside: _Beside) -> Iterator[tuple[Any, ...]]:
        import pyarrow as pa

        for _, pieces in itertools.groupby(_pieces(tables), key=lambda each: each[0]):
            group = pa.concat_tables([table for _, table in pieces])
            sides = []
            for given, name in zip(self.given, (LEFT, RIGHT), strict=True):
                rows = group.filter(pa.compute.is_valid(group[name]))[name].combine_chunks()
                side = pa.Table.from_struct_array(rows)
                found = list(given.batches(side, self._most, self.settings)) if len(rows) else []
                sides.append(found or [given.nothing(self.settings)])
            yield tuple(sides)

    def _written(self, made: Any, beside: Any) -> bytes:
        """Return a record batch of PySpark's, with what stands beside it, as a batch."""
        import pyarrow as pa

        arrays = made.column(0).flatten() if self.unpacks else made.columns
        self._check([array.type for array in arrays])
        columns = {name: array for (name, _), array in zip(self.results, arrays, strict=True)}
        if not self.results and beside is None:
            columns = {"nothing": pa.nulls(made.num_rows, pa.int32())}
        if beside is not None:
            columns |= {name: beside[name] for name in beside.column_names}
        table = pa.table(columns).combine_chunks()
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        return bytes(out.getvalue())

    def _check(self, found: list[Any]) -> None:
        from pyspark.sql.pandas.types import from_arrow_type
        from pyspark.sql.types import _parse_datatype_json_value

        kinds = (_parse_datatype_json_value(stored_type(kind)) for _, kind in self.results)
        expected = [kind.simpleString() for kind in kinds]
        got = [from_arrow_type(kind, prefer_timestamp_ntz=True).simpleString() for kind in found]
        if expected != got:
            raise QueryError(
                f"[ARROW_TYPE_MISMATCH] Invalid schema from a Python function: expected "
                f"{', '.join(expected)}, got {', '.join(got)}. SQLSTATE: 42K0G"
            )


class _Unpickling:
    """What PySpark's worker reads functions with."""

    loads = staticmethod(closure.loads)


class _Beside:
    """The columns that are to stand beside what functions return, in order."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._columns = list(columns)
        self._waiting: Any = None

    def add(self, table: Any) -> None:
        """Have the rows of a table wait."""
        import pyarrow as pa

        if self._columns:
            chosen = table.select(self._columns)
            waiting = [] if self._waiting is None else [self._waiting]
            self._waiting = pa.concat_tables([*waiting, chosen])

    def take(self, count: int) -> Any:
        """Return the first rows that wait, or None where there are no columns."""
        if self._waiting is None:
            return None
        taken, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        return taken.combine_chunks()


def _tables(batches: Iterator[bytes]) -> Iterator[Any]:
    import pyarrow as pa

    for batch in batches:
        yield pa.ipc.open_stream(batch).read_all()


def _filled(tables: Iterator[Any], most: int) -> Iterator[Any]:
    """Yield the rows of tables in tables of `most` rows; the last has what is left."""
    import pyarrow as pa

    waiting: Any = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= most:
            yield waiting.slice(0, most)
            waiting = waiting.slice(most)
    if waiting is not None and waiting.num_rows:
        yield waiting


def _pieces(tables: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    """Cut tables where the number of the group changes."""
    import numpy as np

    for table in tables:
        numbers = table.column(GROUP).to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for start, stop in pairwise(edges):
            yield int(numbers[start]), table.slice(start, stop - start)
