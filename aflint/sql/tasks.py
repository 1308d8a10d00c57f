"""What runs in a task: one query of DuckDB's over the task's inputs.

A stage's task is given its inputs as one iterator of (input, payload) pairs. A payload is a batch
of rows (see `batches`), or, for an input that the query reads by itself, the variables that say
what: the files of a scan, the bounds of a range.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aflint.executor.context import TaskContext, in_task, task_context
from aflint.sql import python_functions, remote
from aflint.sql.batches import Batches, encoded
from aflint.sql.errors import explained, out_of_memory, unread
from aflint.sql.lines import LineFiles
from aflint.sql.parquet_files import ParquetFiles
from aflint.sql.sinks.files import FileSink
from aflint.sql.types import Type, quoted

Payload = bytes | dict[str, Any]

_HELD_BYTES = 64 << 20
"""So much of an input is read where it lies in memory; more goes into a table, which can spill."""

_HELD_SHARE = 1 / 16
"""The same as a share of the task's memory, where that is less: a stage may have several inputs."""

_PLACED_ROWS = 1 << 20
"""The places of so many rows are computed at once; of more, they go into a table, which can spill.
"""

_PROCESS_MB = 192
"""What a task's process takes beside its database: 110 MB once it has loaded all it needs, batches
on their way in and out, and what DuckDB allocates and does not count. Measured, rounded up.
"""

_LEAST_MB = 32
"""With less than this, DuckDB fails at little."""

_PASSES = 16
"""Rows of more places than this are sorted by them; of fewer, each place's are picked out in a pass
of its own.
"""

_connection: Any = None
_names = itertools.count(1)
_scratch: list[str] = []
"""The folder of a task that the database spills to now."""
_threads = [1]
"""How many threads the database has now."""


def connection() -> Any:
    """Return a connection to this process's database, which tables made for one task live in."""
    global _connection
    import duckdb

    if _connection is None:  # opening one takes far longer than any other step of a small task
        _connection = duckdb.connect(
            ":memory:",
            config={
                "threads": "1",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "preserve_insertion_order": "true",
                "temp_directory": f"{tempfile.gettempdir()}/aflint-duckdb-{os.getpid()}",
            },
        )
    cursor = _connection.cursor()
    if in_task():
        _bound(cursor, task_context())
    return cursor


def _use_threads(cursor: Any, threads: int) -> None:
    """Have the database use so many threads from now on."""
    if _threads[0] != threads:
        cursor.execute(f"SET threads = {threads}")
        _threads[0] = threads


def _bound(cursor: Any, task: TaskContext) -> None:
    """Have the database keep to its part of a task's memory, and spill where the task does."""
    if task.memory_mb:
        cursor.execute(f"SET memory_limit = '{_database_mb(task.memory_mb)}MB'")
    if task.scratch and task.scratch not in _scratch:
        cursor.execute(f"SET temp_directory = '{task.scratch}/duckdb'")
        _scratch[:] = [task.scratch]


