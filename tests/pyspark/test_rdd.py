"""What Spark's own unit tests of RDDs check."""

from __future__ import annotations

import glob
import gzip
import operator
import os
import pickle
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkRuntimeError

py4j = pytest.importorskip("py4j.protocol")


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and self.x == other.x

    def __hash__(self) -> int:
        return hash(self.x)


def test_slices_are_cut_as_pyspark_cuts_them(sc: Any) -> None:
    assert sc.parallelize([0, 2, 3, 4, 6], 5).glom().collect() == [[0], [2], [3], [4], [6]]
    assert sc.parallelize(range(0, 6, 2), 5).glom().collect() == [[], [0], [], [2], [4]]
    assert [len(p) for p in sc.parallelize(list(range(10)), 3).glom().collect()] == [3, 3, 4]
    assert [len(p) for p in sc.parallelize(list(range(10_000)), 2).glom().collect()] == [5120, 4880]
    assert sc.parallelize([], 4).getNumPartitions() == 4
    assert sc.parallelize(iter("abc"), 2).collect() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="numSlices"):
        sc.parallelize([1], 0)


def test_ids_names_and_repr(sc: Any) -> None:
    rdd = sc.parallelize(range(10))
    assert rdd.id() == rdd.id()
    assert rdd.map(str).id() != rdd.id()
    assert rdd.name() is None
    assert rdd.setName("data") is rdd
    assert rdd.name() == "data"
    assert repr(sc.emptyRDD()).startswith("EmptyRDD")
    assert rdd.context is sc


def test_records_of_the_programs_own_classes(sc: Any) -> None:
    points = sc.parallelize([Point(1), Point(2), Point(1)])
    assert points.map(lambda p: p.x).collect() == [1, 2, 1]
    assert sorted(p.x for p in points.distinct().collect()) == [1, 2]
    assert points.collect()[0] == Point(1)


def test_union_of_pairs_and_of_anything(sc: Any) -> None:
    a, b = sc.parallelize([1, 2]), sc.parallelize([("x", 1)], 1)
    assert a.union(b).collect() == [1, 2, ("x", 1)]
    assert sc.union([a, b, a]).collect() == [1, 2, ("x", 1), 1, 2]
    assert (a + b).getNumPartitions() == 3
    assert sc.union([a]).collect() == [1, 2]
    with pytest.raises(TypeError):
        operator.add(a, [1])


def test_zip_cartesian_and_numbering(sc: Any) -> None:
    a = sc.parallelize(range(5), 2)
    assert a.zip(a.map(str)).collect() == [(i, str(i)) for i in range(5)]
    assert a.zip(a.map(lambda x: (x, x))).count() == 5
    with pytest.raises(ValueError, match="same number of partitions"):
        a.zip(sc.parallelize(range(5), 3))
    with pytest.raises(Exception, match="different numbers"):
        a.zip(sc.parallelize(range(6), 2)).collect()
    assert sorted(a.cartesian(sc.parallelize("ab")).collect())[:2] == [(0, "a"), (0, "b")]
    nested = a.cartesian(a).cartesian(a.zip(a))
    assert nested.count() == 125
    assert nested.first() == ((0, 0), (0, 0))
    assert sc.parallelize("abcd", 3).zipWithIndex().collect() == list(
        zip("abcd", range(4), strict=True)
    )
    ids = sc.parallelize("abcde", 3).zipWithUniqueId().collect()
    assert len({number for _, number in ids}) == 5


