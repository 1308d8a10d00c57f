"""RDD's transformations that move no record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from aflint.executor import operators
from aflint.lineage import (
    AlignedUnion,
    Cartesian,
    Coalesced,
    Mapped,
    Node,
    Operator,
    PerPartition,
    PerRecord,
    RecordStep,
    RoundRobinPartitioner,
    Shuffled,
    Union,
    Zipped,
)
from aflint.pyspark.callsite import named_here
from aflint.pyspark.names import PipelinedRDD, init_rdd, make_rdd, node_of


def mapped(rdd: Any, name: str, operator: Operator, keeps: bool = False) -> Any:
    """Return an RDD of a narrow step over another."""
    node = _mapped_node(rdd, named_here(name), operator, keeps)
    return make_rdd(rdd.ctx, node, rdd.partitioner if keeps else None, PipelinedRDD)


def _mapped_node(rdd: Any, name: str, operator: Operator, keeps: bool) -> Node:
    return Mapped(
        name=name, parent=node_of(rdd), operator=operator, preserves_partitioning=bool(keeps)
    )


def per_record(rdd: Any, step: RecordStep, function: Any = None, keeps: bool = False) -> Any:
    """Return an RDD of a step over each record."""
    return mapped(rdd, step.name.lower(), PerRecord(step, function), keeps)


class Narrow:
    """Members of RDD."""

    def map(self, f: Callable[[Any], Any], preservesPartitioning: bool = False) -> Any:
        return per_record(self, RecordStep.MAP, f, preservesPartitioning)

    def flatMap(self, f: Callable[[Any], Any], preservesPartitioning: bool = False) -> Any:
        return per_record(self, RecordStep.FLAT_MAP, f, preservesPartitioning)

    def filter(self, f: Callable[[Any], Any]) -> Any:
        return per_record(self, RecordStep.FILTER, f, True)

    def mapValues(self, f: Callable[[Any], Any]) -> Any:
        return per_record(self, RecordStep.MAP_VALUES, f, True)

    def flatMapValues(self, f: Callable[[Any], Any]) -> Any:
        return per_record(self, RecordStep.FLAT_MAP_VALUES, f, True)

    def keyBy(self, f: Callable[[Any], Any]) -> Any:
        return per_record(self, RecordStep.KEY_BY, f)

    def keys(self) -> Any:
        return per_record(self, RecordStep.KEYS)

    def values(self) -> Any:
        return per_record(self, RecordStep.VALUES)

    def glom(self) -> Any:
        return mapped(self, "glom", PerPartition(operators.glom))

    def mapPartitions(
        self, f: Callable[[Iterable[Any]], Iterable[Any]], preservesPartitioning: bool = False
    ) -> Any:
        step = PerPartition(partial(operators.map_partition, f))
        return mapped(self, "mapPartitions", step, preservesPartitioning)

    def union(self, other: Any) -> Any:
        return union_of(self.ctx, [self, other])  # type: ignore[attr-defined]

    def cartesian(self, other: Any) -> Any:
        node = Cartesian(name=named_here("cartesian"), left=node_of(self), right=node_of(other))
        return make_rdd(self.ctx, node)  # type: ignore[attr-defined]

    def zip(self, other: Any) -> Any:
        if self.getNumPartitions() != other.getNumPartitions():  # type: ignore[attr-defined]
            raise ValueError("Can only zip with RDD which has the same number of partitions")
        node = Zipped(name=named_here("zip"), left=node_of(self), right=node_of(other))
        return make_rdd(self.ctx, node)  # type: ignore[attr-defined]

    def coalesce(self, numPartitions: int, shuffle: bool = False) -> Any:
        if not numPartitions > 0:
            raise ValueError("Number of partitions must be positive.")
        node: Node
        if shuffle:
            target = RoundRobinPartitioner(numPartitions)
            node = Shuffled(name=named_here("repartition"), parent=node_of(self), target=target)
        else:
            node = Coalesced(
                name=named_here("coalesce"), parent=node_of(self), partitions=numPartitions
            )
        return make_rdd(self.ctx, node)  # type: ignore[attr-defined]

    def _reserialize(self, serializer: Any = None) -> Any:
        return self

    def _pickled(self) -> Any:
        return self

    def _to_java_object_rdd(self) -> Any:
        return self


class Pipelined:
    """Members of PipelinedRDD: PySpark's own code makes one from any function over partitions.

    A barrier stage runs as any other; what needs its tasks to run at once, as
    `BarrierTaskContext.get().barrier()`, raises PySparkRuntimeError in the task.
    """

    def __init__(
        self, prev: Any, func: Any, preservesPartitioning: bool = False, isFromBarrier: bool = False
    ) -> None:
        operator = PerPartition(partial(operators.map_partition_with_index, func))
        name = named_here("mapPartitions")
        node = _mapped_node(prev, name, operator, preservesPartitioning)
        init_rdd(self, prev.ctx, node, prev.partitioner if preservesPartitioning else None)
        self.is_barrier = isFromBarrier or prev._is_barrier()
        self.prev = prev
        self.func = func
        self.preservesPartitioning = preservesPartitioning


def union_of(context: Any, rdds: list[Any]) -> Any:
    """Return a union; partition by partition where all are placed alike, as Spark does."""
    members = tuple(map(node_of, rdds))
    placed = rdds[0].partitioner
    name = named_here("union")
    if placed is not None and all(rdd.partitioner == placed for rdd in rdds):
        return make_rdd(context, AlignedUnion(name=name, members=members), placed)
    return make_rdd(context, Union(name=name, members=members))
