"""Runs the same query on Spark's own engine and on aflint, and compares the answers strictly."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError

from aflint.errors import AflintError
from aflint.events import Event, TaskStarted
from aflint.session import Session
from aflint.sql.batches import Batches
from aflint.sql.catalyst import Catalyst
from aflint.sql.errors import QueryError, UnsupportedPlanError
from aflint.sql.murmur3 import partitions_of
from aflint.sql.one_task import Room
from aflint.sql.queries import batches, compiled
from aflint.sql.results import as_rows
from aflint.sql.stages import Settings


class Differential:
    """Spark and aflint beside each other, over the same tables."""

    def __init__(self, catalyst: Catalyst, session: Session, runner: asyncio.Runner) -> None:
        self.catalyst = catalyst
        self._session = session
        self._runner = runner
        self._started = 0
        session.add_listener(self._hear)
        self.settings = Settings(time_zone="America/Los_Angeles", partitions=2)

    def table(self, name: str, path: Path) -> None:
        """Give a Parquet file or folder a name."""
        self.catalyst.session.read().parquet(str(path)).createOrReplaceTempView(name)

    def frame(self, sql: str) -> Any:
        """Return a query as a DataFrame of the JVM's."""
        return self.catalyst.session.sql(sql)

    def doubles(self, values: list[float]) -> Any:
        """Return an array of Java's."""
        array = self.catalyst.gateway.new_array(self.catalyst.jvm.double, len(values))
        for place, value in enumerate(values):
            array[place] = value
        return array

    def with_settings(self, **settings: str) -> Settled:
        """Have Spark plan and run with settings, `a__b` standing for a.b, within a block."""
        return Settled(self, {name.replace("__", "."): v for name, v in settings.items()})

    @contextmanager
    def one_task(self, most: int = 1 << 30, threads: int = 2) -> Iterator[None]:
        """Have aflint run queries that read no more than `most` bytes as one task, within a
        block.
        """
        before, self.settings = self.settings, replace(self.settings, room=Room(most, threads))
        try:
            yield
        finally:
            self.settings = before

    def tasks(self, sql: str) -> int:
        """Return how many tasks aflint runs for a query."""
        before = self._started
        self.aflint(sql)
        return self._started - before

    def _hear(self, event: Event) -> None:
        self._started += isinstance(event, TaskStarted)

    # ---- the two answers

    def spark(self, sql: str) -> list[Any]:
        """Return Spark's own answer."""
        from pyspark.serializers import BatchedSerializer, CPickleSerializer
        from pyspark.util import _load_from_socket

        answer = self.frame(sql).collectToPython()
        with _load_from_socket(answer, BatchedSerializer(CPickleSerializer())) as rows:
            return list(rows)

    def aflint(self, sql: str) -> list[Any]:
        """Return aflint's answer."""
        plan = self.catalyst.plan(self.frame(sql))

        async def run() -> list[Any]:
            runner = self._session._opened().jobs
            query = compiled(plan, runner, self.settings)
            found = [batch async for batch in batches(query, runner, "query")]
            return as_rows(found, query.names, query.limit, query.offset)

        return self._runner.run(run())

    def placed(self, sql: str, partitions: int) -> list[int]:
        """Return the partitions in which a hash exchange puts the rows of a query's answer."""
        plan = self.catalyst.plan(self.frame(sql))

        async def run() -> list[int]:
            runner = self._session._opened().jobs
            query = compiled(plan, runner, self.settings)
            found = [batch async for batch in batches(query, runner, "query")]
            kinds = tuple(each.type for each in query.names)
            places: list[int] = partitions_of(Batches(found), kinds, partitions).tolist()
            return places

        return self._runner.run(run())

    # ---- comparing them

    def check(
        self,
        sql: str,
        *,
        ordered: bool = False,
        digits: int = 17,
        expected: list[Any] | None = None,
    ) -> None:
        """Assert that both give the same rows: as many, of the same types and values, and in the
        same order where the query asks for one. Floats are compared by so many digits.

        `expected` is Spark's answer where that is known already.
        """
        expected = self.spark(sql) if expected is None else expected
        found = self.aflint(sql)
        assert [row.__fields__ for row in found[:1]] == [row.__fields__ for row in expected[:1]], (
            sql
        )
        theirs = [exact(row, digits) for row in expected]
        ours = [exact(row, digits) for row in found]
        if ordered:
            assert ours == theirs, difference(sql, ours, theirs)
        else:
            assert Counter(ours) == Counter(theirs), difference(sql, ours, theirs)

    def check_expressions(
        self, expressions: Iterable[str], table: str = "t", digits: int = 17
    ) -> None:
        """Assert that every expression has the same value for every row of a table.

        All are asked at once; only where that fails is each asked alone, to name those that differ.
        """
        listed = list(expressions)
        items = ", ".join(f"({each}) AS e{i}" for i, each in enumerate(listed))
        try:
            self.check(f"SELECT id, {items} FROM {table}", digits=digits)
        except Exception:
            wrong = [said for each in listed if (said := self._wrong(each, table, digits))]
            assert not wrong, "\n".join(wrong)
            raise

    def _wrong(self, expression: str, table: str, digits: int) -> str:
        try:
            self.check(f"SELECT id, ({expression}) AS value FROM {table}", digits=digits)
        except AssertionError as error:
            return str(error)
        except Exception as error:
            return f"{expression}: {type(error).__name__}: {str(error)[:600]}"
        return ""

    def check_fails(self, sql: str) -> None:
        """Assert that both fail, with the same class of Spark's errors."""
        try:
            rows = self.spark(sql)
        except Exception as error:
            expected = spark_class(error)
        else:
            raise AssertionError(f"Spark answers {sql}: {rows}")
        with pytest.raises((QueryError, Py4JJavaError)) as raised:
            self.aflint(sql)
        failure = raised.value  # of the JVM's where the planner has found it
        found = failure.error_class if isinstance(failure, QueryError) else spark_class(failure)
        assert found.split(".")[0] == expected, f"{sql}: {failure}"

    def refused(self, sql: str) -> UnsupportedPlanError:
        """Assert that aflint refuses a query before anything runs, and return how."""
        try:
            rows = self.aflint(sql)
        except UnsupportedPlanError as error:
            return error
        except AflintError as error:
            raise AssertionError(f"{sql} is not refused, but fails: {error}") from error
        raise AssertionError(f"{sql} is not refused, but answered: {rows}")


