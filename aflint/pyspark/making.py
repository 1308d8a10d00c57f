"""SparkContext's ways to make an RDD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

from aflint.driver.callsite import named_here
from aflint.executor.blockfile import pack_block
from aflint.plan.lineage import Source
from aflint.pyspark.errors import AflintSparkError, translated
from aflint.pyspark.names import engine_rdd, make_rdd
from aflint.pyspark.narrow import partition_number, union_of
from aflint.pyspark.paths import RECURSIVE, engine_path, spark_path
from aflint.pyspark.refusals import unsupported
from aflint.storage.base import Subfolders
from aflint.task import BlocksSplit, DataSplit, RangeSplit

_BATCH = 1024
_NEEDS_HADOOP = (
    "sequenceFile",
    "newAPIHadoopFile",
    "newAPIHadoopRDD",
    "hadoopFile",
    "hadoopRDD",
)
_SAVES_HADOOP = (
    "saveAsNewAPIHadoopDataset",
    "saveAsNewAPIHadoopFile",
    "saveAsHadoopDataset",
    "saveAsHadoopFile",
    "saveAsSequenceFile",
)


def slices(count: int, wanted: int, batch: int) -> list[tuple[int, int]]:
    """Return where PySpark cuts `count` records into `wanted` partitions: at whole batches."""
    size = max(1, min(count // wanted, batch))
    batches = -(-count // size)
    ends = [min(count, batches * (place + 1) // wanted * size) for place in range(wanted)]
    return list(zip([0, *ends[:-1]], ends, strict=True))


class Making:
    """Members of SparkContext."""

    def emptyRDD(self) -> Any:
        return make_rdd(self, self._engine_running().session.empty_rdd()._node)  # type: ignore[attr-defined]

    def parallelize(self, c: Iterable[Any], numSlices: int | None = None) -> Any:
        engine = self._engine_running()  # type: ignore[attr-defined]
        wanted: int = self.defaultParallelism if numSlices is None else int(numSlices)  # type: ignore[attr-defined]
        if wanted < 1:
            raise ValueError(f"numSlices must be positive, not {numSlices}")
        splits: tuple[Any, ...]
        if isinstance(c, range):
            size = len(c)
            cuts = [int(place * size / wanted) for place in range(wanted + 1)]
            parts = (c[a:b] for a, b in pairwise(cuts))
            splits = tuple(RangeSplit(part.start, part.stop, part.step) for part in parts)
        else:
            records = list(c)
            batch: int = self._batchSize or _BATCH  # type: ignore[attr-defined]
            cuts_of = slices(len(records), wanted, batch if batch > 0 else len(records) or 1)
            with translated():
                packed = [list(_packed(records[start:end])) for start, end in cuts_of]
                splits = tuple(DataSplit(tuple(blobs)) for blobs in engine.blobs(packed))
        return make_rdd(self, Source(name=named_here("parallelize"), splits=splits))

    def textFile(
        self, name: str, minPartitions: int | None = None, use_unicode: bool = True
    ) -> Any:
        least = partition_number(minPartitions or min(self.defaultParallelism, 2))  # type: ignore[attr-defined]
        session = self._engine_running().session  # type: ignore[attr-defined]
        with translated():
            recursive = self._reads_subfolders()
            path = engine_path(name)
            lines = session.text_file(path, least, errors="replace", recursive=recursive)
        return make_rdd(self, (lines if use_unicode else lines.map(str.encode))._node)

    def wholeTextFiles(
        self, path: str, minPartitions: int | None = None, use_unicode: bool = True
    ) -> Any:
        session, least = self._engine_running().session, _least(minPartitions)  # type: ignore[attr-defined]
        with translated():
            files = session._whole_files(
                "text", engine_path(path), least, self._below_whole_files(), errors="replace"
            )
        return _named(self, files, str if use_unicode else str.encode)

    def binaryFiles(self, path: str, minPartitions: int | None = None) -> Any:
        session, least = self._engine_running().session, _least(minPartitions)  # type: ignore[attr-defined]
        with translated():
            below = self._below_whole_files()
            files = session._whole_files("binary", engine_path(path), least, below)
        return _named(self, files, bytes)

    def binaryRecords(self, path: str, recordLength: int) -> Any:
        session = self._engine_running().session  # type: ignore[attr-defined]
        with translated():
            below = self._below_whole_files()
            files = session._whole_files("binary", engine_path(path), None, below)
        return make_rdd(self, files.flat_map(partial(_records, int(recordLength)))._node)

    def pickleFile(self, name: str, minPartitions: int | None = None) -> Any:
        session, least = self._engine_running().session, _least(minPartitions)  # type: ignore[attr-defined]
        with translated():
            recursive = self._reads_subfolders()
            files = session.pickle_file(engine_path(name), least, recursive=recursive)
        return make_rdd(self, files._node)

    def _reads_subfolders(self) -> bool:
        """Say whether folders within a folder are read: Spark refuses them unless this is set."""
        settings = (self._conf.get(key, "false") for key in RECURSIVE)  # type: ignore[attr-defined]
        return any(setting.lower() == "true" for setting in settings)

    def _below_whole_files(self) -> Subfolders:
        """Return what becomes of folders within a folder of whole files: Spark passes over them."""
        return "read" if self._reads_subfolders() else "skip"

    def union(self, rdds: list[Any]) -> Any:
        if not rdds:
            raise ValueError("union needs at least one RDD")
        if len(rdds) == 1:
            return make_rdd(self, engine_rdd(rdds[0]).union()._node)
        return union_of(self, rdds)

    def _checkpointFile(self, name: str, input_deserializer: Any = None) -> Any:
        engine = self._engine_running()  # type: ignore[attr-defined]
        start = f"{engine_path(name)}-"
        with translated():
            files = engine.listed(f"{start}*")
        parts = {int(f.path[len(start) :].split("-")[0]): (f.path, f.size) for f in files}
        if not parts or sorted(parts) != list(range(len(parts))):
            raise AflintSparkError(f"{name} is not a whole checkpoint of an RDD")
        splits = tuple(BlocksSplit(*parts[place]) for place in range(len(parts)))
        return make_rdd(self, Source(name=named_here("checkpointFile"), splits=splits))


def _packed(records: list[Any]) -> Iterator[bytes]:
    for start in range(0, len(records), 4 * _BATCH):
        yield pack_block(records[start : start + 4 * _BATCH])


def _least(minPartitions: Any) -> int | None:
    """Return a least number of partitions; Spark takes 0 and less for none."""
    if minPartitions is None or minPartitions <= 0:
        return None
    return partition_number(minPartitions)


def _named(context: Any, files: Any, convert: Any) -> Any:
    """Give the paths of whole files as Spark does."""
    return make_rdd(context, files.map_partitions(partial(_with_spark_paths, convert))._node)


def _with_spark_paths(convert: Any, files: Iterable[Any]) -> Iterator[Any]:
    return ((spark_path(path), convert(content)) for path, content in files)


def _records(length: int, file: tuple[str, bytes]) -> Iterator[bytes]:
    path, content = file
    if len(content) % length:
        raise ValueError(
            f"binaryRecords: {path} has {len(content)} bytes, which are no whole records of "
            f"{length}"
        )
    return (content[start : start + length] for start in range(0, len(content), length))


def _refusing(name: str) -> Any:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise unsupported(f"{name}, a Hadoop format,", "Use textFile, pickleFile or binaryFiles.")

    refuse.__name__ = name
    return refuse


ReadsHadoop = type("ReadsHadoop", (), {name: _refusing(name) for name in _NEEDS_HADOOP})
WritesHadoop = type("WritesHadoop", (), {name: _refusing(name) for name in _SAVES_HADOOP})
