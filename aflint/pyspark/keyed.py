"""RDD's transformations by key: they move records, and run on the engine's own paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pyspark.resultiterable import ResultIterable

from aflint.executor.partition import indices
from aflint.plan.lineage import (
    JOINS,
    Mapped,
    Ordering,
    PerRecord,
    RangePartitioner,
    RecordStep,
)
from aflint.pyspark.names import Partitioner, engine_rdd, make_rdd, portable_hash
from aflint.pyspark.narrow import derived, given, partition_number, union_of
from aflint.rdd import RDD as EngineRDD
from aflint.rdd import sampling

_MAKE_PAIRS = JOINS | {RecordStep.KEY_BY, RecordStep.MAP_VALUES, RecordStep.FLAT_MAP_VALUES}


def _count_of(rdd: Any, numPartitions: Any) -> int:
    if numPartitions is None:
        return int(rdd._defaultReducePartitions()) or 1
    return partition_number(numPartitions)


def _placed(rdd: Any, count: Any, function: Any, transform: Callable[..., EngineRDD[Any]]) -> Any:
    """Return what a transformation of the engine's makes that places pairs by key: it is given the
    number of partitions and the partition function.
    """
    number = _count_of(rdd, count)
    made = transform(number, None if function is portable_hash else given(function))
    return derived(rdd, made, Partitioner(number, function))


def _pairs(rdd: Any) -> EngineRDD[Any]:
    """Return the records as tuples of two, as Spark sends them: a list of two is one then, and what
    has more or less than two parts is an error.
    """
    source = engine_rdd(rdd)
    node = source._node
    step = node.operator if isinstance(node, Mapped) else None
    if isinstance(step, PerRecord) and step.step in _MAKE_PAIRS:
        return source
    return source._per_record(RecordStep.PAIR, None, keeps_keys=True)


def _joined(rdd: Any, other: Any, count: Any, join: Any) -> Any:
    """Return a join of the engine's, placed by the portable hash."""
    number = count
    if number is None:
        number = union_of(rdd.ctx, [rdd, other])._defaultReducePartitions() or 1
    number = partition_number(number)
    made = join(engine_rdd(rdd), engine_rdd(other), number)
    return derived(rdd, made, Partitioner(number, portable_hash))


def python_cogroup(rdds: Iterable[Any], numPartitions: int | None = None) -> Any:
    """Return (key, one ResultIterable for each RDD): PySpark's function of this name."""
    first, *others = rdds
    number = numPartitions
    if number is None:
        number = union_of(first.ctx, [first, *others])._defaultReducePartitions() or 1
    number = partition_number(number)
    groups = engine_rdd(first).cogroup(*map(engine_rdd, others), num_partitions=number)
    made = groups.map_values(_result_iterables)
    return derived(first, made, Partitioner(number, portable_hash))


def _result_iterables(groups: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(ResultIterable, groups))


def same(x: Any) -> Any:
    """Return x: the sort key that is used where none is given."""
    return x


class _ByRange:
    """PySpark's partition function of a sort."""

    def __init__(self, partitioner: RangePartitioner) -> None:
        self._partitioner = partitioner

    def __call__(self, key: Any) -> int:
        return indices(self._partitioner, [key])[0]


class Keyed:
    """Members of RDD."""

    ctx: Any
    partitioner: Any

    def partitionBy(self, numPartitions: int | None, partitionFunc: Any = portable_hash) -> Any:
        count = _count_of(self, numPartitions)
        if self.partitioner == Partitioner(count, partitionFunc):
            return self
        return _placed(self, count, partitionFunc, _pairs(self).partition_by)

    def combineByKey(
        self,
        createCombiner: Any,
        mergeValue: Any,
        mergeCombiners: Any,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
    ) -> Any:
        create, merge, join = map(given, (createCombiner, mergeValue, mergeCombiners), (1, 2, 2))
        combine = partial(engine_rdd(self).combine_by_key, create, merge, join)
        return _placed(self, numPartitions, partitionFunc, combine)

    def reduceByKey(
        self, func: Any, numPartitions: int | None = None, partitionFunc: Any = portable_hash
    ) -> Any:
        reduce = partial(engine_rdd(self).reduce_by_key, given(func, 2))
        return _placed(self, numPartitions, partitionFunc, reduce)

    def aggregateByKey(
        self,
        zeroValue: Any,
        seqFunc: Any,
        combFunc: Any,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
    ) -> Any:
        add, merge = given(seqFunc, 2), given(combFunc, 2)
        aggregate = partial(engine_rdd(self).aggregate_by_key, zeroValue, add, merge)
        return _placed(self, numPartitions, partitionFunc, aggregate)

    def foldByKey(
        self,
        zeroValue: Any,
        func: Any,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
    ) -> Any:
        fold = partial(engine_rdd(self).fold_by_key, zeroValue, given(func, 2))
        return _placed(self, numPartitions, partitionFunc, fold)

    def groupByKey(
        self, numPartitions: int | None = None, partitionFunc: Any = portable_hash
    ) -> Any:
        groups = _placed(self, numPartitions, partitionFunc, engine_rdd(self).group_by_key)
        return groups.mapValues(ResultIterable)

    def groupBy(
        self, f: Any, numPartitions: int | None = None, partitionFunc: Any = portable_hash
    ) -> Any:
        return self.keyBy(f).groupByKey(numPartitions, partitionFunc)  # type: ignore[attr-defined]

    def distinct(self, numPartitions: int | None = None) -> Any:
        return derived(self, engine_rdd(self).distinct(_count_of(self, numPartitions)))

    def join(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, EngineRDD.join)

    def leftOuterJoin(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, EngineRDD.left_outer_join)

    def rightOuterJoin(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, EngineRDD.right_outer_join)

    def fullOuterJoin(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, EngineRDD.full_outer_join)

    def subtractByKey(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, EngineRDD.subtract_by_key)

    def cogroup(self, other: Any, numPartitions: int | None = None) -> Any:
        return python_cogroup([self, other], numPartitions)

    def groupWith(self, other: Any, *others: Any) -> Any:
        return python_cogroup([self, other, *others])

    def sortByKey(
        self, ascending: bool | None = True, numPartitions: int | None = None, keyfunc: Any = same
    ) -> Any:
        count = _count_of(self, numPartitions)
        key = None if keyfunc is same else given(keyfunc)
        source = engine_rdd(self) if count == 1 else _pairs(self)  # as Spark, which moves no record
        bounds: tuple[Any, ...] = ()
        if count > 1:
            rank = partial(sampling.rank_of_pair, key)
            bounds = self.ctx._act(lambda: sampling.range_bounds(source, count, rank))
        target = RangePartitioner(count, bounds, bool(ascending), key)
        made = source._shuffled("sort_by_key", target, ordering=Ordering(bool(ascending), key))
        return make_rdd(self.ctx, made._node, Partitioner(count, _ByRange(target)))

    def repartitionAndSortWithinPartitions(
        self,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
        ascending: bool = True,
        keyfunc: Any = same,
    ) -> Any:
        key = None if keyfunc is same else given(keyfunc)

        def sort(count: int, function: Any) -> EngineRDD[Any]:
            return _pairs(self).repartition_and_sort_within_partitions(
                count, function, bool(ascending), key
            )

        return _placed(self, numPartitions, partitionFunc, sort)
