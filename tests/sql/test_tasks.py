"""What a task's query runs with."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aflint.errors import OutOfMemoryError
from aflint.executor.context import TaskContext, running
from aflint.sql.batches import Batches, encoded
from aflint.sql.errors import QueryError
from aflint.sql.murmur3 import partitions_of
from aflint.sql.operators.exchanges import bounds_of
from aflint.sql.tasks import Input, Placing, StageTask, connection
from aflint.sql.types import LONG, STRING, Type
from aflint.task import TaskId


def _rows(batches: list[bytes]) -> list[tuple[Any, ...]]:
    cursor = connection()
    cursor.register("found", Batches(batches))
    found: list[tuple[Any, ...]] = cursor.execute("FROM found").fetchall()
    cursor.close()
    return found


@pytest.fixture
def task(tmp_path: Path) -> Iterator[TaskContext]:
    context = TaskContext(TaskId("job", 0, 0, 0), lambda blob: b"", 512, str(tmp_path))
    with running(context):
        yield context


def test_a_query_keeps_to_its_tasks_memory_and_spills_where_the_task_does(
    task: TaskContext,
) -> None:
    names = ("memory_limit", "temp_directory", "threads", "autoload_known_extensions")
    settings = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    ((limit, folder, threads, loads),) = _rows(
        list(StageTask(f"SELECT {settings}", ())(0, iter(())))
    )
    assert (limit, threads, loads) == ("244.1 MiB", 1, False)
    assert folder == f"{task.scratch}/duckdb"


def test_a_task_leaves_nothing_in_its_processs_database(task: TaskContext) -> None:
    batches = _batches("SELECT range AS c1 FROM range(10)")
    stage = StageTask(
        "SELECT c1 FROM input1",
        (Input("input1", (("c1", "BIGINT"),)),),
        Placing(3, ("c1",), "hash", (("c1", LONG),)),
    )
    for _ in range(2):  # the second would fail over what the first had left
        list(stage(0, ((0, batch) for batch in batches)))
    assert connection().execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def _batches(sql: str) -> list[bytes]:
    cursor = connection()
    found = list(encoded(cursor, sql))
    cursor.close()
    return found


def test_an_input_without_batches_has_its_columns(task: TaskContext) -> None:
    given = Input("input1", (("c1", "BIGINT"), ("c2", "VARCHAR[]")))
    count = StageTask("SELECT count(*) AS n, max(len(c2)) AS m FROM input1", (given,))
    assert _rows(list(count(0, iter(())))) == [(0, None)]


def test_an_input_larger_than_what_is_held_is_read_whole(
    task: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aflint.sql.tasks._HELD_BYTES", 1000)
    batches = [
        b for i in range(5) for b in _batches(f"SELECT {i} * 100 + range AS c1 FROM range(100)")
    ]
    total = StageTask("SELECT sum(c1) AS s FROM input1", (Input("input1", (("c1", "BIGINT"),)),))
    assert _rows(list(total(0, ((0, batch) for batch in batches)))) == [(sum(range(500)),)]


@pytest.mark.parametrize("how", ["hash", "turn"])
def test_every_row_is_placed_once_and_equal_keys_lie_together(task: TaskContext, how: str) -> None:
    placing = Placing(4, ("c1", "c2"), how, (("c2", STRING),))
    stage = StageTask(
        "SELECT range AS c1, (range % 13)::VARCHAR AS c2 FROM range(1000)", (), placing
    )
    placed = [(place, row) for place, batch in stage(0, iter(())) for row in _rows([batch])]
    assert sorted(row[0] for _, row in placed) == list(range(1000))
    by_key = {row[1]: {p for p, other in placed if other[1] == row[1]} for _, row in placed}
    if how == "hash":
        assert all(len(places) == 1 for places in by_key.values())
    else:
        assert {sum(place == p for p, _ in placed) for place in range(4)} == {250}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 9223372036854775807 + range FROM range(2)",
        "SELECT sum(9223372036854775807)::BIGINT FROM range(2)",
    ],
)
def test_an_error_of_the_query_has_sparks_class(task: TaskContext, query: str) -> None:
    with pytest.raises(QueryError) as raised:
        list(StageTask(query, ())(0, iter(())))
    assert raised.value.error_class == "ARITHMETIC_OVERFLOW"


def test_bounds_part_weighted_keys_evenly_and_never_one_key() -> None:
    even = [(bytes([i]), 1.0) for i in range(100)]
    assert [bound[0] for bound in bounds_of(even, 4)] == [24, 49, 74]
    assert bounds_of([(b"a", 5.0)] * 9, 3) == (b"a",)
    assert bounds_of([], 3) == ()
    heavy = [(b"a", 1.0), (b"b", 98.0), (b"c", 1.0)]
    assert bounds_of(heavy, 4) == (b"b", b"c")


def test_a_join_begins_with_the_inputs_that_have_few_rows(task: TaskContext) -> None:
    """Without counts, DuckDB takes every input for one row, and may multiply the large ones."""
    many = _batches("SELECT range AS c1, range % 5 AS c2 FROM range(20000)")
    few = _batches("SELECT range AS c3, range AS c4 FROM range(3)")
    stage = StageTask(
        "EXPLAIN SELECT a.c1 FROM many a JOIN many b USING (c2) "
        "JOIN few ON a.c1 = c3 AND b.c1 = c4",
        (
            Input("many", (("c1", "BIGINT"), ("c2", "BIGINT"))),
            Input("few", (("c3", "BIGINT"), ("c4", "BIGINT"))),
        ),
        joins=True,
    )
    inputs = [*((0, batch) for batch in many), *((1, batch) for batch in few)]
    (_, plan), *_ = _rows(list(stage(0, iter(inputs))))
    assert "~20,000 rows" in plan
    assert "~3 rows" in plan


@pytest.mark.parametrize("partitions", [1, 3, 64])
def test_rows_are_the_same_however_many_places_there_are(
    task: TaskContext, partitions: int
) -> None:
    batches = _batches("SELECT range AS c1, range * 2 AS c2 FROM range(5000)")
    stage = StageTask(
        "SELECT c1, c2, c1 AS key0 FROM input1",
        (Input("input1", (("c1", "BIGINT"), ("c2", "BIGINT"))),),
        Placing(partitions, ("c1", "c2"), "hash", (("key0", LONG),)),
    )
    found: dict[int, list[bytes]] = {}
    for place, batch in stage(0, ((0, batch) for batch in batches)):
        found.setdefault(place, []).append(batch)
    assert set(found) == set(range(partitions))
    rows = {place: _rows(each) for place, each in found.items()}
    assert sorted(itertools.chain(*rows.values())) == [(i, i * 2) for i in range(5000)]
    for place, each in rows.items():
        keys = Batches(_batches(f"SELECT unnest({[key for key, _ in each]})::BIGINT AS c1"))
        assert set(partitions_of(keys, (LONG,), partitions).tolist()) == {place}


@pytest.mark.parametrize("count", [1, 5, 40])
def test_rows_go_behind_all_bounds_that_are_less(task: TaskContext, count: int) -> None:
    bounds = tuple(bytes([i * 200 // count]) for i in range(count))
    stage = StageTask(
        "SELECT range AS c1, unhex(hex(range::UTINYINT)) AS sort_key FROM range(256)",
        (),
        Placing(count + 1, ("c1",), "range", (("sort_key", Type("binary")),), bounds),
    )
    placed = [(row[0], place) for place, batch in stage(0, iter(())) for row in _rows([batch])]
    assert sorted(placed) == [(i, bisect_left(bounds, bytes([i]))) for i in range(256)]


def test_places_that_are_computed_a_part_at_a_time_are_the_same(
    task: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = StageTask(
        "SELECT range AS c1 FROM range(1000)", (), Placing(3, ("c1",), "hash", (("c1", LONG),))
    )

    def placed() -> list[Any]:
        found = [(row, place) for place, batch in stage(0, iter(())) for row in _rows([batch])]
        return sorted(found)

    at_once = placed()
    monkeypatch.setattr("aflint.sql.tasks._PLACED_ROWS", 128)
    assert placed() == at_once
    assert len(at_once) == 1000


def test_batches_are_as_large_as_the_transport_carries(task: TaskContext) -> None:
    """Of which SQS carries a quarter of a megabyte, and a row more is cut no further."""
    narrow, wide = "repeat('x', 300)", "if(range = 7, repeat('y', 90000), 'z')"
    for text in (narrow, wide):
        placing = Placing(2, ("c1", "c2"), "hash", (("c1", LONG),))
        stage = StageTask(f"SELECT range AS c1, {text} AS c2 FROM range(3000)", (), placing)
        with running(replace(task, most_frame_bytes=50_000)):
            batches = [batch for _, batch in stage(0, iter(()))]
        assert sorted(row[0] for row in _rows(batches)) == list(range(3000))
        assert all(len(batch) < 50_000 or len(_rows([batch])) == 1 for batch in batches)
        assert len(batches) < 200


def test_a_query_that_needs_more_memory_asks_for_a_larger_function(task: TaskContext) -> None:
    held = StageTask("SELECT len(list(repeat(range::VARCHAR, 20))) AS n FROM range(600000)", ())
    with running(replace(task, memory_mb=64)), pytest.raises(OutOfMemoryError) as raised:
        list(held(0, iter(())))
    assert "memory" in str(raised.value)
    assert "docs" not in str(raised.value)  # DuckDB's own advice is of settings that are not here
    assert raised.value.retriable
    assert _rows(list(held(0, iter(())))) == [(600_000,)]
