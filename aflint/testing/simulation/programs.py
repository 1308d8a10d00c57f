"""Random programs run on aflint: each step over RDDs, each action awaited and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from operator import add
from typing import Any

from aflint.errors import PathNotFoundError, TaskError
from aflint.rdd import RDD
from aflint.session import Session
from aflint.storage.base import Storage
from aflint.testing.simulation.drivers import OwnNumbers
from aflint.testing.simulation.interpreter import Records, answer, digest
from aflint.testing.simulation.queries import pairs_of
from aflint.testing.simulation.workloads import Step

_numbers = OwnNumbers()

IN, OUT = "s3://bucket/in", "s3://bucket/out"


def begin() -> None:
    """Name output as a program does that begins."""
    _numbers.begin()


class WrongAnswerError(Exception):
    """A job gave another answer than the interpreter."""


async def build(step: Step, session: Session, storage: Storage) -> RDD[Any]:
    """Return the RDD of a step."""
    return await _Builder(session, storage).build(step)


class _Builder:
    """Builds each step once: what two steps share is one RDD."""

    def __init__(self, session: Session, storage: Storage) -> None:
        self._session = session
        self._storage = storage
        self._known: dict[int, RDD[Any]] = {}

    async def build(self, step: Step) -> RDD[Any]:
        if id(step) not in self._known:
            parents = [await self.build(parent) for parent in step.parents]
            if step.name == "query":
                self._known[id(step)] = _query(parents, *step.args)
            elif parents:
                self._known[id(step)] = _transformed(
                    step.name, step.args[0], parents, self._session
                )
            else:
                self._known[id(step)] = await self._source(step)
        return self._known[id(step)]

    async def _source(self, step: Step) -> RDD[Any]:
        data, slices = step.args
        if step.name == "range":
            return self._session.range(data, num_slices=slices)
        if step.name == "parallelize":
            return self._session.parallelize(data, slices)
        path = f"{IN}/{len(self._known)}.txt"
        await self._storage.write(path, "".join(f"{number}\n" for number in data).encode())
        return self._session.text_file(path, slices).map(int)


def _query(tables: list[RDD[Any]], name: str, partitions: int, adaptive: int) -> RDD[Any]:
    runner = tables[0]._runner
    nodes = [table._node for table in tables]
    return RDD(pairs_of(name, partitions, adaptive, nodes, runner), runner)


def _transformed(name: str, number: int, parents: list[RDD[Any]], session: Session) -> RDD[Any]:
    rdd = parents[0]
    match name:
        case "add":
            return rdd.map(lambda x: x + number)
        case "broadcast":
            shared = session.broadcast([number])
            return rdd.map(lambda x: x + shared.value[0])
        case "keep_odd":
            return rdd.filter(lambda x: x % 2)
        case "repeat":
            return rdd.flat_map(lambda x: range(x % (number + 1)))
        case "distinct":
            return rdd.distinct(number)
        case "repartition":
            return rdd.repartition(number)
        case "coalesce":
            return rdd.coalesce(number)
        case "sort_numbers":
            return rdd.sort_by(_itself, num_partitions=number)
        case "map_partitions":
            return rdd.map_partitions(_doubled)
        case "glom":
            return rdd.glom().flat_map(_itself)
        case "cache":
            return rdd.cache()
        case "checkpoint":
            rdd.checkpoint()
            return rdd
        case "key_mixed":
            return rdd.key_by(lambda x: None if x % 3 == 0 else x % number + 0.5)
        case "zip_self":
            return rdd.zip(rdd.map(lambda x: x + number))
        case "zip_numbered":
            numbered = rdd.map(_Numbering())
            return numbered.zip(numbered).map(_with_difference)
        case "coalesce_first":
            # Each partition is one record: dropped, unless it is the first that its filter sees.
            return rdd.glom().filter(_Numbering(first_only=True)).coalesce(number).flat_map(_itself)
        case "zip_with_index":
            return rdd.zip_with_index().values()
        case "zip_with_unique_id":
            return rdd.zip_with_unique_id().keys()
        case "key_unevenly":
            return rdd.key_by(lambda x: x % number if x % 8 == 0 else 1)
        case "key_by":
            return rdd.key_by(lambda x: x % (number * 3))
        case "key_text":
            return rdd.key_by(lambda x: f"k{x % (number * 5)}")
        case "key_tuple":
            return rdd.key_by(lambda x: (x % number, "t"))
        case "values":
            return rdd.values()
        case "flatten":
            return rdd.map(lambda pair: len(repr(pair[0])) + pair[1])
        case "map_values":
            return rdd.map_values(lambda value: value + number)
        case "flat_map_values":
            return rdd.flat_map_values(lambda value: (value, -value)[: value % 3])
        case "partition_by":
            return rdd.partition_by(number)
        case "partition_twice":
            return rdd.partition_by(number).union(rdd.partition_by(number + 1))
        case "sort_by_key":
            return rdd.sort_by_key(num_partitions=number, key_func=repr)
        case "sort_within":
            return rdd.repartition_and_sort_within_partitions(number, key_func=repr)
    return _aggregated(name, number, parents)


def _aggregated(name: str, number: int, parents: list[RDD[Any]]) -> RDD[Any]:
    rdd = parents[0]
    match name:
        case "reduce_by_key":
            return rdd.reduce_by_key(add, number)
        case "fold_by_key":
            return rdd.fold_by_key(0, max, number)
        case "aggregate_by_key":
            totals = rdd.aggregate_by_key((0, 0), _count_in, _merge_counts, number)
            return totals.map_values(lambda total: total[0] * 1000 + total[1])
        case "combine_by_key":
            return rdd.combine_by_key(_listed, _append, _merge, number).map_values(sum)
        case "group_by_key":
            return rdd.group_by_key(number).map_values(lambda group: digest(sorted(group)))
    other = parents[1]
    match name:
        case "union":
            return rdd.union(other)
        case "intersection":
            return rdd.intersection(other, number)
        case "subtract":
            return rdd.subtract(other, number)
        case "cartesian":
            few = other.filter(lambda x: x % 7 == 0)
            return rdd.cartesian(few).map(lambda pair: (pair[0] % 5, pair[1]))
        case "join":
            return rdd.join(other, number).map_values(_joined)
        case "left_outer_join":
            return rdd.left_outer_join(other, number).map_values(_joined)
        case "right_outer_join":
            return rdd.right_outer_join(other, number).map_values(_joined)
        case "full_outer_join":
            return rdd.full_outer_join(other, number).map_values(_joined)
        case "cogroup":
            both = rdd.cogroup(other, num_partitions=number)
            return both.map_values(lambda g: digest([*sorted(g[0]), -1, *sorted(g[1])]))
        case "subtract_by_key":
            return rdd.subtract_by_key(other, number)
    raise AssertionError(name)


@dataclass(frozen=True, slots=True)
class World:
    """What actions have to do with beside their RDD. `lose` lets some of what is kept go."""

    session: Session
    storage: Storage
    lose: Callable[[str], None]


async def check(rdd: RDD[Any], action: str, arg: int, expected: Records, world: World) -> None:
    """Run an action and compare its answer. Raises WrongAnswerError."""
    found = await _run(rdd, action, arg, world)
    wanted = answer(action, arg, expected)
    match action:
        case "collect" | "iterate" | "iterate_in_order" | "save_records" | "unpersist_midway":
            _same_records(found, wanted)
            if action in ("collect", "iterate_in_order") and expected.order is not None:
                keys = [expected.order(record) for record in found]
                _same(f"order of {action}", keys, sorted(keys))
        case "save":
            _same("lines saved", Counter(found), Counter(map(repr, wanted)))
        case "take":
            _check_taken(found, arg, expected)
        case "first":
            _check_taken(found, 1, expected)
        case _:
            _same(action, found, wanted)


async def _run(rdd: RDD[Any], action: str, arg: int, world: World) -> Any:
    session, storage = world.session, world.storage
    match action:
        case "collect":
            return await rdd.collect()
        case "iterate":
            return [record async for record in rdd]
        case "iterate_in_order":
            return [record async for record in rdd.to_local_iterator()]
        case "count":
            return await rdd.count()
        case "unpersist_midway":
            return await _read_on_without(rdd, 2 + arg % 3)
        case "sum":
            return await rdd.sum()
        case "fold":
            return await rdd.fold(0, add)
        case "reduce":
            return await rdd.reduce(add) if await rdd.count() else None
        case "tree_reduce":
            return await rdd.tree_reduce(add) if await rdd.count() else None
        case "first":
            return [] if await rdd.is_empty() else [await rdd.first()]
        case "fail":
            return await _fails(rdd)
        case "save_records":
            return await _saved_records(rdd, session)
        case "max":
            return await rdd.max() if await rdd.count() else None
        case "top":
            return await rdd.top(arg)
        case "take_ordered":
            return await rdd.take_ordered(arg)
        case "take":
            return await rdd.take(arg)
        case "count_by_value":
            return await rdd.count_by_value()
        case "count_by_key":
            return await rdd.count_by_key()
        case "lookup":
            return sorted(await rdd.lookup(arg))
        case "stats":
            stats = await rdd.stats()
            return stats.count, round(stats.mean * stats.count) if stats.count else 0
        case "accumulate":
            total = session.accumulator(0)
            await rdd.foreach(total.add)
            return total.value
        case "accumulate_before":
            return await _counted_before(rdd, session)
        case "accumulate_between":
            return await _counted_on_the_way(rdd, session, 2 + arg % 3)
        case "accumulate_kept":
            return await _counted_once(rdd, world, 2 + arg % 3)
        case "save":
            return await _saved(rdd, storage)
    raise AssertionError(action)


async def _counted_before(rdd: RDD[Any], session: Session) -> int:
    """Count records by an accumulator in map tasks, which may have to be run again."""
    total = session.accumulator(0)

    def seen(record: Any) -> Any:
        total.add(1)
        return record

    await rdd.map(seen).key_by(repr).group_by_key(2).count()
    return total.value


async def _counted_on_the_way(rdd: RDD[Any], session: Session, width: int) -> Any:
    """Count records by an accumulator in two map stages, one of which reads what the other wrote,
    and in the result stage.
    """
    total = session.accumulator(0)

    def seen(record: Any) -> Any:
        total.add(1)
        return record

    dealt = rdd.map(seen).key_by(_long_name).partition_by(width).values()
    again = dealt.map(seen).key_by(_long_name).partition_by(2).values()
    records = await again.map(seen).collect()
    return sorted(map(repr, records)), total.value


async def _counted_once(rdd: RDD[Any], world: World, width: int) -> Any:
    """Collect twice what two shuffles hold: an accumulator in their map stages counts once."""
    total = world.session.accumulator(0)

    def seen(record: Any) -> Any:
        total.add(1)
        return record

    dealt = rdd.map(seen).key_by(_long_name).partition_by(width).values()
    again = dealt.map(seen).key_by(_long_name).partition_by(2).values()
    first = await again.collect()
    world.lose("kept")
    second = await again.collect()
    return sorted(map(repr, first)), sorted(map(repr, second)), total.value


async def _read_on_without(rdd: RDD[Any], width: int) -> list[Any]:
    """Read a shuffle that an earlier job left, and give it up while it is read."""
    dealt = rdd.key_by(_long_name).partition_by(width)
    await dealt.count()
    found = []
    async for _, record in dealt.to_local_iterator():
        dealt.unpersist()
        found.append(record)
    return found


async def _fails(rdd: RDD[Any]) -> bool:
    """Say whether a function that fails at each record is reported as the user's error."""
    try:
        await rdd.foreach(_fail)
    except TaskError as error:
        if not isinstance(error.__cause__, ZeroDivisionError):
            raise WrongAnswerError(f"the cause is {error.__cause__!r}") from error
        return True
    return False