def _database_mb(memory_mb: int) -> int:
    """Return the database's part of a task's memory. Batches and what DuckDB does not count take as
    much again, and in a small task the process itself takes more than half.
    """
    return max(_LEAST_MB, min(memory_mb // 2, max(memory_mb - _PROCESS_MB, memory_mb // 4)))


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a stage: the columns of its batches, with their types; none for variables."""

    name: str
    columns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Placing:
    """Where the rows of a stage's output go.

    `keys` are columns of the output by whose hash, or by whose order among `bounds`, or in turn, a
    row is placed; `columns` are those that travel.
    """

    partitions: int
    columns: tuple[str, ...]
    how: str  # hash, range, turn
    keys: tuple[tuple[str, Type], ...] = ()
    bounds: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class StageTask:
    """The work of one stage. Called with a partition and its inputs, it gives batches, or with a
    `placing`, pairs of a partition and a batch; with a `sink`, the StagedParts that it wrote.
    """

    query: str
    inputs: tuple[Input, ...]
    placing: Placing | None = None
    time_zone: str = "UTC"
    variables: tuple[tuple[str, Any], ...] = ()
    broadcasts: tuple[tuple[Input, Any], ...] = ()
    """Each a Broadcast of a list of batches."""
    sink: FileSink | None = None
    given: tuple[tuple[str, Any], ...] = ()
    """Variables as those of an input, which every task is given."""
    prelude: tuple[tuple[str, str], ...] = ()
    """Variables that are set to the one value of a query."""
    threads: int = 1
    joins: bool = False
    """Whether the query joins: DuckDB orders joins by how many rows it knows its tables to have."""

    def __call__(self, partition: int, payloads: Iterator[tuple[int, Payload]]) -> Iterator[Any]:
        """Run the query over the inputs of one partition. Raises QueryError where DuckDB fails."""
        from duckdb import Error, OutOfMemoryException

        cursor = connection()
        try:
            _use_threads(cursor, self.threads)
            cursor.execute(f"SET TimeZone = '{self.time_zone}'")
            if "getvariable('partition')" in self.query:
                cursor.execute(f"SET VARIABLE partition = {partition}")
            if "aflint_" in self.query:
                # By the connection that stays: a cursor lets go of its functions as it closes
                python_functions.register(_connection, self.query)
            for name, value in self.variables:
                cursor.execute(f"SET VARIABLE {name} = $1", [value])
            for given, broadcast in self.broadcasts:
                _Loading(cursor, given, counted=True).all(broadcast.value)
            _set(cursor, dict(self.given))
            self._load(cursor, payloads)
            for name, query in self.prelude:
                cursor.execute(f"SET VARIABLE {name} = ({query})")
            if self.sink is not None:
                yield from self.sink.write(cursor, self.query)
            elif self.placing is None:
                yield from encoded(cursor, self.query)
            else:
                yield from placed(cursor, self.query, self.placing, partition)
        except OutOfMemoryException as error:
            raise out_of_memory(str(error)) from None
        except Exception as error:  # of DuckDB's, or of Arrow's stream of lines
            if (failure := remote.failure()) is not None:
                raise unread(failure) from None
            if isinstance(error, Error):
                raise explained(str(error)) from None
            raise
        finally:
            cursor.close()

    def _load(self, cursor: Any, payloads: Iterator[tuple[int, Payload]]) -> None:
        loadings = [_Loading(cursor, given, self.joins) for given in self.inputs]
        for place, payload in payloads:
            if isinstance(payload, dict):
                _set(cursor, payload)
            else:
                loadings[place].add(payload)
        for loading in loadings:
            loading.end()


def _set(cursor: Any, variables: Mapping[str, Any]) -> None:
    """Set the variables that say what a query reads."""
    for name, value in variables.items():
        if isinstance(value, LineFiles | ParquetFiles):
            value.view(cursor, name)
            continue
        cursor.execute(f"SET VARIABLE {name} = $1", [value])


class _Loading:
    """Makes a view of the batches of one input; of their table, if they are to be `counted`."""

    def __init__(self, cursor: Any, given: Input, counted: bool) -> None:
        self._cursor = cursor
        self._given = given
        self._counted = counted
        self._held: list[bytes] = []
        self._size = 0
        self._most = _most_held()
        self._table = ""

    def all(self, batches: Iterable[bytes]) -> None:
        """Take in all batches."""
        for batch in batches:
            self.add(batch)
        self.end()

    def add(self, batch: bytes) -> None:
        """Take in a batch."""
        self._held.append(batch)
        self._size += len(batch)
        if self._size > self._most:
            self._spill()

    def end(self) -> None:
        """Make the view."""
        if not self._given.columns:
            return
        if self._table or (self._counted and self._held):
            self._spill()
            self._view(f"FROM {self._table}")
        elif self._held:
            self._view(f"FROM {self._registered()}")
        else:
            nothing = ", ".join(f"NULL AS {name}" for name, _ in self._given.columns)
            self._view(f"FROM (SELECT {nothing}) WHERE false")

    def _view(self, source: str) -> None:
        columns = ", ".join(
            f"CAST({name} AS {kind}) AS {name}" for name, kind in self._given.columns
        )
        self._cursor.execute(f"CREATE TEMP VIEW {self._given.name} AS SELECT {columns} {source}")

    def _registered(self) -> str:
        name = f"batches{next(_names)}"
        self._cursor.register(name, Batches(self._held))
        return name

    def _spill(self) -> None:
        if self._held:
            source = self._registered()
            if self._table:
                self._cursor.execute(f"INSERT INTO {self._table} FROM {source}")
            else:
                self._table = f"{self._given.name}_rows"
                self._cursor.execute(f"CREATE TEMP TABLE {self._table} AS FROM {source}")
            self._cursor.unregister(source)
        self._held, self._size = [], 0


def _most_held() -> float:
    memory_mb = task_context().memory_mb if in_task() else 0
    return min(_HELD_BYTES, (memory_mb << 20) * _HELD_SHARE) if memory_mb else _HELD_BYTES


def placed(
    cursor: Any, query: str, placing: Placing, partition: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of a query as batches, each with the partition that it belongs to."""
    columns = ", ".join(map(quoted, placing.columns)) or "1"
    carried = _most_carried()
    if placing.partitions == 1:
        for batch in encoded(cursor, f"SELECT {columns} FROM ({query})", carried):
            yield 0, batch
        return
    if placing.how == "hash":
        _place_by_hash(cursor, query, placing)
        places, source = "places", "unplaced POSITIONAL JOIN places"
    else:
        by_range = placing.how == "range"
        place = _by_range(placing) if by_range else _in_turn(columns, placing, partition)
        cursor.execute(
            f"CREATE TEMP TABLE unplaced AS SELECT {columns}, {place} AS place FROM ({query})"
        )
        places = source = "unplaced"
    found = cursor.execute(f"SELECT DISTINCT place FROM {places} ORDER BY place").fetchall()
    if len(found) > _PASSES:
        cursor.execute(
            f"CREATE TEMP TABLE placed AS SELECT {columns}, place FROM {source} ORDER BY place"
        )
        cursor.execute("DROP TABLE unplaced")
        source = "placed"
    for (place,) in found:
        rows = f"SELECT {columns} FROM {source} WHERE place = {place}"
        for batch in encoded(cursor, rows, carried):
            yield place, batch


def _most_carried() -> int:
    """Return how many bytes a batch may have for the task's transport to carry it; 0 is any."""
    most = task_context().most_frame_bytes if in_task() else 0
    # A frame has a header and a tag beside the batch, and grows where that does not compress
    return most - most // 128 - 256 if most else 0


def _place_by_hash(cursor: Any, query: str, placing: Placing) -> None:
    """Make `unplaced` of a query's rows, and `places` of their places."""
    from aflint.sql.murmur3 import partitions_of

    cursor.execute(f"CREATE TEMP TABLE unplaced AS {query}")
    [(count,)] = cursor.execute("SELECT count(*) FROM unplaced").fetchall()
    keys = ", ".join(quoted(name) for name, _ in placing.keys)
    kinds = tuple(kind for _, kind in placing.keys)
    if count > _PLACED_ROWS:
        cursor.execute("CREATE TEMP TABLE places (place INTEGER)")
    for first in range(0, count or 1, _PLACED_ROWS):
        some = f"SELECT {keys} FROM unplaced"
        if count > _PLACED_ROWS:
            some += f" WHERE rowid BETWEEN {first} AND {first + _PLACED_ROWS - 1}"
        found = partitions_of(cursor.sql(some), kinds, placing.partitions)
        cursor.register("found_places" if count > _PLACED_ROWS else "places", {"place": found})
        if count > _PLACED_ROWS:
            cursor.execute("INSERT INTO places FROM found_places")
            cursor.unregister("found_places")


def _by_range(placing: Placing) -> str:
    """Return the SQL of a row's place: behind all bounds that are less than its key."""
    key, bounds = quoted(placing.keys[0][0]), placing.bounds

    def among(first: int, last: int) -> str:
        if first == last:
            return str(first)
        middle = (first + last) // 2
        below, above = among(first, middle), among(middle + 1, last)
        bound = f"from_hex('{bounds[middle].hex()}')"
        return f"CASE WHEN {key} <= {bound} THEN {below} ELSE {above} END"

    return among(0, len(bounds))


def _in_turn(columns: str, placing: Placing, partition: int) -> str:
    """Return the SQL of a row's place: by content, so that another attempt, whose rows come in
    another order, deals alike.
    """
    return f"(row_number() OVER (ORDER BY {columns}) + {partition}) % {placing.partitions}"