def test_narrow_dependencies_need_no_shuffle(sc: Any) -> None:
    rdd = sc.parallelize(range(10)).map(lambda x: (x, x))
    parted = rdd.partitionBy(2)
    assert parted.union(parted).getNumPartitions() == 2
    assert parted.union(rdd).getNumPartitions() == rdd.getNumPartitions() + 2
    assert rdd.union(parted).getNumPartitions() == rdd.getNumPartitions() + 2
    assert parted.union(parted).partitioner == parted.partitioner
    assert sorted(parted.union(parted).collect()) == sorted(rdd.collect() * 2)
    tracker = sc.statusTracker()

    def stages(group: str, joined: Any) -> int:
        sc.setJobGroup(group, "test", True)
        assert len(joined.collect()) == 10
        return len(tracker.getJobInfo(tracker.getJobIdsForGroup(group)[0]).stageIds)

    assert stages("join1", parted.join(parted)) == 2
    assert stages("join2", parted.join(rdd)) == 3
    assert stages("join3", parted.join(rdd, 2)) == 2
    assert stages("cogroup1", parted.cogroup(parted)) == 2
    assert stages("cogroup2", parted.cogroup(rdd)) == 3
    assert stages("kept", parted.mapValues(str).reduceByKey(min, 2)) == 2


