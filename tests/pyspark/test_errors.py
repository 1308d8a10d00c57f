"""What goes wrong is said in PySpark's terms: which error it is, and where in the program."""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkRuntimeError, SparkRuntimeException

from aflint.errors import (
    AttemptError,
    ClosureError,
    OutputExistsError,
    PathNotFoundError,
    SerializationError,
    TaskError,
)
from aflint.pyspark.errors import analysis_exception, as_spark
from aflint.sql.errors import QueryError

HERE = Path(__file__).name


@pytest.fixture(scope="module")
def numbers(sc: Any) -> Any:
    return sc.parallelize(range(4), 2)


UNPICKLABLE: dict[str, Callable[[Any], Any]] = {
    "result": lambda rdd: rdd.map(lambda x: threading.Lock()).collect(),
    "record": lambda rdd: rdd.map(lambda x: (x, threading.Lock())).groupByKey().count(),
    "value": lambda rdd: rdd.map(lambda x: threading.Lock()).reduce(lambda a, b: a),
    "generator": lambda rdd: rdd.map(lambda x: (y for y in [x])).collect(),
}


@pytest.mark.parametrize("name", UNPICKLABLE)
def test_what_a_task_cannot_pickle_is_an_error_of_its_job(numbers: Any, name: str) -> None:
    with pytest.raises(Py4JJavaError, match=r"cannot pickle") as caught:
        UNPICKLABLE[name](numbers)
    assert isinstance(caught.value, SerializationError)
    assert not isinstance(caught.value, pickle.PicklingError)
    assert caught.value.partition in (0, 1)
    assert f"(in partition {caught.value.partition} of stage 0, attempt 0)" in str(caught.value)
    assert f" at {HERE}:" in str(caught.value)


def test_what_the_driver_cannot_pickle_is_a_pickling_error(sc: Any, numbers: Any) -> None:
    lock = threading.Lock()
    asked: list[Callable[[], Any]] = [
        lambda: numbers.map(lambda x: lock).collect(),
        lambda: sc.parallelize([lock]),
        lambda: sc.broadcast(lock),
    ]
    for ask in asked:
        with pytest.raises(pickle.PicklingError, match="Could not serialize") as caught:
            ask()
        assert not isinstance(caught.value, Py4JJavaError)


def test_whose_error_it_is_goes_by_its_type_and_not_by_its_text() -> None:
    told = "where the task runs, generator raised StopIteration"
    assert isinstance(as_spark(ClosureError(told)), pickle.PicklingError)
    in_task = ClosureError("no words")
    in_task.partition = 3
    assert isinstance(as_spark(in_task), Py4JJavaError)
    for error in (TaskError(told), AttemptError(told)):
        assert str(as_spark(error)) == told
    assert "Caught StopIteration thrown from user's code" in str(
        as_spark(TaskError("no words", raised="StopIteration"))
    )


def test_stop_iteration_is_said_as_on_spark(numbers: Any) -> None:
    def stop(*_: Any) -> Any:
        raise StopIteration

    pairs = numbers.map(lambda x: (x % 2, x))
    for job in (
        numbers.map(stop).collect,
        numbers.filter(stop).count,
        numbers.mapPartitions(lambda records: map(stop, records)).collect,
        pairs.reduceByKey(stop).collect,
        pairs.aggregateByKey(0, stop, stop).collect,
        lambda: numbers.foreach(stop),
        lambda: numbers.reduce(stop),
    ):
        with pytest.raises(
            Py4JJavaError, match="Caught StopIteration thrown from user's code; failing the task"
        ):
            job()


CAPTURED: dict[str, Callable[[Any, Any], Any]] = {
    "SparkContext": lambda sc, rdd: rdd.map(lambda x: sc.parallelize([x]).count()).collect(),
    "an attribute": lambda sc, rdd: rdd.map(_Holder(sc).method).collect(),
    "a broadcast": lambda sc, rdd: sc.broadcast(sc),
    "a record": lambda sc, rdd: sc.parallelize([sc]),
}


class _Holder:
    def __init__(self, held: Any) -> None:
        self.held = held

    def method(self, x: int) -> int:
        return x


@pytest.mark.parametrize("name", CAPTURED)
def test_a_context_in_a_function_is_refused_as_spark_refuses_it(
    sc: Any, numbers: Any, name: str
) -> None:
    with pytest.raises(
        pickle.PicklingError,
        match=r"It appears that you are attempting to reference SparkContext(.|\n)*SPARK-5063\.$",
    ):
        CAPTURED[name](sc, numbers)


def test_an_rdd_in_a_function_is_refused_as_spark_refuses_it(sc: Any, numbers: Any) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: numbers.map(lambda x: numbers.count()).collect(),
        lambda: sc.broadcast(numbers),
        lambda: sc.parallelize([numbers]),
    ]
    for ask in asked:
        with pytest.raises(
            pickle.PicklingError,
            match=r"It appears that you are attempting to broadcast an RDD(.|\n)*SPARK-5063\.$",
        ):
            ask()


