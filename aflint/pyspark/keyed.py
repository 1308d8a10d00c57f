"""RDD's transformations by key: they move records, and run on the engine's own paths."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pyspark.resultiterable import ResultIterable

from aflint.driver import sampling
from aflint.executor import actions as in_tasks
from aflint.executor import joins, operators
from aflint.executor.aggregate import identity
from aflint.lineage import (
    Aggregator,
    CoGrouped,
    Grouping,
    HashPartitioner,
    Node,
    Ordering,
    PerPartition,
    RangePartitioner,
    RecordStep,
    Shuffled,
)
from aflint.pyspark.callsite import named_here
from aflint.pyspark.names import Partitioner, make_rdd, node_of, portable_hash
from aflint.pyspark.narrow import mapped, per_record, union_of
from aflint.rdd import RDD as EngineRDD


def placing(count: int, function: Any) -> HashPartitioner:
    """Return the engine's partitioner for PySpark's."""
    return HashPartitioner(count, None if function is portable_hash else function)


def _checked(count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int):
        count = int(count)
    if count < 1:
        raise ValueError(f"Number of partitions must be positive, not {count}")
    return int(count)


def _shuffled(
    rdd: Any,
    name: str,
    numPartitions: int | None,
    partitionFunc: Any,
    aggregator: Aggregator | Grouping | None = None,
    ordering: Ordering | None = None,
) -> Any:
    count = rdd._defaultReducePartitions() if numPartitions is None else numPartitions
    count = max(_checked(count), 1) if numPartitions is not None else max(count, 1)
    node = Shuffled(
        name=named_here(name),
        parent=node_of(rdd),
        target=placing(count, partitionFunc),
        aggregator=aggregator,
        ordering=ordering,
    )
    return make_rdd(rdd.ctx, node, Partitioner(count, partitionFunc))


def cogrouped(rdds: list[Any], numPartitions: int | None, name: str) -> Any:
    """Return (key, one Group for each RDD), placed by the portable hash."""
    count = numPartitions
    if count is None:
        count = union_of(rdds[0].ctx, rdds)._defaultReducePartitions()
    count = max(_checked(count), 1) if numPartitions is not None else max(count, 1)
    node: Node = CoGrouped(
        name=named_here(name),
        members=tuple(map(node_of, rdds)),
        target=placing(count, portable_hash),
    )
    return make_rdd(rdds[0].ctx, node, Partitioner(count, portable_hash))


def python_cogroup(rdds: Iterable[Any], numPartitions: int | None = None) -> Any:
    """Return (key, one ResultIterable for each RDD): PySpark's function of this name."""
    groups = cogrouped(list(rdds), numPartitions, "cogroup")
    return per_record(groups, RecordStep.MAP_VALUES, _result_iterables, True)


def _result_iterables(groups: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(ResultIterable, groups))


def _joined(left: Any, right: Any, count: int | None, name: str, pairs: Any) -> Any:
    groups = cogrouped([left, right], count, name)
    return per_record(groups, RecordStep.FLAT_MAP_VALUES, pairs, True)


def _begin(zero: Any, function: Callable[[Any, Any], Any], value: Any) -> Any:
    return function(copy.deepcopy(zero), value)


def same(x: Any) -> Any:
    """Return x: the sort key that is used where none is given."""
    return x


class _ByRange:
    """PySpark's partition function of a sort."""

    def __init__(self, partitioner: RangePartitioner) -> None:
        self._partitioner = partitioner

    def __call__(self, key: Any) -> int:
        from aflint.executor.partition import indices

        return indices(self._partitioner, [key])[0]


