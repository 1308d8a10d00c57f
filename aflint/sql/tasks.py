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
from aflint.sql import remote
from aflint.sql.batches import Batches, encoded
from aflint.sql.errors import explained
from aflint.sql.lines import LineFiles
from aflint.sql.sinks.files import FileSink
from aflint.sql.types import Type, quoted

Payload = bytes | dict[str, Any]

_HELD_BYTES = 64 << 20
"""So much of an input is read where it lies in memory; more goes into a table, which can spill."""

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
    """Have the database keep to a task's memory, of which its batches take as much again, and spill
    where the task does.
    """
    if task.memory_mb:
        cursor.execute(f"SET memory_limit = '{task.memory_mb // 2}MB'")
    if task.scratch and task.scratch not in _scratch:
        cursor.execute(f"SET temp_directory = '{task.scratch}/duckdb'")
        _scratch[:] = [task.scratch]


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
        from duckdb import Error

        cursor = connection()
        try:
            _use_threads(cursor, self.threads)
            cursor.execute(f"SET TimeZone = '{self.time_zone}'")
            if "getvariable('partition')" in self.query:
                cursor.execute(f"SET VARIABLE partition = {partition}")
                if "aflint_" in self.query:
                    from aflint.sql import spark_random  # which few queries need

                    # By the connection that stays: a cursor lets go of its functions as it closes
                    spark_random.register(_connection, self.query)
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
                yield from encoded(cursor.sql(self.query))
            else:
                yield from placed(cursor, self.query, self.placing, partition)
        except Error as error:
            if (failure := remote.failure()) is not None:
                raise failure from None
            raise explained(str(error)) from None
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
        if isinstance(value, LineFiles):
            value.view(cursor, name)
            continue
        if isinstance(value, list) and value[0].startswith(remote.SCHEME):
            remote.register(cursor)
        cursor.execute(f"SET VARIABLE {name} = $1", [value])


class _Loading:
    """Makes a view of the batches of one input; of their table, if they are to be `counted`."""

    def __init__(self, cursor: Any, given: Input, counted: bool) -> None:
        self._cursor = cursor
        self._given = given
        self._counted = counted
        self._held: list[bytes] = []
        self._size = 0
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
        if self._size > _HELD_BYTES:
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


def placed(
    cursor: Any, query: str, placing: Placing, partition: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of a query as batches, each with the partition that it belongs to."""
    columns = ", ".join(map(quoted, placing.columns)) or "1"
    if placing.partitions == 1:
        for batch in encoded(cursor.sql(f"SELECT {columns} FROM ({query})")):
            yield 0, batch
        return
    if placing.how == "hash":
        yield from _placed_by_hash(cursor, query, placing, columns)
        return
    if placing.how == "range":
        _place_by_range(cursor, query, placing, columns)
    else:
        _place_in_turn(cursor, query, placing, columns, partition)
    found = cursor.execute("SELECT DISTINCT place FROM placed ORDER BY place").fetchall()
    yield from _at_places(cursor, columns, "placed", [place for (place,) in found])


def _at_places(
    cursor: Any, columns: str, source: str, places: Iterable[int]
) -> Iterator[tuple[int, bytes]]:
    for place in places:
        for batch in encoded(cursor.sql(f"SELECT {columns} FROM {source} WHERE place = {place}")):
            yield place, batch


def _placed_by_hash(
    cursor: Any, query: str, placing: Placing, columns: str
) -> Iterator[tuple[int, bytes]]:
    import numpy as np

    from aflint.sql.murmur3 import partitions_of

    cursor.execute(f"CREATE TEMP TABLE unplaced AS {query}")
    keys = ", ".join(quoted(name) for name, _ in placing.keys)
    kinds = tuple(kind for _, kind in placing.keys)
    places = partitions_of(cursor.sql(f"SELECT {keys} FROM unplaced"), kinds, placing.partitions)
    cursor.register("places", {"place": places})
    source = "unplaced POSITIONAL JOIN places"
    found = np.unique(places).tolist()
    if len(found) > _PASSES:
        cursor.execute(
            f"CREATE TEMP TABLE placed AS SELECT {columns}, place FROM {source} ORDER BY place"
        )
        cursor.execute("DROP TABLE unplaced")
        source = "placed"
    yield from _at_places(cursor, columns, source, found)
    cursor.unregister("places")


def _place_by_range(cursor: Any, query: str, placing: Placing, columns: str) -> None:
    """A row goes behind all bounds that are not greater than its key."""
    key = quoted(placing.keys[0][0])
    bounds = ", ".join(
        f"(from_hex('{bound.hex()}'), {i + 1})" for i, bound in enumerate(placing.bounds)
    )
    if not bounds:
        cursor.execute(f"CREATE TEMP TABLE placed AS SELECT {columns}, 0 AS place FROM ({query})")
        return
    behind = f"ASOF LEFT JOIN (VALUES {bounds}) b(bound, place) ON {key} >= b.bound"
    cursor.execute(
        f"CREATE TEMP TABLE placed AS SELECT {columns}, coalesce(b.place, 0) AS place "
        f"FROM ({query}) {behind} ORDER BY place"
    )


def _place_in_turn(cursor: Any, query: str, placing: Placing, columns: str, partition: int) -> None:
    """By content, so that another attempt, whose rows come in another order, deals alike."""
    turn = f"(row_number() OVER (ORDER BY {columns}) + {partition}) % {placing.partitions}"
    cursor.execute(f"CREATE TEMP TABLE placed AS SELECT {columns}, {turn} AS place FROM ({query})")