WRONG: Any = 5
NOT_CALLABLE: dict[str, Callable[[Any], Any]] = {
    "map": lambda rdd: rdd.map(WRONG).collect(),
    "filter": lambda rdd: rdd.filter(WRONG).collect(),
    "flatMap": lambda rdd: rdd.flatMap(WRONG).collect(),
    "mapPartitions": lambda rdd: rdd.mapPartitions(WRONG).collect(),
    "mapPartitionsWithIndex": lambda rdd: rdd.mapPartitionsWithIndex(WRONG).collect(),
    "keyBy": lambda rdd: rdd.keyBy(WRONG).collect(),
    "mapValues": lambda rdd: rdd.keyBy(str).mapValues(WRONG).collect(),
    "reduceByKey": lambda rdd: rdd.keyBy(bool).reduceByKey(WRONG).collect(),
    "aggregateByKey": lambda rdd: rdd.keyBy(bool).aggregateByKey(0, WRONG, WRONG).collect(),
    "sortBy": lambda rdd: rdd.sortBy(WRONG, True, 1).collect(),
    "groupBy": lambda rdd: rdd.groupBy(WRONG).collect(),
    "foreach": lambda rdd: rdd.foreach(WRONG),
    "reduce": lambda rdd: rdd.reduce(WRONG),
    "fold": lambda rdd: rdd.fold(0, WRONG),
    "aggregate": lambda rdd: rdd.aggregate(0, WRONG, WRONG),
}


@pytest.mark.parametrize("name", NOT_CALLABLE)
def test_what_is_no_function_is_named_with_its_line(numbers: Any, name: str) -> None:
    with pytest.raises(
        Py4JJavaError,
        match=rf"'int' object is not callable: {name} at {HERE}:\d+ was given 5, not a function",
    ):
        NOT_CALLABLE[name](numbers)


ARITY: dict[str, Callable[[Any], Any]] = {
    "map": lambda rdd: rdd.map(WRONG_ARITY).collect(),
    "filter": lambda rdd: rdd.filter(WRONG_ARITY).collect(),
    "mapPartitions": lambda rdd: rdd.mapPartitions(WRONG_ARITY).collect(),
    "mapPartitionsWithIndex": lambda rdd: rdd.mapPartitionsWithIndex(WRONG_ARITY).collect(),
    "reduceByKey": lambda rdd: rdd.keyBy(bool).reduceByKey(WRONG_ARITY).collect(),
    "combineByKey": lambda rdd: rdd.keyBy(bool).combineByKey(int, WRONG_ARITY, max).collect(),
    "reduce": lambda rdd: rdd.reduce(WRONG_ARITY),
    "foreach": lambda rdd: rdd.foreach(WRONG_ARITY),
    "method": lambda rdd: rdd.map(_Wrong().method).collect(),
}


GIVEN = {name: name for name in ARITY if name not in ("reduce", "foreach")} | {"method": "map"}
"""Where PySpark's own code does not stand between the program and the function."""


class _Wrong:
    def method(self, a: Any, b: Any, c: Any) -> None: ...


WRONG_ARITY: Any = lambda a, b, c: a  # noqa: E731


@pytest.mark.parametrize("name", ARITY)
def test_a_function_that_takes_other_arguments_is_shown(numbers: Any, name: str) -> None:
    with pytest.raises(
        Py4JJavaError, match=rf'missing \d required(.|\n)*{HERE}", line \d+, in (<lambda>|method)'
    ) as caught:
        ARITY[name](numbers)
    assert "aflint/executor" not in str(caught.value)
    if name in GIVEN:
        assert re.search(
            rf"{GIVEN[name]} at {HERE}:\d+ was given (a lambda|.*method)", str(caught.value)
        )


def test_messages_are_in_pysparks_terms(sc: Any, numbers: Any) -> None:
    for job in (
        numbers.flatMap(lambda x: x).collect,
        numbers.mapPartitions(lambda x: 5).collect,
        numbers.reduceByKey(min).collect,
        numbers.map(lambda x: None if x else "a").top,
        lambda *_: numbers.map(lambda x: None if x else "a").sortBy(lambda x: x).collect(),
    ):
        with pytest.raises(PySparkRuntimeError) as caught:
            job(*([2] if job.__name__ == "top" else []))
        for name in ("flat_map", "map_partitions", "key_by", "sort_by", "key_func"):
            assert name not in str(caught.value)


def test_missing_input_is_said_as_hadoop_says_it(
    sc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    absent = f"file:{tmp_path}/absent"
    for path in ("absent", str(tmp_path / "absent"), absent, f"{__file__},absent"):
        for read in (sc.textFile, sc.wholeTextFiles, sc.binaryFiles, sc.pickleFile):
            for method in ("count", "getNumPartitions"):
                with pytest.raises(
                    Py4JJavaError, match=f"Input path does not exist: {absent}"
                ) as caught:
                    getattr(read(path), method)()
                assert isinstance(caught.value, PathNotFoundError)
    with pytest.raises(Py4JJavaError, match=rf"Input Pattern {absent}/x\* matches 0 files"):
        sc.textFile("absent/x*").count()


def test_an_output_that_is_there_is_said_as_hadoop_says_it(numbers: Any, tmp_path: Path) -> None:
    numbers.saveAsTextFile(str(tmp_path / "out"))
    for save in (numbers.saveAsTextFile, numbers.saveAsPickleFile):
        with pytest.raises(
            Py4JJavaError,
            match=f"FileAlreadyExistsException: Output directory file:{tmp_path}/out already",
        ) as caught:
            save(str(tmp_path / "out"))
        assert isinstance(caught.value, OutputExistsError)


def test_an_error_of_a_query_is_told_apart_as_on_spark() -> None:
    raised = as_spark(QueryError("[USER_RAISED_EXCEPTION] boo"))
    assert isinstance(raised, SparkRuntimeException)
    assert raised.getCondition() == "USER_RAISED_EXCEPTION"
    missing = analysis_exception("[PATH_NOT_FOUND] Path does not exist: file:/a")
    assert (missing.getCondition(), str(missing)[:16]) == ("PATH_NOT_FOUND", "[PATH_NOT_FOUND]")