class Settled:
    """Settings of Spark's within a block."""

    def __init__(self, spark: Differential, settings: dict[str, str]) -> None:
        self._conf = spark.catalyst.session.conf()
        self._settings = settings

    def __enter__(self) -> None:
        self._before = {name: self._conf.get(name, None) for name in self._settings}
        for name, value in self._settings.items():
            self._conf.set(name, value)

    def __exit__(self, *error: object) -> None:
        for name, value in self._before.items():
            if value is None:
                self._conf.unset(name)
            else:
                self._conf.set(name, value)


def spark_class(error: Exception) -> str:
    """Return the class of an error that the JVM raised, such as DIVIDE_BY_ZERO."""
    cause = getattr(error, "java_exception", None)
    while cause is not None:
        name = cause.getClass().getName()
        if "org.apache.spark" in name and hasattr(cause, "getCondition"):
            condition = cause.getCondition()
            if condition:
                return str(condition).split(".")[0]
        cause = cause.getCause()
    raise error  # it is of no class


def exact(value: Any, digits: int = 17) -> Any:
    """Return a value as something that is equal only to the same value of the same type."""

    def within(part: Any) -> Any:
        return exact(part, digits)

    if isinstance(value, float):
        if not math.isfinite(value):
            return ("float", str(value))
        return ("float", f"{value:.{digits}g}")
    if isinstance(value, dict):
        return ("dict", frozenset((within(k), within(v)) for k, v in value.items()))
    if hasattr(value, "__fields__"):
        return ("row", tuple(value.__fields__), tuple(map(within, value)))
    if isinstance(value, list | tuple):
        return (type(value).__name__, tuple(map(within, value)))
    if isinstance(value, bytes | bytearray):
        return ("binary", bytes(value))
    return (type(value).__name__, str(value))


def difference(sql: str, ours: list[Any], theirs: list[Any]) -> str:
    """Return what differs, for a person."""
    missing = list((Counter(theirs) - Counter(ours)).elements())[:3]
    extra = list((Counter(ours) - Counter(theirs)).elements())[:3]
    return (
        f"{sql}\n  Spark has {len(theirs)} rows, aflint {len(ours)}\n"
        f"  only Spark's:  {missing}\n  only aflint's: {extra}"
    )