class Keyed:
    """Members of RDD."""

    def partitionBy(self, numPartitions: int | None, partitionFunc: Any = portable_hash) -> Any:
        count = numPartitions
        if count is None:
            count = self._defaultReducePartitions()  # type: ignore[attr-defined]
        if self.partitioner == Partitioner(count, partitionFunc):  # type: ignore[attr-defined]
            return self
        return _shuffled(self, "partitionBy", count, partitionFunc)

    def combineByKey(
        self,
        createCombiner: Any,
        mergeValue: Any,
        mergeCombiners: Any,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
    ) -> Any:
        aggregator = Aggregator(createCombiner, mergeValue, mergeCombiners)
        return _shuffled(self, "combineByKey", numPartitions, partitionFunc, aggregator)

    def reduceByKey(
        self, func: Any, numPartitions: int | None = None, partitionFunc: Any = portable_hash
    ) -> Any:
        aggregator = Aggregator(identity, func, func)
        return _shuffled(self, "reduceByKey", numPartitions, partitionFunc, aggregator)

    def aggregateByKey(
        self,
        zeroValue: Any,
        seqFunc: Any,
        combFunc: Any,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
    ) -> Any:
        aggregator = Aggregator(partial(_begin, zeroValue, seqFunc), seqFunc, combFunc)
        return _shuffled(self, "aggregateByKey", numPartitions, partitionFunc, aggregator)

    def foldByKey(
        self,
        zeroValue: Any,
        func: Any,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
    ) -> Any:
        aggregator = Aggregator(partial(_begin, zeroValue, func), func, func)
        return _shuffled(self, "foldByKey", numPartitions, partitionFunc, aggregator)

    def groupByKey(
        self, numPartitions: int | None = None, partitionFunc: Any = portable_hash
    ) -> Any:
        groups = _shuffled(self, "groupByKey", numPartitions, partitionFunc, Grouping())
        return per_record(groups, RecordStep.MAP_VALUES, ResultIterable, True)

    def groupBy(
        self, f: Any, numPartitions: int | None = None, partitionFunc: Any = portable_hash
    ) -> Any:
        return per_record(self, RecordStep.KEY_BY, f).groupByKey(numPartitions, partitionFunc)

    def distinct(self, numPartitions: int | None = None) -> Any:
        aggregator = Aggregator(identity, in_tasks.keep, in_tasks.keep)
        paired = mapped(self, "distinct", PerPartition(operators.pair_with_none, splittable=True))
        return _shuffled(paired, "distinct", numPartitions, portable_hash, aggregator).keys()

    def join(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, "join", joins.inner)

    def leftOuterJoin(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, "leftOuterJoin", joins.left_outer)

    def rightOuterJoin(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, "rightOuterJoin", joins.right_outer)

    def fullOuterJoin(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, "fullOuterJoin", joins.full_outer)

    def subtractByKey(self, other: Any, numPartitions: int | None = None) -> Any:
        return _joined(self, other, numPartitions, "subtractByKey", joins.only_left)

    def cogroup(self, other: Any, numPartitions: int | None = None) -> Any:
        return python_cogroup([self, other], numPartitions)

    def groupWith(self, other: Any, *others: Any) -> Any:
        return python_cogroup([self, other, *others])

    def sortByKey(
        self, ascending: bool | None = True, numPartitions: int | None = None, keyfunc: Any = same
    ) -> Any:
        count = numPartitions
        if count is None:
            count = self._defaultReducePartitions()  # type: ignore[attr-defined]
        count = max(_checked(count), 1) if numPartitions is not None else max(count, 1)
        key = None if keyfunc is same else keyfunc
        context: Any = self.ctx  # type: ignore[attr-defined]
        bounds: tuple[Any, ...] = ()
        if count > 1:
            engine = context._engine
            sampled = EngineRDD[Any](node_of(self), engine.jobs)
            bounds = context._act(lambda: sampling.range_bounds(sampled, count, key))
        target = RangePartitioner(count, bounds, bool(ascending), key)
        node = Shuffled(
            name=named_here("sortByKey"),
            parent=node_of(self),
            target=target,
            ordering=Ordering(bool(ascending), key),
        )
        return make_rdd(context, node, Partitioner(count, _ByRange(target)))

    def repartitionAndSortWithinPartitions(
        self,
        numPartitions: int | None = None,
        partitionFunc: Any = portable_hash,
        ascending: bool = True,
        keyfunc: Any = same,
    ) -> Any:
        ordering = Ordering(bool(ascending), None if keyfunc is same else keyfunc)
        name = "repartitionAndSortWithinPartitions"
        return _shuffled(self, name, numPartitions, partitionFunc, ordering=ordering)
