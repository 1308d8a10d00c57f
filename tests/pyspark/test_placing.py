"""How many partitions there are, and which records may be placed by their key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import Row

COUNTED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "parallelize": lambda sc, pairs, n: sc.parallelize([1, 2, 3], n),
    "parallelize a range": lambda sc, pairs, n: sc.parallelize(range(3), n),
    "range": lambda sc, pairs, n: sc.range(0, 10, 1, n),
    "textFile": lambda sc, pairs, n: sc.textFile(__file__, n),
    "repartition": lambda sc, pairs, n: pairs.repartition(n),
    "coalesce": lambda sc, pairs, n: pairs.coalesce(n),
    "coalesce with a shuffle": lambda sc, pairs, n: pairs.coalesce(n, True),
    "partitionBy": lambda sc, pairs, n: pairs.partitionBy(n),
    "combineByKey": lambda sc, pairs, n: pairs.combineByKey(int, max, max, n),
    "reduceByKey": lambda sc, pairs, n: pairs.reduceByKey(max, n),
    "foldByKey": lambda sc, pairs, n: pairs.foldByKey(0, max, n),
    "aggregateByKey": lambda sc, pairs, n: pairs.aggregateByKey(0, max, max, n),
    "groupByKey": lambda sc, pairs, n: pairs.groupByKey(n),
    "groupBy": lambda sc, pairs, n: pairs.groupBy(str, n),
    "distinct": lambda sc, pairs, n: pairs.distinct(n),
    "join": lambda sc, pairs, n: pairs.join(pairs, n),
    "leftOuterJoin": lambda sc, pairs, n: pairs.leftOuterJoin(pairs, n),
    "rightOuterJoin": lambda sc, pairs, n: pairs.rightOuterJoin(pairs, n),
    "fullOuterJoin": lambda sc, pairs, n: pairs.fullOuterJoin(pairs, n),
    "cogroup": lambda sc, pairs, n: pairs.cogroup(pairs, n),
    "subtract": lambda sc, pairs, n: pairs.subtract(pairs, n),
    "subtractByKey": lambda sc, pairs, n: pairs.subtractByKey(pairs, n),
    "sortByKey": lambda sc, pairs, n: pairs.sortByKey(True, n),
    "sortBy": lambda sc, pairs, n: pairs.sortBy(str, True, n),
    "repartitionAndSortWithinPartitions": lambda sc, pairs, n: (
        pairs.repartitionAndSortWithinPartitions(n)
    ),
}


@pytest.fixture(scope="module")
def pairs(sc: Any) -> Any:
    return sc.parallelize([(i, i) for i in range(8)], 4)


@pytest.mark.parametrize("name", COUNTED)
def test_a_number_of_partitions_may_be_numpys_or_a_whole_float(
    sc: Any, pairs: Any, name: str
) -> None:
    for count in (np.int64(2), 4 / 2, np.float64(2)):
        made = COUNTED[name](sc, pairs, count)
        assert (type(made.getNumPartitions()), made.getNumPartitions()) == (int, 2)
        assert len(made.glom().collect()) == 2


@pytest.mark.parametrize("name", COUNTED)
def test_numbers_of_partitions_that_cannot_be(sc: Any, pairs: Any, name: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        COUNTED[name](sc, pairs, -1)
    with pytest.raises((TypeError, ValueError)):
        COUNTED[name](sc, pairs, "two")
    if "range" in name or "parallelize" in name:  # where PySpark itself converts what it is given
        return
    for wrong in (True, 2.5, "2"):
        with pytest.raises(TypeError, match="must be an integer"):
            COUNTED[name](sc, pairs, wrong)


def test_least_numbers_of_partitions(sc: Any, pairs: Any, tmp_path: Any) -> None:
    pairs.saveAsPickleFile(str(tmp_path / "pickled"))
    for least in (np.int64(2), 4 / 2, 0, None):
        assert sc.wholeTextFiles(__file__, least).count() == 1
        assert sc.binaryFiles(__file__, least).count() == 1
        assert sc.pickleFile(str(tmp_path / "pickled"), least).count() == 8
    assert sc.runJob(pairs, list, np.array([0])) == [(0, 0), (1, 1)]


PLACING: dict[str, Callable[[Any], Any]] = {
    "partitionBy": lambda rdd: rdd.partitionBy(2),
    "sortByKey": lambda rdd: rdd.sortByKey(True, 2),
    "repartitionAndSortWithinPartitions": lambda rdd: rdd.repartitionAndSortWithinPartitions(2),
}


@pytest.mark.parametrize("name", PLACING)
def test_what_has_two_parts_is_placed_as_a_tuple(sc: Any, name: str) -> None:
    for record in ([1, 2], Row(key=1, value=2), np.array([1, 2])):
        (found,) = PLACING[name](sc.parallelize([record])).collect()
        assert type(found) is tuple
        assert found == (1, 2)
    assert PLACING[name](sc.parallelize(["ab"])).collect() == [("a", "b")]


@pytest.mark.parametrize("name", PLACING)
@pytest.mark.parametrize("record", [(1, 2, 3), [1, 2, 3], (1,), "abc"])
def test_what_has_not_two_parts_is_not_placed(sc: Any, name: str, record: Any) -> None:
    with pytest.raises(PySparkRuntimeError, match=r"values to unpack \(expected 2"):
        PLACING[name](sc.parallelize([record])).collect()


def test_pairs_sorted_in_one_partition_stay_as_they_are(sc: Any) -> None:
    assert sc.parallelize([[2, 1], [1, 2]], 1).sortByKey(True, 1).collect() == [[1, 2], [2, 1]]
