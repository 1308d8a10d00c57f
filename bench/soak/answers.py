"""Jobs that end well: each computes something, and compares it with plain Python."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter, defaultdict
from functools import partial
from operator import add, itemgetter
from pathlib import Path

from bench.soak.kit import Kit, check
from examples.taxi.queries import QUERIES


async def count(kit: Kit) -> None:
    """Count, add up, collect, filter."""
    numbers = kit.numbers(5_000)
    rdd = kit.session.parallelize(numbers, kit.slices())
    check("count", await rdd.count(), len(numbers))
    check("sum", await rdd.sum(), sum(numbers))
    even = rdd.filter(lambda n: n % 2 == 0).map(lambda n: n // 2)
    check("filter", await even.collect(), [n // 2 for n in numbers if n % 2 == 0])


async def reduce_by_key(kit: Kit) -> None:
    """Reduce and group by key."""
    pairs = kit.pairs(5_000, 300)
    rdd = kit.session.parallelize(pairs, kit.slices())
    sums: dict[int, int] = defaultdict(int)
    for key, value in pairs:
        sums[key] += value
    reduced = rdd.reduce_by_key(add, kit.slices())
    check("reduce_by_key", await reduced.collect_as_map(), dict(sums))
    grouped = rdd.group_by_key(kit.slices()).map_values(lambda found: sum(found))
    check("group_by_key", await grouped.collect_as_map(), dict(sums))
    check("count_by_key", await rdd.count_by_key(), Counter(key for key, _ in pairs))


async def sort(kit: Kit) -> None:
    """Sort, leave out what is there twice, take the smallest and the largest."""
    numbers = kit.numbers(5_000, 2_000)
    rdd = kit.session.parallelize(numbers, kit.slices())
    check("sort_by", await rdd.sort_by(lambda n: n).collect(), sorted(numbers))
    check("distinct", sorted(await rdd.distinct().collect()), sorted(set(numbers)))
    check("top", await rdd.top(5), sorted(numbers)[::-1][:5])
    check("take_ordered", await rdd.take_ordered(5), sorted(numbers)[:5])


async def join(kit: Kit) -> None:
    """Join and cogroup."""
    one, other = kit.pairs(600, 200), kit.pairs(600, 300)
    left = kit.session.parallelize(one, kit.slices())
    right = kit.session.parallelize(other, kit.slices())
    joined = sorted((key, (a, b)) for key, a in one for also, b in other if key == also)
    check("join", sorted(await left.join(right, kit.slices()).collect()), joined)
    sizes = left.cogroup(right).map_values(lambda both: tuple(len(list(side)) for side in both))
    here, there = Counter(map(itemgetter(0), one)), Counter(map(itemgetter(0), other))
    expected = {key: (here[key], there[key]) for key in here | there}
    check("cogroup", await sizes.collect_as_map(), expected)


async def take(kit: Kit) -> None:
    """Take from the front, and iterate for a while."""
    numbers = kit.numbers(2_000)
    rdd = kit.session.parallelize(numbers, kit.slices())
    check("take", await rdd.take(7), numbers[:7])
    check("first", await rdd.first(), numbers[0])
    check("iteration", sorted([number async for number in rdd]), sorted(numbers))
    check("in order", [number async for number in rdd.to_local_iterator()], numbers)
    check("map", await kit.session.map(abs, [-1, 2, -3]), [1, 2, 3])


async def cache(kit: Kit) -> None:
    """Compute once, use three times, let go."""
    pairs = kit.pairs(3_000, 50)
    rdd = kit.session.parallelize(pairs, kit.slices()).map(lambda pair: (pair[0], pair[1] + 1))
    rdd = rdd.cache()
    expected = [(key, value + 1) for key, value in pairs]
    check("count of a cache", await rdd.count(), len(pairs))
    check("a cache", await rdd.collect(), expected)
    most = dict(sorted(expected))
    check("a cache reduced", await rdd.reduce_by_key(max).collect_as_map(), most)
    rdd.unpersist()


async def look_again(kit: Kit) -> None:
    """Look twice at what one shuffle gives: of an RDD that goes, and of one that stays."""
    pairs = kit.pairs(500, 40)
    sums: dict[int, int] = defaultdict(int)
    for key, value in pairs:
        sums[key] += value
    rdd = kit.session.parallelize(pairs, 4).reduce_by_key(add, 3)
    if not kit.standing:
        kit.standing.append((rdd, dict(sums)))
    for again in (rdd, kit.standing[0][0]):
        expected = sums if again is rdd else kit.standing[0][1]
        check("a first look", await again.collect_as_map(), expected)
        check("another look", await again.values().sum(), sum(expected.values()))


async def share(kit: Kit) -> None:
    """Look things up in a broadcast, and count in an accumulator."""
    numbers = kit.numbers(2_000, 100)
    names = {n: f"number {n}" * kit.chance.randint(1, 200) for n in range(100)}
    broadcast, seen = kit.session.broadcast(names), kit.session.accumulator(0)

    def look_up(n: int) -> int:
        seen.add(1)
        return len(broadcast.value[n])

    rdd = kit.session.parallelize(numbers, kit.slices()).map(look_up)
    check("broadcast", await rdd.collect(), [len(names[n]) for n in numbers])
    check("accumulator", seen.value, len(numbers))
    broadcast.destroy()


async def save(kit: Kit) -> None:
    """Save as text and as pickles, read back, remove."""
    numbers = kit.numbers(3_000)
    rdd = kit.session.parallelize(numbers, kit.slices())
    text, pickles = kit.path("text"), kit.path("pickles")
    try:
        await rdd.map(str).save_as_text_file(str(text))
        lines = await kit.session.text_file(str(text)).collect()
        check("a text file", sorted(map(int, lines)), sorted(numbers))
        await rdd.save_as_pickle_file(str(pickles))
        records = await kit.session.pickle_file(str(pickles)).collect()
        check("a pickle file", sorted(records), sorted(numbers))
    finally:
        await asyncio.to_thread(remove, text, pickles)


async def checkpoint(kit: Kit) -> None:
    """Cut a lineage."""
    numbers = kit.numbers(2_000)
    rdd = kit.session.parallelize(numbers, kit.slices()).map(lambda n: (n % 10, n))
    rdd.checkpoint()
    check("count", await rdd.count(), len(numbers))
    sums = Counter[int]()
    for number in numbers:
        sums[number % 10] += number
    check("a checkpoint", await rdd.reduce_by_key(add).collect_as_map(), dict(sums))


async def taxi(kit: Kit) -> None:
    """Answer two of the paper's queries."""
    trips = kit.session.text_file(kit.taxi.trips)
    weather = kit.session.text_file(kit.taxi.weather, 1)
    for query in kit.chance.sample(QUERIES, 2):
        answer = await query.answer(trips, weather)
        check(query.name, answer, kit.taxi.answers[query.name])


async def spill(kit: Kit) -> None:
    """Group more than the smallest workers hold."""
    values, keys, size = 24_000, kit.chance.choice((3, 1_000, 24_000)), 1_500
    rdd = kit.session.range(values, num_slices=4).map(partial(_large, keys, size))
    sizes = rdd.group_by_key(2).values().map(lambda group: sum(map(len, group)))
    check("groups", await sizes.sum(), values * size)


def _large(keys: int, size: int, number: int) -> tuple[int, bytes]:
    return number % keys, number.to_bytes(4, "big") * (size // 4)


def remove(*paths: Path) -> None:
    """Remove folders; what is not there is no error."""
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


JOBS = (count, reduce_by_key, sort, join, take, cache, share, save, checkpoint, taxi)
