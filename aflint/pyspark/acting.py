"""RDD's actions, and what it is asked about itself."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from pyspark.storagelevel import StorageLevel

from aflint.driver.callsite import named_here
from aflint.errors import InternalError
from aflint.executor import in_tasks
from aflint.plan.planner import partition_count
from aflint.plan.program import Return
from aflint.pyspark.drawing import described, draw
from aflint.pyspark.errors import RefusedError, translated
from aflint.pyspark.estimate import count_distinct
from aflint.pyspark.names import BoundedFloat, engine_rdd, lineage_of, node_of
from aflint.pyspark.narrow import given
from aflint.pyspark.paths import codec_named, engine_path
from aflint.rdd import RDD as EngineRDD

COLLECT = Return(in_tasks.collect, operator.add)


def run_partitions(rdd: Any, function: Any, partitions: Any, name: str) -> list[Any]:
    """Return what a function over partitions gives for some of them, one after the other."""
    target = engine_rdd(rdd).map_partitions(given(function))
    wanted = None if partitions is None else list(map(operator.index, partitions))
    parts = rdd.ctx._act(lambda: target._run(COLLECT, name, wanted))
    if wanted is not None:  # a job over all partitions has written them
        _write_checkpoints(rdd)
    return [record for part in parts for record in part]


class Acting:
    """Members of RDD."""

    ctx: Any

    def collect(self) -> list[Any]:
        parts = self.ctx._act(partial(engine_rdd(self)._run, COLLECT, "collect"))
        return [record for part in parts for record in part]

    def collectWithJobGroup(
        self, groupId: str, description: str, interruptOnCancel: bool = False
    ) -> list[Any]:
        with self.ctx._engine_running().tracker.group(groupId, description):
            return self.collect()

    def count(self) -> int:
        count: int = self.ctx._act(engine_rdd(self).count)
        return count

    def take(self, num: int) -> list[Any]:
        if num <= 0:
            return []
        found: list[Any] = self.ctx._act(partial(engine_rdd(self).take, int(num)))
        _write_checkpoints(self)
        return found

    def lookup(self, key: Any) -> list[Any]:
        # Only the engine's own placing tells which partition has the key.
        values: list[Any]
        if self.partitioner is None or node_of(self).partitioner is None:  # type: ignore[attr-defined]
            values = self.filter(partial(_has_key, key)).values().collect()  # type: ignore[attr-defined]
            return values
        values = self.ctx._act(partial(engine_rdd(self).lookup, key))
        _write_checkpoints(self)
        return values

    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[Any]:
        source, name = engine_rdd(self), named_here("toLocalIterator")
        engine = self.ctx._engine_running()

        async def parts() -> AsyncIterator[list[Any]]:
            async with source._runner.job(source._node, COLLECT, name) as job:
                for partition in range(job.partitions):
                    yield (await job.values([partition]))[0]

        def records() -> Iterator[Any]:
            with translated():
                for part in engine.iterate(parts, 1 if prefetchPartitions else 0):
                    yield from part

        return records()

    def sumApprox(self, timeout: int, confidence: float = 0.95) -> Any:
        return _exact(float(self.sum()))  # type: ignore[attr-defined]

    def meanApprox(self, timeout: int, confidence: float = 0.95) -> Any:
        return _exact(self.map(float).mean())  # type: ignore[attr-defined]

    def countApprox(self, timeout: int, confidence: float = 0.95) -> int:
        return self.count()

    def countApproxDistinct(self, relativeSD: float = 0.05) -> int:
        return count_distinct(self, relativeSD)

    def saveAsTextFile(self, path: str, compressionCodecClass: str | None = None) -> None:
        compression = codec_named(compressionCodecClass)
        texts = engine_rdd(self).map(_text)
        self.ctx._act(partial(texts.save_as_text_file, engine_path(path), compression))

    def saveAsPickleFile(self, path: str, batchSize: int = 10) -> None:
        save = engine_rdd(self).save_as_pickle_file
        self.ctx._act(partial(save, engine_path(path), max(1, batchSize or 1024)))

    def getNumPartitions(self) -> int:
        try:
            return partition_count(node_of(self))
        except InternalError:  # there are files to list first
            node, engine = node_of(self), self.ctx._engine_running()
            with translated():
                count: int = engine.run(lambda: engine.jobs.resolver.partition_count(node))
            return count

    def persist(self, storageLevel: Any = StorageLevel.MEMORY_ONLY) -> Any:
        if not isinstance(storageLevel, StorageLevel):
            raise TypeError("storageLevel must be of type pyspark.StorageLevel")
        lineage = lineage_of(self)
        if lineage.level not in (None, storageLevel) and not lineage.is_local:
            raise RefusedError(
                "Cannot change storage level of an RDD after it was already assigned a level: call "
                "unpersist() first"
            )
        self.is_cached = True
        lineage.level = storageLevel
        lineage.node.persisted, lineage.node.in_memory = True, storageLevel.useMemory
        return self

    def unpersist(self, blocking: bool = False) -> Any:
        self.is_cached = False
        lineage = lineage_of(self)
        lineage.level = None
        lineage.node.persisted = False
        self.ctx._engine_running().forget(lineage.node)
        return self

    def getStorageLevel(self) -> Any:
        return lineage_of(self).level or StorageLevel(False, False, False, False, 1)

    def checkpoint(self) -> None:
        self.ctx._check_checkpoint_dir()
        self.is_checkpointed = True
        node_of(self).checkpointed = True

    def isCheckpointed(self) -> bool:
        engine, lineage = self.ctx._engine_running(), lineage_of(self)
        if lineage.is_local:
            kept: bool = engine.is_kept(lineage.node)
            return kept
        checkpointed: bool = engine.jobs.resolver.is_checkpointed(lineage.node)
        return checkpointed

    def localCheckpoint(self) -> None:
        lineage = lineage_of(self)
        lineage.node.persisted = True
        lineage.is_local = True
        lineage.level = lineage.level or StorageLevel.MEMORY_AND_DISK_DESER

    def isLocallyCheckpointed(self) -> bool:
        return lineage_of(self).is_local

    def getCheckpointFile(self) -> str | None:
        if lineage_of(self).is_local or not self.isCheckpointed():
            return None
        found: str = self.ctx._checkpoint_path(node_of(self))
        return found

    def cleanShuffleDependencies(self, blocking: bool = False) -> None:
        """Do nothing: shuffles are removed with their jobs."""

    def name(self) -> str | None:
        return lineage_of(self).name

    def setName(self, name: str) -> Any:
        lineage_of(self).name = name
        node_of(self).name = name
        return self

    def toDebugString(self) -> bytes:
        count = self.getNumPartitions()
        lines = draw(node_of(self), lineage_of(self).level)
        lines[0] = f"({count}) {lines[0]}"
        return "\n".join(lines).encode()

    def __repr__(self) -> str:
        node = node_of(self)
        return described(node)

    def _is_barrier(self) -> bool:
        barrier: bool = self.is_barrier  # type: ignore[attr-defined]
        return barrier

    def withResources(self, profile: Any) -> Any:
        raise RefusedError(
            "ResourceProfiles are only supported on clusters that start executors to fit a stage: "
            "aflint gives all tasks the same CPUs and memory, those that spark.task.cpus and the "
            "settings worker_memory_mb and memory_mb say. See docs/pyspark.md"
        )

    def getResourceProfile(self) -> None:
        """Return None: see withResources."""


def _write_checkpoints(rdd: Any) -> None:
    """Write the checkpoints in the lineage of an RDD, as Spark does after an action over it.

    A job over all partitions has written them on its way; one over a few of them has not.
    """
    engine = rdd.ctx._engine_running()
    waiting, seen = [node_of(rdd)], {node_of(rdd).id}
    while waiting:
        node = waiting.pop()
        if not node.checkpointed:
            waiting += [parent for parent in node.parents if parent.id not in seen]
            seen.update(parent.id for parent in node.parents)
        elif not engine.jobs.resolver.is_checkpointed(node):
            rdd.ctx._act(EngineRDD[Any](node, engine.jobs).count)


def _text(record: Any) -> str:
    return record.decode("utf-8", "replace") if isinstance(record, bytes) else str(record)


def _has_key(key: Any, pair: Any) -> bool:
    return bool(pair[0] == key)


def _exact(value: float) -> Any:
    return BoundedFloat(value, 1.0, value, value)