def _fail(record: Any) -> None:
    _ = 1 // 0


async def _saved_records(rdd: RDD[Any], session: Session) -> list[Any]:
    target = f"{OUT}/{next(_numbers)}.records"
    await rdd.save_as_pickle_file(target, 16)
    try:
        return await session.pickle_file(target).collect()
    except PathNotFoundError:  # an RDD without partitions leaves no file but _SUCCESS
        return []


async def _saved(rdd: RDD[Any], storage: Storage) -> list[str]:
    target = f"{OUT}/{next(_numbers)}"
    await rdd.map(repr).save_as_text_file(target)
    files = await storage.list(target)
    parts = [(await storage.read(file.path)).decode() for file in files]
    return [line for part in parts for line in part.splitlines()]


def _check_taken(found: list[Any], arg: int, expected: Records) -> None:
    _same("length of take()", len(found), min(arg, len(expected.records)))
    more = _counted(found) - _counted(expected.records)
    _same("records of take() that there are not", dict(more), {})
    if expected.order is not None:
        keys = [expected.order(record) for record in found]
        _same("take() of sorted", keys, sorted(map(expected.order, expected.records))[:arg])


def _same_records(found: list[Any], wanted: list[Any]) -> None:
    have, want = _counted(found), _counted(wanted)
    if have != want:
        missing, extra = want - have, have - want
        raise WrongAnswerError(
            f"{len(found)} records in place of {len(wanted)}; "
            f"missing {_few(missing)}, too many {_few(extra)}"
        )


