"""Tasks that outlast their function: each goes on in another invocation, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import count
from operator import add, itemgetter
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.executor import chaining
from aflint.plan.program import Program
from examples.taxi import oracle
from examples.taxi.generate import generate
from tests.cloud.clouds import Ended, ask_all, localcloud


class Hasty:
    """A program whose task is told in the executor that time is short, each time it asks again."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __reduce__(self) -> tuple[Any, ...]:
        return hurry, (self.program,)


def hurry(program: Program) -> Program:
    """Have the task that unpickles its program stop the second time that it looks at its time."""
    asked = count()
    setattr(chaining.TimeLimit, "is_near", lambda self: next(asked) > 0)  # noqa: B010
    return program


def in_haste(session: aflint.Session) -> Ended:
    """Have all tasks of a session cut as often as can be."""
    session._opened().jobs.programs.wrap = lambda program, packed, tasks: Hasty(packed)
    return Ended(session)


_LINES = 600
"""Of each file. A task gives 64 records, then 128, before it is cut."""


@pytest.fixture(scope="module")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, object]]:
    """A folder of trips, and what the queries come to there."""
    folder = tmp_path_factory.mktemp("taxi")
    generate(folder, trips=16_000, seed=7, months=("2013-12", "2014-06"), jobs=1)
    paths = sorted(folder.glob("*_tripdata_*.csv"))
    for path in paths:
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:_LINES]))
    return folder, oracle.answers(paths, folder / "central_park_weather.csv", jobs=1)


@pytest.mark.parametrize(
    "transport", ["hybrid", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sqs", "s3"))]
)
async def test_the_queries_when_every_map_task_is_continued_three_times(
    transport: str, two_months: tuple[Path, Mapping[str, object]]
) -> None:
    folder, expected = two_months
    async with localcloud(transport=transport) as session:
        ended = in_haste(session)
        assert await ask_all(session, folder) == expected
    assert min(ended.links().values()) >= 3
    assert not {event.error for event in ended.events if event.error}


def shuffled(session: aflint.Session) -> Iterator[tuple[str, aflint.RDD[Any], Any]]:
    """Jobs whose reducers carry state, and what they come to."""
    words = session.parallelize([(f"key {i * 7919 % 211}", i) for i in range(4000)], 6)
    plain = [(f"key {i * 7919 % 211}", i) for i in range(4000)]
    sums: dict[str, int] = {}
    groups: dict[str, list[int]] = {}
    for key, value in plain:
        sums[key] = sums.get(key, 0) + value
        groups.setdefault(key, []).append(value)
    yield "reduce", words.reduce_by_key(add, 2), sorted(sums.items())
    grouped = words.group_by_key(2).map_values(sorted)
    yield "group", grouped, sorted((key, values) for key, values in groups.items())
    other = words.map_values(str).reduce_by_key(max, 3)
    joined = words.join(other, 2).map_values(lambda pair: pair[0])
    yield "join", joined, sorted(plain)
    yield "sort", words.sort_by_key(num_partitions=2), sorted(plain)
    yield "sort by", words.sort_by(itemgetter(1), num_partitions=2), sorted(plain)
    yield "distinct", words.keys().distinct(2), sorted(groups)


@pytest.mark.parametrize("transport", ["sqs", "hybrid"])
async def test_reducers_carry_their_state_to_the_next_invocation(transport: str) -> None:
    async with localcloud(transport=transport) as session:
        ended = in_haste(session)
        for name, rdd, expected in shuffled(session):
            ended.events.clear()
            assert sorted(await rdd.collect()) == expected, name
            last = max(event.id.stage for event in ended.events)
            assert max(ended.links(last).values()) >= 1, name


def slowly(number: int) -> tuple[int, int]:
    """Take some 2 ms of a processor that nobody else uses."""
    until = time.process_time() + 0.002
    while time.process_time() < until:
        pass
    return number % 5, number


@pytest.mark.slow
async def test_a_function_with_a_second_to_run() -> None:
    async with localcloud(function_timeout_s=1) as session:
        ended = Ended(session)
        numbers = session.range(2000, num_slices=2).map(slowly)
        assert dict(await numbers.reduce_by_key(add, 2).collect()) == {
            rest: sum(range(rest, 2000, 5)) for rest in range(5)
        }
        assert min(ended.links().values()) >= 3
        assert not {event.error for event in ended.events if event.error}
