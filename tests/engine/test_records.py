"""Transformations of single records and partitions."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from aflint import RDD, InvalidArgumentError, Session, TaskError

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_steps_are_run_in_order(session: Session) -> None:
    numbers = session.parallelize(range(10), 3)
    chain = numbers.map(lambda x: x + 1).filter(lambda x: x % 2).flat_map(lambda x: [x] * (x % 3))
    assert await chain.collect() == [1, 5, 5, 7]


async def test_steps_on_pairs(session: Session) -> None:
    pairs = session.parallelize([("a", 1), ("b", 2)], 2)
    assert await pairs.map_values(lambda v: v * 10).collect() == [("a", 10), ("b", 20)]
    repeated = await pairs.flat_map_values(lambda v: range(v)).collect()
    assert repeated == [("a", 0), ("b", 0), ("b", 1)]
    assert await pairs.keys().collect() == ["a", "b"]
    assert await pairs.values().collect() == [1, 2]
    assert await session.parallelize(["x", "yy"]).key_by(len).collect() == [(1, "x"), (2, "yy")]


async def test_filter_goes_by_truth(session: Session) -> None:
    records = [0, 1, "", "a", None, [], [0]]
    assert await session.parallelize(records, 2).filter(lambda x: x).collect() == [1, "a", [0]]


async def test_map_partitions_gets_an_iterator_and_may_be_a_generator(session: Session) -> None:
    def total(records: Iterator[int]) -> Iterator[int]:
        assert iter(records) is records
        yield sum(records)

    numbers = session.range(10, num_slices=3)
    assert await numbers.map_partitions(total).collect() == [3, 12, 30]
    assert await numbers.map_partitions(lambda records: [1]).collect() == [1, 1, 1]
    indexed = numbers.map_partitions_with_index(lambda index, records: [(index, list(records))])
    assert await indexed.collect() == [(0, [0, 1, 2]), (1, [3, 4, 5]), (2, [6, 7, 8, 9])]


async def test_partitions_may_be_empty(session: Session) -> None:
    few = session.parallelize([1, 2], 5)
    assert await few.glom().collect() == [[], [], [1], [], [2]]
    assert await few.map(lambda x: x + 1).collect() == [2, 3]
    assert await session.parallelize([], 3).num_partitions() == 3
    assert await session.parallelize([], 3).map(lambda x: x).collect() == []


async def test_an_rdd_of_no_partitions(session: Session) -> None:
    nothing = session.empty_rdd()
    assert await nothing.num_partitions() == 0
    assert await nothing.collect() == []
    assert await nothing.count() == 0
    assert await nothing.map(lambda x: (x, 1)).group_by_key().collect() == []
    assert await nothing.sort_by(lambda x: x).collect() == []
    assert await nothing.union(session.range(2)).collect() == [0, 1]
    assert await nothing.cartesian(session.range(2)).collect() == []
    assert await nothing.coalesce(3).collect() == []
    assert await nothing.repartition(3).num_partitions() == 3
    assert await nothing.zip_with_index().collect() == []
    assert await nothing.is_empty()
    assert await session.union([]).count() == 0


async def test_ranges(session: Session) -> None:
    assert await session.range(5).collect() == [0, 1, 2, 3, 4]
    assert await session.range(10, 0, -3).collect() == [10, 7, 4, 1]
    assert await session.range(2**70, 2**70 + 3).collect() == [2**70, 2**70 + 1, 2**70 + 2]
    assert await session.range(3, 3).collect() == []
    assert await session.parallelize(range(0, 20, 7), 2).collect() == [0, 7, 14]
    with pytest.raises(InvalidArgumentError, match="zero"):
        session.range(1, 5, 0)
    with pytest.raises(InvalidArgumentError):
        session.range(1.5)  # type: ignore[arg-type]


async def test_many_more_steps_than_python_nests(session: Session) -> None:
    deep = session.range(2)
    for _ in range(40):
        deep = deep.flat_map(lambda x: [x]).map(lambda x: x + 1)
    assert await deep.collect() == [40, 41]


async def test_lineages_are_as_deep_as_loops_make_them(session: Session) -> None:
    mapped, united = session.range(2), session.range(1, num_slices=1)
    for _ in range(2000):
        mapped = mapped.map(lambda x: x + 1)
    for _ in range(300):
        united = united.union(session.range(1, num_slices=1))
    assert await mapped.key_by(lambda x: x).reduce_by_key(max).keys().sum() == 4001
    assert await united.coalesce(2).count() == 301


async def test_samples_depend_on_the_seed_alone(session: Session) -> None:
    numbers = session.range(10_000, num_slices=4)
    first = await numbers.sample(False, 0.1, seed=7).collect()
    assert first == await numbers.sample(False, 0.1, seed=7).collect()
    assert first != await numbers.sample(False, 0.1, seed=8).collect()
    assert len(set(first)) == len(first)
    assert 850 < len(first) < 1150
    assert first == sorted(first)
    unseeded = numbers.sample(False, 0.5)
    assert await unseeded.collect() == await unseeded.collect()


async def test_samples_with_replacement(session: Session) -> None:
    drawn = Counter(await session.range(2000, num_slices=3).sample(True, 3.0, seed=1).collect())
    assert 5500 < sum(drawn.values()) < 6500
    assert max(drawn.values()) > 6
    assert len(await session.range(3).sample(True, 1000.0, seed=1).collect()) > 2700
    assert await session.range(10).sample(True, 0.0).collect() == []
    assert await session.range(10).sample(False, 1.0).count() == 10


@pytest.mark.parametrize(
    ("replace", "fraction"),
    [(False, 1.1), (False, -0.1), (True, -1), (True, float("inf")), (True, float("nan"))],
)
async def test_samples_of_no_sense(session: Session, replace: bool, fraction: float) -> None:
    with pytest.raises(InvalidArgumentError, match="fraction"):
        session.range(3).sample(replace, fraction)
    with pytest.raises(InvalidArgumentError, match="fraction"):
        session.range(3).sample(0.5, None)  # type: ignore[arg-type]


async def test_take_sample(session: Session) -> None:
    numbers = session.range(1000, num_slices=3)
    for count in (0, 1, 10, 1000, 2000):
        sample = await numbers.take_sample(False, count, seed=3)
        assert len(sample) == len(set(sample)) == min(count, 1000)
        assert len(await numbers.take_sample(True, count, seed=3)) == count
    assert await session.empty_rdd().take_sample(True, 5) == []
    assert await numbers.take_sample(False, 5, seed=1) == await numbers.take_sample(
        False, 5, seed=1
    )


async def test_numbering(session: Session) -> None:
    letters = session.parallelize("abcde", 3)
    assert await letters.zip_with_index().collect() == [(c, i) for i, c in enumerate("abcde")]
    unique = await letters.zip_with_unique_id().collect()
    assert unique == [("a", 0), ("b", 1), ("c", 4), ("d", 2), ("e", 5)]
    odd = letters.filter(lambda c: c in "ace").zip_with_index().map(lambda pair: pair)
    assert await odd.collect() == [("a", 0), ("c", 1), ("e", 2)]


async def test_zip(session: Session) -> None:
    left, right = session.range(5, num_slices=2), session.parallelize("abcde", 2)
    assert await left.zip(right).collect() == list(zip(range(5), "abcde", strict=True))
    assert await left.zip(left).map(lambda pair: pair[0] == pair[1]).distinct().collect() == [True]
    with pytest.raises(InvalidArgumentError, match="2 and 3 partitions"):
        await left.zip(session.range(5, num_slices=3)).collect()
    with pytest.raises(TaskError, match="different numbers of records"):
        await left.zip(session.range(6, num_slices=2)).collect()


async def test_union_and_plus(session: Session) -> None:
    a: RDD[Any] = session.range(3, num_slices=2)
    b: RDD[Any] = session.parallelize([2, "x"], 3)
    union = a.union(b)
    assert await union.collect() == [0, 1, 2, 2, "x"]
    assert await union.num_partitions() == 5
    assert await (a + b).count() == 5
    assert await session.union([a, b, a]).collect() == [0, 1, 2, 2, "x", 0, 1, 2]
    assert await a.union(a.map(lambda x: -x)).union(a).collect() == [0, 1, 2, 0, -1, -2, 0, 1, 2]
    assert await a.union(b, a).map(str).reduce(lambda x, y: x + y) == "0122x012"


async def test_cartesian(session: Session) -> None:
    a, b = session.range(3, num_slices=2), session.parallelize("xy", 3)
    product = a.cartesian(b)
    assert await product.num_partitions() == 6
    assert sorted(await product.collect()) == [(n, c) for n in range(3) for c in "xy"]
    assert await a.cartesian(a).count() == 9
    pairs = a.map(lambda x: (x % 2, x)).reduce_by_key(lambda x, y: x + y)
    assert await pairs.cartesian(pairs).count() == 4


async def test_sets(session: Session) -> None:
    a: RDD[Any] = session.parallelize([1, 1, 2, 3, None, "x", (1, 2)], 3)
    b: RDD[Any] = session.parallelize([1, None, (1, 2), (1, 2), 9], 2)
    assert Counter(await a.distinct().collect()) == Counter({1, 2, 3, None, "x", (1, 2)})
    assert set(await a.intersection(b).collect()) == {1, None, (1, 2)}
    assert await a.intersection(b).count() == 3
    assert Counter(await a.subtract(b).collect()) == Counter([2, 3, "x"])
    assert Counter(await a.subtract(session.parallelize([2])).collect())[1] == 2
    assert await a.distinct(5).num_partitions() == 5
    assert Counter(await session.parallelize([True, 1, 1.0, 0], 2).distinct().collect()) == Counter(
        [1, 0]
    )


async def test_glom_and_pipe(session: Session) -> None:
    numbers = session.range(6, num_slices=2)
    assert await numbers.pipe("cat").collect() == [str(n) for n in range(6)]
    assert await numbers.pipe(["grep", "-c", ""]).collect() == ["3", "3"]
    assert await numbers.pipe("sh -c 'cat; echo $WHO'", env={"WHO": "me"}).count() == 8
    assert await numbers.pipe("true").collect() == []
    assert await numbers.pipe("sh -c 'cat; exit 3'").count() == 6
    assert await session.range(200_000, num_slices=1).pipe("head -n 1").collect() == ["0"]
    assert await session.parallelize(["a\n", "é"]).pipe("cat").collect() == ["a", "é"]


async def test_pipes_that_fail(session: Session) -> None:
    numbers = session.range(6, num_slices=2)
    with pytest.raises(TaskError, match="exit status 3"):
        await numbers.pipe("sh -c 'cat; exit 3'", check_code=True).collect()
    with pytest.raises(TaskError, match="no-such-command"):
        await numbers.pipe("no-such-command").collect()
    with pytest.raises(TaskError, match="ZeroDivisionError"):
        await numbers.map(lambda x: 1 // (x - 4)).pipe("cat").collect()
    with pytest.raises(InvalidArgumentError, match="command"):
        numbers.pipe("")


async def test_functions_keep_what_they_captured(session: Session) -> None:
    chance = random.Random(5)
    expected = [chance.random() for _ in range(2)]
    again = random.Random(5)
    draws = session.range(4, num_slices=2).map(lambda _: again.random())
    assert await draws.collect() == expected * 2, "each task begins from what was captured"
    assert await draws.collect() == expected * 2


@pytest.mark.parametrize("method", ["map", "filter", "flat_map", "map_partitions", "key_by"])
async def test_what_is_no_function(session: Session, method: str) -> None:
    argument: Any = 3
    with pytest.raises(InvalidArgumentError, match=f"{method} needs a function, not int 3"):
        getattr(session.range(3), method)(argument)


async def coroutine(*arguments: Any) -> bool:
    return False


async def generator(*arguments: Any) -> AsyncIterator[bool]:
    yield False


class Awaited:
    async def __call__(self, *arguments: Any) -> bool:
        return False

    async def method(self, *arguments: Any) -> bool:
        return False


ASYNC = [coroutine, generator, partial(coroutine), Awaited(), Awaited().method, partial(Awaited())]
TAKING = [
    (method, parameter.name)
    for method, member in vars(RDD).items()
    if inspect.isfunction(member) and not method.startswith("_")
    for parameter in inspect.signature(member).parameters.values()
    if "Callable" in str(parameter.annotation)
]
"""All parameters of all methods that take a function."""


@pytest.mark.parametrize(("method", "name"), TAKING)
async def test_async_functions_are_refused(session: Session, method: str, name: str) -> None:
    """`filter` would keep every record: a coroutine is true."""
    parameters = inspect.signature(getattr(RDD, method)).parameters
    needed = {
        each.name: (lambda *x: x) if "Callable" in str(each.annotation) else 1
        for each in parameters.values()
        if each.default is each.empty and each.name != "self"
    }

    async def use(function: Any) -> None:
        made = getattr(session.range(3), method)(**{**needed, name: function})
        if inspect.isawaitable(made):
            await made

    for function in ASYNC:
        with pytest.raises(InvalidArgumentError, match="is async: tasks call functions"):
            await use(function)


async def test_functions_that_only_make_coroutines_themselves_are_not_async(
    session: Session,
) -> None:
    def waits(number: int) -> int:
        async def add() -> int:
            return number + 1

        return asyncio.run(add())

    assert await session.range(3).map(wraps(coroutine)(waits)).collect() == [1, 2, 3]
    with pytest.raises(InvalidArgumentError, match="is async"):
        await session.map(coroutine, [1])


async def test_rdds_of_other_kinds(session: Session) -> None:
    wrong: Any = [1, 2]
    for method in ("union", "zip", "cartesian", "intersection", "subtract", "cogroup", "join"):
        with pytest.raises(InvalidArgumentError, match="needs an RDD, not list"):
            getattr(session.range(3), method)(wrong)