def _counted(records: Iterable[Any]) -> Counter[str]:
    return Counter(map(repr, records))


def _few(counts: Counter[str]) -> str:
    shown = ", ".join(f"{record} x{count}" for record, count in list(counts.items())[:5])
    return f"{counts.total()} [{shown}{', ...' if len(counts) > 5 else ''}]"


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise WrongAnswerError(f"{what}: {str(found)[:300]} in place of {str(wanted)[:300]}")


def _itself(record: Any) -> Any:
    return record


class _Numbering:
    """A function with a state: it numbers the records that it is called with."""

    def __init__(self, *, first_only: bool = False) -> None:
        self._number = 0
        self._first_only = first_only

    def __call__(self, record: Any) -> Any:
        self._number += 1
        return self._number == 1 if self._first_only else (record, self._number)


def _with_difference(both: tuple[tuple[int, int], tuple[int, int]]) -> int:
    """Return the left record, but another number where the two were not numbered alike."""
    (record, left), (_, right) = both
    return record + 1000 * (left - right)


def _doubled(records: Iterator[int]) -> Iterator[int]:
    return (x * 2 for x in records)


def _listed(value: Any) -> list[Any]:
    return [value]


def _append(values: list[Any], value: Any) -> list[Any]:
    return [values[0] + value]


def _merge(a: list[Any], b: list[Any]) -> list[Any]:
    return _append(a, b[0])


def _count_in(total: tuple[int, int], value: int) -> tuple[int, int]:
    return total[0] + value, total[1] + 1


def _merge_counts(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


def _long_name(record: Any) -> str:
    """Return a key so long, and so random, that a message holds but a few."""
    return blake2b(repr(record).encode()).hexdigest()


def _joined(pair: tuple[int | None, int | None]) -> int:
    return (pair[0] or 0) * 3 + (pair[1] or 0)