def test_partitions_follow_portable_hash_and_partition_functions(sc: Any) -> None:
    pairs = sc.parallelize([(i, i) for i in range(8)])
    assert [sorted(p) for p in pairs.partitionBy(3).keys().glom().collect()] == [
        [0, 3, 6],
        [1, 4, 7],
        [2, 5],
    ]
    by_two = pairs.partitionBy(2, lambda key: key // 4)
    assert [sorted(p) for p in by_two.keys().glom().collect()] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert by_two.partitionBy(2, by_two.partitioner.partitionFunc) is by_two
    mixed = sc.parallelize([(None, 1), ((None, 1.5), 2), ("a", 3), (frozenset([1]), 4), (b"b", 5)])
    assert sorted(v for _, v in mixed.reduceByKey(min, 7).collect()) == [1, 2, 3, 4, 5]
    assert pairs.partitionBy(2, lambda key: 1).glom().map(len).collect() == [0, 8]
    words = sc.parallelize([("ab", 1), ("cd", 2), ("ab", 3)]).partitionBy(5)
    assert words.lookup("ab") == [1, 3]
    assert pairs.lookup(3) == [3]
    assert pairs.sortByKey().lookup(5) == [5]


def test_default_numbers_of_partitions_are_sparks(sc: Any) -> None:
    a = sc.parallelize([(1, 2)], 3)
    b = sc.parallelize([(1, 3)], 4)
    assert a.join(b).getNumPartitions() == 7
    assert a.cogroup(b, 2).getNumPartitions() == 2
    assert a.reduceByKey(min).getNumPartitions() == 3
    assert a.partitionBy(5).join(b.partitionBy(5)).getNumPartitions() == 5
    assert a.subtract(b).getNumPartitions() == 7
    assert a.intersection(b).getNumPartitions() == 7
    assert a.sortByKey().getNumPartitions() == 3
    assert a.coalesce(10).getNumPartitions() == 3
    assert a.repartition(10).getNumPartitions() == 10


def test_groups_are_result_iterables(sc: Any) -> None:
    from pyspark.resultiterable import ResultIterable

    pairs = sc.parallelize([("a", 1), ("b", 2), ("a", 3)], 2)
    groups = dict(pairs.groupByKey().collect())
    assert type(groups["a"]) is ResultIterable
    assert len(groups["a"]) == 2
    assert sorted(groups["a"]) == [1, 3]
    both = dict(pairs.cogroup(sc.parallelize([("a", 9), ("c", 8)])).collect())
    assert {k: tuple(map(sorted, v)) for k, v in both.items()} == {
        "a": ([1, 3], [9]),
        "b": ([2], []),
        "c": ([], [8]),
    }
    assert all(type(part) is ResultIterable for part in both["b"])
    more = pairs.groupWith(pairs, pairs, pairs)
    assert [len(v) for _, v in more.collect()] == [4, 4]
    by = dict(sc.parallelize(range(4)).groupBy(lambda x: x % 2).mapValues(list).collect())
    assert by == {0: [0, 2], 1: [1, 3]}


def test_aggregating_by_key(sc: Any) -> None:
    pairs = sc.parallelize([("a", 1), ("b", 2), ("a", 3)], 2)
    assert dict(pairs.reduceByKey(operator.add).collect()) == {"a": 4, "b": 2}
    assert dict(pairs.foldByKey(0, operator.add).collect()) == {"a": 4, "b": 2}
    lists = pairs.combineByKey(lambda v: [v], lambda c, v: [*c, v], operator.add)
    assert dict(lists.mapValues(sorted).collect()) == {"a": [1, 3], "b": [2]}
    zero: list[int] = []
    kept = pairs.aggregateByKey(zero, lambda c, v: c.append(v) or c, operator.add)
    assert dict(kept.mapValues(sorted).collect()) == {"a": [1, 3], "b": [2]}
    assert zero == []
    assert pairs.countByKey() == {"a": 2, "b": 1}
    assert pairs.reduceByKeyLocally(operator.add) == {"a": 4, "b": 2}
    assert pairs.collectAsMap() == {"a": 3, "b": 2}
    folded = sc.parallelize([("a", {1}), ("a", {2})]).foldByKey(set(), lambda a, b: a.union(b))
    assert folded.collect() == [("a", {1, 2})]
    found = sc.parallelize([1, 1.0, "1", None, None]).distinct().collect()
    assert len(found) == 3
    assert set(found) == {1, "1", None}


def test_joins(sc: Any) -> None:
    a = sc.parallelize([(1, "a"), (2, "b"), (1, "c")])
    b = sc.parallelize([(1, "x"), (3, "y")])
    assert sorted(a.join(b).collect()) == [(1, ("a", "x")), (1, ("c", "x"))]
    assert sorted(a.leftOuterJoin(b).collect()) == [
        (1, ("a", "x")),
        (1, ("c", "x")),
        (2, ("b", None)),
    ]
    assert sorted(a.rightOuterJoin(b).collect()) == [
        (1, ("a", "x")),
        (1, ("c", "x")),
        (3, (None, "y")),
    ]
    assert len(a.fullOuterJoin(b).collect()) == 4
    assert a.subtractByKey(b).collect() == [(2, "b")]
    assert sorted(sc.parallelize([1, 2, 2, 3]).subtract(sc.parallelize([2])).collect()) == [1, 3]
    assert sc.parallelize([1, 2, 2]).intersection(sc.parallelize([2, 2, 4])).collect() == [2]


def test_sorting(sc: Any) -> None:
    pairs = sc.parallelize([(i * 7 % 20, i) for i in range(20)], 4)
    assert [k for k, _ in pairs.sortByKey().collect()] == list(range(20))
    assert [k for k, _ in pairs.sortByKey(False, 3).collect()] == list(range(19, -1, -1))
    assert pairs.sortByKey(keyfunc=lambda k: -k).keys().first() == 19
    assert sc.parallelize(["b", "A", "c"]).sortBy(str.lower).collect() == ["A", "b", "c"]
    assert sc.parallelize([]).sortBy(lambda x: x).collect() == []
    nones = sc.parallelize([(None, 1), (1, 2)])
    assert nones.sortBy(lambda kv: kv[1]).count() == 2
    parts = pairs.repartitionAndSortWithinPartitions(2, lambda k: k % 2, False).glom().collect()
    assert [[k for k, _ in part] for part in parts] == [
        list(range(18, -1, -2)),
        list(range(19, 0, -2)),
    ]
    assert pairs.repartitionAndSortWithinPartitions(1).keys().collect() == list(range(20))


def test_taking(sc: Any) -> None:
    rdd = sc.parallelize(range(100), 20)
    assert rdd.take(25) == list(range(25))
    assert rdd.take(0) == []
    assert rdd.take(1000) == list(range(100))
    assert rdd.first() == 0
    assert rdd.top(2) == [99, 98]
    assert rdd.takeOrdered(2, key=lambda x: -x) == [99, 98]
    assert not rdd.isEmpty()
    assert sc.emptyRDD().isEmpty()
    assert sc.emptyRDD().take(1) == []
    with pytest.raises(ValueError, match="empty"):
        sc.emptyRDD().first()
    with pytest.raises(ValueError, match="empty"):
        sc.emptyRDD().reduce(operator.add)
    with pytest.raises(ValueError, match="negative"):
        rdd.takeOrdered(-1)


def test_taking_runs_no_more_partitions_than_it_needs(sc: Any, tmp_path: Path) -> None:
    def note(partition: int, records: Iterator[int]) -> Iterator[int]:
        (tmp_path / str(partition)).touch()
        return records

    assert sc.parallelize(range(8), 8).mapPartitionsWithIndex(note).take(1) == [0]
    assert len(list(tmp_path.iterdir())) == 1


def test_sampling_is_that_of_pyspark(sc: Any) -> None:
    rdd = sc.parallelize(range(100), 4)
    assert rdd.sample(False, 0.1, 81).collect() == rdd.sample(False, 0.1, 81).collect()
    split = rdd.randomSplit([2.0, 3.0], 17)
    assert sum(part.count() for part in split) == 100
    assert len(rdd.takeSample(True, 20, 7)) == 20
    assert len(rdd.takeSample(False, 200, 7)) == 100
    with pytest.raises(ValueError, match="nonnegative"):
        rdd.sample(False, -0.1)
    keyed = sc.parallelize([("a", i) for i in range(100)] + [("b", i) for i in range(100)])
    drawn = keyed.sampleByKey(False, {"a": 0.9, "b": 0.0}, 2).countByKey()
    assert drawn["a"] > 70
    assert "b" not in drawn


def test_statistics(sc: Any) -> None:
    numbers = sc.parallelize([1.0, 2.0, 3.0, 4.0], 3)
    assert numbers.sum() == 10.0
    assert numbers.mean() == 2.5
    assert numbers.stats().count() == 4
    assert numbers.max() == 4.0
    assert numbers.min(key=lambda x: -x) == 4.0
    assert sc.parallelize(range(51)).histogram(2) == ([0, 25, 50], [25, 26])
    assert numbers.sumApprox(1000) == 10.0
    assert numbers.meanApprox(1000).low == 2.5
    assert numbers.countApprox(1000) == 4
    for count in (10, 1000, 20_000):
        found = sc.parallelize(range(count)).map(str).countApproxDistinct(0.03)
        assert abs(found - count) <= 0.1 * count
    with pytest.raises(ValueError, match="relativeSD"):
        numbers.countApproxDistinct(0.00000001)
    assert numbers.treeReduce(operator.add, 3) == 10.0
    assert numbers.treeAggregate(0.0, operator.add, operator.add, 2) == 10.0
    assert numbers.fold(0.0, operator.add) == 10.0
    pair = numbers.aggregate(
        (0, 0), lambda a, x: (a[0] + x, a[1] + 1), lambda a, b: (a[0] + b[0], a[1] + b[1])
    )
    assert pair == (10.0, 4)


def test_to_local_iterator(sc: Any) -> None:
    rdd = sc.parallelize(range(10), 5)
    for prefetch in (False, True):
        assert list(rdd.toLocalIterator(prefetch)) == list(range(10))
        started = rdd.toLocalIterator(prefetch)
        assert next(started) == 0
        del started
    assert list(sc.emptyRDD().toLocalIterator()) == []
    a, b = rdd.toLocalIterator(True), rdd.repartition(3).toLocalIterator(prefetchPartitions=True)
    assert sorted(y for pair in zip(a, b, strict=True) for y in pair) == sorted([*range(10)] * 2)
    broken = sc.parallelize(range(4), 4).map(lambda x: 1 // (2 - x)).toLocalIterator()
    assert [next(broken), next(broken)] == [0, 1]
    with pytest.raises(Exception, match="ZeroDivisionError"):
        next(broken)


def test_local_iterator_reads_only_what_is_asked_for(sc: Any, tmp_path: Path) -> None:
    def note(partition: int, records: Iterator[int]) -> Iterator[int]:
        (tmp_path / str(partition)).touch()
        return records

    iterator = sc.parallelize(range(8), 8).mapPartitionsWithIndex(note).toLocalIterator()
    assert next(iterator) == 0
    assert len(list(tmp_path.iterdir())) == 1
    iterator.close()


def test_pipe(sc: Any) -> None:
    rdd = sc.parallelize(["1", "2", "", "4"], 2)
    assert rdd.pipe("cat").collect() == ["1", "2", "", "4"]
    assert rdd.pipe("grep 4", checkCode=False).collect() == ["4"]
    with pytest.raises(Exception, match="grep 4"):
        rdd.pipe("grep 4", checkCode=True).collect()
    assert sc.parallelize(["漢字"]).pipe("cat").collect() == ["漢字"]
    assert sc.parallelize([1], 1).pipe("printenv X", {"X": "y"}).collect() == ["y"]
    with pytest.raises(Exception, match="no-such-command"):
        rdd.pipe("no-such-command").collect()
    assert sc.parallelize(["a\r", " b "], 1).pipe("cat").collect() == ["a\r", " b "]
    assert sc.parallelize([1], 1).pipe("sh -c 'echo $HOME'").collect() == [""]


@pytest.mark.parametrize("command", ["cat", "sleep 1000", "sh -c 'exec 0<&-; sleep 1000'"])
def test_pipe_fails_as_what_makes_its_records_fails(sc: Any, command: str) -> None:
    with pytest.raises(PySparkRuntimeError, match="ZeroDivisionError"):
        sc.parallelize([2, 1, 0], 1).map(lambda x: 1 // x).pipe(command).collect()


def test_text_files(sc: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "out")
    sc.parallelize(["x", 1, b"y\xc3\xa4", None], 2).saveAsTextFile(target)
    assert sc.textFile(target).collect() == ["x", "1", "yä", "None"]
    assert sc.textFile(f"file://{target}").count() == 4
    assert sc.textFile(target, use_unicode=False).take(3) == [b"x", b"1", "yä".encode()]
    with pytest.raises(py4j.Py4JJavaError, match="already"):
        sc.parallelize([1]).saveAsTextFile(target)
    zipped = str(tmp_path / "gz")
    sc.parallelize(["x"], 1).saveAsTextFile(zipped, "org.apache.hadoop.io.compress.GzipCodec")
    (part,) = glob.glob(f"{zipped}/part-*.gz")
    assert gzip.decompress(Path(part).read_bytes()) == b"x\n"
    assert sc.textFile(zipped).collect() == ["x"]
    with pytest.raises(Exception, match="SnappyCodec"):
        sc.parallelize([1]).saveAsTextFile(zipped + "2", "org.x.SnappyCodec")
    with pytest.raises(Exception, match="no-such"):
        sc.textFile(str(tmp_path / "no-such")).collect()
    with pytest.raises(Exception, match="hdfs"):
        sc.textFile("hdfs://host/path")
    (tmp_path / "bad").write_bytes(b"a\xffb\n")
    assert sc.textFile(str(tmp_path / "bad")).collect() == ["a\ufffdb"]


def test_whole_and_binary_files(sc: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\n2\n")
    (tmp_path / "b.txt").write_bytes(b"\x00\x01\x02\x03")
    whole = dict(sc.wholeTextFiles(str(tmp_path)).collect())
    assert whole[f"file:{tmp_path}/a.txt"] == "1\n2\n"
    binary = sc.binaryFiles(f"{tmp_path}/b*").collect()
    assert binary == [(f"file:{tmp_path}/b.txt", b"\x00\x01\x02\x03")]
    assert sc.binaryRecords(f"{tmp_path}/b.txt", 2).collect() == [b"\x00\x01", b"\x02\x03"]
    with pytest.raises(Exception, match="whole records"):
        sc.binaryRecords(f"{tmp_path}/b.txt", 3).collect()


def test_pickle_files(sc: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "out")
    records = [(1, "a"), {"b": [2]}, None, Point(3)]
    sc.parallelize(records, 2).saveAsPickleFile(target, 3)
    assert sc.pickleFile(target).collect() == records
    sc.emptyRDD().saveAsPickleFile(target + "-empty")


def test_hadoop_formats_are_refused_by_name(sc: Any) -> None:
    with pytest.raises(Exception, match=r"sequenceFile.*Hadoop.*docs/pyspark\.md"):
        sc.sequenceFile("x")
    with pytest.raises(Exception, match="saveAsHadoopFile"):
        sc.parallelize([(1, 2)]).saveAsHadoopFile("x", "y")


def test_keeping(sc: Any, tmp_path: Path) -> None:
    from pyspark import StorageLevel

    calls = tmp_path / "calls"
    calls.mkdir()

    def note(x: int) -> int:
        (calls / f"{x}-{random.random()}").touch()
        return x

    kept = sc.parallelize(range(4), 2).map(note).cache()
    assert kept.is_cached
    assert kept.getStorageLevel() == StorageLevel.MEMORY_ONLY
    assert kept.sum() == kept.sum() == 6
    assert len(list(calls.iterdir())) == 4
    assert kept.unpersist() is kept
    assert not kept.is_cached
    assert kept.sum() == 6
    assert len(list(calls.iterdir())) == 8
    with pytest.raises(TypeError):
        kept.persist("MEMORY")


def test_checkpoints(sc: Any, tmp_path: Path) -> None:
    rdd = sc.parallelize([1, 2, 3, 4]).flatMap(lambda x: range(1, x))
    sc.setCheckpointDir(str(tmp_path))
    assert not rdd.isCheckpointed()
    assert rdd.getCheckpointFile() is None
    rdd.checkpoint()
    result = rdd.collect()
    assert rdd.isCheckpointed()
    assert rdd.collect() == result
    file = rdd.getCheckpointFile()
    assert os.path.dirname(os.path.dirname(file)) == f"file:{tmp_path}"
    assert os.path.dirname(file) == sc.getCheckpointDir()
    assert sc._checkpointFile(file, rdd._jrdd_deserializer).collect() == result


def test_checkpoints_lie_in_a_folder_of_their_own_that_is_made_at_once(
    sc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sc.setCheckpointDir("a/b")
    (folder,) = (tmp_path / "a" / "b").iterdir()
    assert sc.getCheckpointDir() == f"file:{folder}"
    rdd = sc.parallelize([1, 2, 3], 3).map(str)
    rdd.checkpoint()
    assert rdd.first() == "1"  # Spark writes all of it, too
    assert rdd.isCheckpointed()
    assert len(list(folder.iterdir())) == 3
    (tmp_path / "file").touch()
    with pytest.raises(py4j.Py4JJavaError, match="Not a directory"):
        sc.setCheckpointDir("file")
    assert sc.getCheckpointDir() == f"file:{folder}"


def test_a_local_checkpoint_is_one_once_an_action_has_computed_all_of_it(sc: Any) -> None:
    local = sc.parallelize([1, 2], 2).map(str)
    local.localCheckpoint()
    assert local.isLocallyCheckpointed()
    assert not local.isCheckpointed()
    assert str(local.getStorageLevel()) == "Disk Memory Deserialized 1x Replicated"
    assert local.take(1) == ["1"]
    assert not local.isCheckpointed()
    assert local.collect() == ["1", "2"]
    assert local.isCheckpointed()
    assert local.getCheckpointFile() is None
    assert local.persist().collect() == ["1", "2"]


def test_errors_carry_the_users_traceback(sc: Any) -> None:

    def fails(x: int) -> float:
        return 1 / (x - 3)

    with pytest.raises(PySparkRuntimeError, match="ZeroDivisionError") as caught:
        sc.parallelize(range(5)).map(fails).collect()
    assert "return 1 / (x - 3)" in str(caught.value)
    assert "in fails" in str(caught.value)
    assert isinstance(caught.value, py4j.Py4JJavaError)
    assert "ZeroDivisionError" in caught.value.java_exception.toString()
    again: Any = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)

    def stops(x: Any) -> Any:
        raise StopIteration

    rdd = sc.parallelize(range(3))
    keyed = rdd.map(lambda x: (x, x))
    jobs: tuple[Any, ...] = (
        lambda: rdd.map(stops).collect(),
        lambda: rdd.filter(stops).collect(),
        lambda: rdd.foreach(stops),
        lambda: rdd.reduce(lambda a, b: stops(a)),
        lambda: rdd.fold(0, lambda a, b: stops(a)),
        lambda: rdd.flatMap(stops).count(),
        lambda: rdd.cartesian(rdd).flatMap(stops).collect(),
        lambda: keyed.reduceByKeyLocally(lambda a, b: stops(a)) and rdd.map(stops).count(),
    )
    for job in jobs:
        with pytest.raises(Exception, match="StopIteration"):
            job()


def test_what_cannot_be_sent(sc: Any) -> None:
    lock = threading.Lock()
    with pytest.raises(pickle.PicklingError, match="lock"):
        sc.parallelize([1]).map(lambda x: lock).collect()
    inner = sc.parallelize([1])
    with pytest.raises(pickle.PicklingError, match="TRANSFORM_ONLY_VALID_ON_DRIVER"):
        inner.map(lambda x: inner.count()).collect()
    with pytest.raises(pickle.PicklingError, match="CONTEXT_ONLY_VALID_ON_DRIVER"):
        sc.parallelize([1]).map(lambda x: sc.parallelize([x])).collect()


def test_unhashable_keys_say_so(sc: Any) -> None:
    with pytest.raises(py4j.Py4JJavaError, match="list"):
        sc.parallelize([([1], 2)]).reduceByKey(min).collect()


def test_threads_run_jobs_side_by_side(sc: Any) -> None:
    results: dict[int, int] = {}

    def work(number: int) -> None:
        results[number] = sc.parallelize(range(10), 2).map(lambda x: x * number).sum()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: 45 * number for number in range(5)}


def test_cancelling_a_job_group(sc: Any, tmp_path: Path) -> None:
    tracker = sc.statusTracker()
    errors: list[BaseException] = []
    started = threading.Event()

    def slow(x: int) -> int:
        (tmp_path / "running").touch()
        time.sleep(600)
        return x

    def work() -> None:
        sc.setJobGroup("slow", "never ends", True)
        started.set()
        try:
            sc.parallelize(range(2), 2).map(slow).collect()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    subprocess.run(
        ["sh", "-c", f"until [ -e {tmp_path}/running ]; do sleep 0.02; done"],
        check=True,
        timeout=60,
    )
    (job,) = tracker.getJobIdsForGroup("slow")
    assert job in tracker.getActiveJobsIds()
    assert tracker.getJobInfo(job).status == "RUNNING"
    (stage,) = tracker.getJobInfo(job).stageIds
    assert tracker.getStageInfo(stage).numTasks == 2
    assert stage in tracker.getActiveStageIds()
    sc.cancelJobGroup("slow")
    thread.join()
    assert "cancelled job group slow" in str(errors[0])
    assert tracker.getJobInfo(job).status == "FAILED"
    assert tracker.getJobInfo(10**6) is None
    assert sc.parallelize([1]).collect() == [1]


def test_properties_and_tags_belong_to_a_thread(sc: Any) -> None:
    from pyspark import InheritableThread, inheritable_thread_target

    sc.setLocalProperty("a", "b")
    sc.addJobTag("x")
    sc.addJobTag("y")
    sc.removeJobTag("x")
    assert sc.getJobTags() == {"y"}
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(sc.getLocalProperty("a")))
    thread.start()
    thread.join()
    assert seen == [None]
    assert sc.getLocalProperty("a") == "b"
    for heir in (
        InheritableThread(target=lambda: seen.append(sc.getLocalProperty("a"))),
        threading.Thread(
            target=inheritable_thread_target(lambda: seen.append(sc.getLocalProperty("a")))
        ),
    ):
        heir.start()
        heir.join()
    assert seen == [None, "b", "b"]
    sc.clearJobTags()
    assert sc.getJobTags() == set()
    sc.setLocalProperty("a", None)
    assert sc.getLocalProperty("a") is None
    with pytest.raises(ValueError, match="tag"):
        sc.addJobTag("a,b")


def test_run_job_on_some_partitions(sc: Any) -> None:
    rdd = sc.parallelize(range(6), 3)
    assert sc.runJob(rdd, lambda part: [x * x for x in part]) == [0, 1, 4, 9, 16, 25]
    assert sc.runJob(rdd, lambda part: [x * x for x in part], [0, 2], True) == [0, 1, 16, 25]


def test_deep_lineages(sc: Any) -> None:
    rdd = sc.parallelize(range(3))
    for _ in range(300):
        rdd = rdd.map(lambda x: x + 1)
    assert rdd.collect() == [300, 301, 302]
    union = sc.parallelize([1], 1)
    for _ in range(50):
        union = union.union(sc.parallelize([1], 1))
    assert union.count() == 51


async def coroutine(*arguments: Any) -> bool:
    return False


@pytest.mark.parametrize(
    "use",
    [
        lambda rdd: rdd.filter(coroutine),
        lambda rdd: rdd.map(coroutine),
        lambda rdd: rdd.mapPartitions(coroutine),
        lambda rdd: rdd.foreach(coroutine),
        lambda rdd: rdd.foreachPartition(coroutine),
        lambda rdd: rdd.reduce(coroutine),
        lambda rdd: rdd.fold(0, coroutine),
        lambda rdd: rdd.aggregate(0, coroutine, max),
        lambda rdd: rdd.treeReduce(coroutine),
        lambda rdd: rdd.groupBy(coroutine),
        lambda rdd: rdd.sortBy(coroutine),
        lambda rdd: rdd.keyBy(coroutine).reduceByKey(max),
        lambda rdd: rdd.map(lambda x: (x, x)).reduceByKey(coroutine),
        lambda rdd: rdd.map(lambda x: (x, x)).combineByKey(coroutine, max, max),
        lambda rdd: rdd.map(lambda x: (x, x)).aggregateByKey(0, coroutine, max),
        lambda rdd: rdd.map(lambda x: (x, x)).foldByKey(0, coroutine),
        lambda rdd: rdd.map(lambda x: (x, x)).partitionBy(2, coroutine),
        lambda rdd: rdd.map(lambda x: (x, x)).sortByKey(keyfunc=coroutine),
        lambda rdd: rdd.map(lambda x: (x, x)).mapValues(coroutine),
        lambda rdd: rdd.max(coroutine),
        lambda rdd: rdd.takeOrdered(1, coroutine),
        lambda rdd: rdd.top(1, coroutine),
        lambda rdd: rdd.ctx.runJob(rdd, coroutine),
    ],
)
def test_async_functions_are_refused(sc: Any, use: Callable[[Any], Any]) -> None:
    """On Spark a coroutine is dropped, or true for `filter`."""
    with pytest.raises(ValueError, match="is async: tasks call functions"):
        use(sc.parallelize([1, 2], 2))
