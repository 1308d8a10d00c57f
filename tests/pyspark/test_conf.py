"""What Spark's own settings do on aflint, and which are warned of as doing nothing."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aflint.config import cpu_count
from aflint.errors import ConfigError
from aflint.pyspark.conf import engine_config
from aflint.pyspark.unheeded import UNHEEDED, warn_of_unheeded

DOCS = Path(__file__).parents[2] / "docs" / "pyspark.md"

Context = Callable[..., Any]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """Makes contexts one after the other; the last is stopped."""
    from pyspark import SparkConf, SparkContext

    import aflint.pyspark  # noqa: F401

    made: list[Any] = []

    def make(master: str, **settings: str) -> Any:
        conf = SparkConf().set("spark.aflint.scratch_dir", str(tmp_path / "scratch"))
        conf.set("spark.aflint.progress", "false").set("spark.aflint.task_logs", "false")
        for key, value in settings.items():
            conf.set(key.replace("__", "."), value)
        made.append(SparkContext(master, "tests", conf=conf))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.mark.parametrize(
    ("master", "settings", "attempts"),
    [
        ("local", {}, 1),
        ("local[1]", {}, 1),
        ("local[*, 3]", {}, 3),
        ("local[1,0]", {}, 1),
        ("local[1]", {"spark.task.maxFailures": "3"}, 1),
        ("yarn", {}, 4),
        ("k8s://host", {"spark.task.maxFailures": "2"}, 2),
        ("local-cluster[1,1,1024]", {"spark.task.maxFailures": "1"}, 1),
        ("local[1,3]", {"spark.aflint.retry_user_errors": "false"}, 1),
    ],
)
def test_a_task_fails_as_often_as_the_master_says_before_its_job_does(
    master: str, settings: dict[str, str], attempts: int
) -> None:
    config, _ = engine_config({"spark.master": master, **settings})
    assert (config.max_attempts if config.retry_user_errors else 1) == attempts


def test_a_task_is_tried_no_more_often_than_that(context: Context, tmp_path: Path) -> None:
    from pyspark import TaskContext

    def fails(x: int) -> None:
        (tmp_path / f"attempt-{TaskContext.get().attemptNumber()}").touch()
        raise ValueError(x)

    with pytest.raises(Exception, match="ValueError"):
        context("local[1,3]").parallelize([1], 1).foreach(fails)
    assert len(list(tmp_path.glob("attempt-*"))) == 3


def test_a_task_that_fails_once_succeeds_where_the_master_allows_it(context: Context) -> None:
    from pyspark import TaskContext

    def fails_first(x: int) -> tuple[int, int]:
        task = TaskContext.get()
        if task.attemptNumber() == 0 and task.partitionId() == 0:
            raise ValueError("the first time")
        return x, task.attemptNumber()

    rdd = context("local[2,2]").parallelize(range(4), 2)
    assert rdd.map(fails_first).collect() == [(0, 1), (1, 1), (2, 0), (3, 0)]


def test_on_lambda_the_cluster_setting_counts_and_user_errors_are_not_retried_by_default() -> None:
    aws = {"spark.master": "local[*]", "spark.aflint.backend": "aws", "spark.aflint.bucket": "b-b"}
    config, _ = engine_config(aws)
    assert (config.retry_user_errors, config.max_attempts) == (False, 4)
    config, _ = engine_config({**aws, "spark.task.maxFailures": "6"})
    assert (config.retry_user_errors, config.max_attempts) == (True, 6)


@pytest.mark.parametrize("master", ["nonsense", "local[x]", "local[2", "local[0]", "mesos:host"])
def test_a_master_that_spark_cannot_parse_is_an_error(master: str, context: Context) -> None:
    with pytest.raises(ConfigError, match=r"Could not parse Master URL|0 threads"):
        context(master)


@pytest.mark.parametrize(
    ("master", "cpus", "at_once", "whole"),
    [
        ("local[4]", "1", 4, 1),
        ("local[4]", "2", 2, 2),
        ("local[4]", "3", 1, 3),
        ("local[4]", "1.5", 2, 2),
        ("local[2]", "0.5", 4, 1),
    ],
)
def test_fewer_tasks_run_at_once_when_each_needs_more_cpus(
    master: str, cpus: str, at_once: int, whole: int
) -> None:
    config, tasks = engine_config({"spark.master": master, "spark.task.cpus": cpus})
    assert config.workers == tasks.at_once == at_once
    assert tasks.cores == int(master[6])


def test_tasks_know_their_cpus_and_parallelism_stays_that_of_the_cores(context: Context) -> None:
    from pyspark import TaskContext

    def seen(_: int) -> tuple[int, Any, str, int]:
        task = TaskContext.get()
        exact = task._cpuAmount  # cpuAmount(), which is new in PySpark 4.3
        return task.cpus(), exact, os.environ["OMP_NUM_THREADS"], os.getpid()

    sc = context("local[3]", spark__task__cpus="2")
    assert sc.defaultParallelism == 3
    found = sc.parallelize(range(3), 3).map(seen).collect()
    assert {each[:3] for each in found} == {(2, Decimal(2), "2")}
    assert len({each[3] for each in found}) == 1  # one worker: never two tasks at once


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spark.task.cpus": "3"}, r"cores \(=2\) has to be >= .*spark\.task\.cpus=3"),
        ({"spark.task.cpus": "many"}, r"spark\.task\.cpus: 'many'"),
        ({"spark.task.cpus": "0"}, r"spark\.task\.cpus: '0'"),
        ({"spark.task.cpus": "NaN"}, r"spark\.task\.cpus: 'NaN'"),
        ({"spark.task.resource.gpu.amount": "1"}, r"spark\.task\.resource\.gpu\.amount"),
        ({"spark.master": "yarn", "spark.task.maxFailures": "x"}, r"spark\.task\.maxFailures"),
        ({"spark.executor.pyspark.memory": "much"}, r"spark\.executor\.pyspark\.memory: 'much'"),
        ({"spark.python.worker.memory": "much"}, r"spark\.python\.worker\.memory: 'much'"),
        ({"spark.speculation": "maybe"}, r"spark\.speculation"),
        ({"spark.speculation.quantile": "2"}, r"spark\.speculation\.quantile"),
    ],
)
def test_wrong_values_of_sparks_settings_are_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        engine_config({"spark.master": "local[2]", **settings})


def test_memory_of_python_is_the_most_that_a_task_may_have(context: Context) -> None:
    sc = context("local[1]", spark__executor__pyspark__memory="1g")
    limits = sc.parallelize([0], 1).map(lambda _: resource.getrlimit(resource.RLIMIT_AS))
    assert limits.collect() == [(1 << 30, 1 << 30)]
    with pytest.raises(Exception, match="MemoryError"):
        sc.parallelize([0], 1).map(lambda _: len(bytearray(2 << 30))).collect()


@pytest.mark.parametrize(
    ("settings", "memory_mb"),
    [
        ({}, None),
        ({"spark.executor.pyspark.memory": "700"}, 700),
        ({"spark.executor.pyspark.memory": "2g", "spark.executor.cores": "2"}, 1024),
        ({"spark.executor.pyspark.memory": "2g", "spark.task.cpus": "0.5"}, 1024),
        ({"spark.executor.pyspark.memory": "2g", "spark.task.cpus": "2"}, 2048),
    ],
)
def test_memory_of_python_is_shared_by_the_cores_of_an_executor(
    settings: dict[str, str], memory_mb: int | None
) -> None:
    config, tasks = engine_config({"spark.master": "local[2]", **settings})
    assert tasks.memory_mb == memory_mb
    assert config.worker_memory_mb == min(1024, memory_mb or 1024)  # it spills before the limit


def test_settings_that_mean_the_same_here_are_taken_over() -> None:
    config, _ = engine_config(
        {
            "spark.master": "local[*]",
            "spark.python.worker.memory": "300m",
            "spark.executor.memory": "2g",
            "spark.speculation": "true",
            "spark.speculation.quantile": "0.5",
            "spark.speculation.multiplier": "3",
            "spark.checkpoint.dir": "/tmp/kept",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": "/tmp/a,/tmp/b",
        }
    )
    assert config.workers == cpu_count()
    assert config.worker_memory_mb == 300
    assert config.speculation
    assert (config.speculation_quantile, config.speculation_multiplier) == (0.5, 3)
    assert config.checkpoint_dir == "/tmp/kept"
    assert config.progress is False
    assert config.scratch_dir == "/tmp/a"


def test_settings_of_aflints_own_win_over_sparks() -> None:
    config, _ = engine_config(
        {
            "spark.master": "local[1,3]",
            "spark.python.worker.memory": "300m",
            "spark.aflint.worker_memory_mb": "400",
            "spark.aflint.max_attempts": "2",
        }
    )
    assert (config.worker_memory_mb, config.max_attempts) == (400, 2)
    assert config.retry_user_errors


@contextmanager
def warnings_in(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    found: list[str] = []
    with caplog.at_level(logging.WARNING, logger="aflint.pyspark"):
        yield found
    found += [record.getMessage() for record in caplog.records]


def test_settings_without_effect_that_would_change_a_program_are_warned_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", "./environment/bin/python")
    conf = {key.replace("*", "some"): "x" for key in UNHEEDED if "=" not in key}
    conf |= dict(key.split("=") for key in UNHEEDED if "=" in key)
    with warnings_in(caplog) as found:
        warn_of_unheeded(conf)
    assert sorted(message.split(" has no effect")[0] for message in found) == sorted(conf)


def test_settings_that_only_tune_spark_or_ask_for_what_is_so_are_not_warned_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", os.path.basename(sys.executable))
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    with warnings_in(caplog) as found:
        warn_of_unheeded(
            {
                "spark.master": "local[2]",
                "spark.python.worker.reuse": "true",
                "spark.python.profile": "false",
                "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
                "spark.shuffle.compress": "false",
                "spark.sql.shuffle.partitions": "8",
                "spark.pyspark.python": sys.executable,
            }
        )
    assert not found


def test_more_cpus_for_a_task_are_warned_of_where_functions_have_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with warnings_in(caplog) as found:
        config, _ = engine_config({"spark.aflint.backend": "localcloud", "spark.task.cpus": "64"})
    assert ["spark.task.cpus has no effect on localcloud" in message for message in found] == [True]
    assert config.workers == cpu_count()


def test_the_documentation_names_every_setting_that_is_warned_of() -> None:
    text = DOCS.read_text()
    assert [key for key in UNHEEDED if f"`{key}`" not in text] == []


def test_profiles_of_resources_are_refused_as_on_sparks_local_master(context: Context) -> None:
    from py4j.protocol import Py4JJavaError
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    rdd = context("local[1]").parallelize([1])
    assert rdd.getResourceProfile() is None
    with pytest.raises(Py4JJavaError, match="ResourceProfiles are only supported"):
        rdd.withResources(profile)


def test_options_for_the_shell_are_read_from_the_environment(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "--name notebook --conf spark.x='a b' --conf spark.aflint.workers=3 pyspark-shell"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", options)
    from pyspark import SparkConf

    assert SparkConf().get("spark.app.name") == "notebook"
    sc = context("local[1]")
    assert (sc.getConf().get("spark.x"), sc.defaultParallelism) == ("a b", 3)
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--jars x.jar pyspark-shell")
    with pytest.raises(ConfigError, match="without a JVM"):
        SparkConf()


def test_spark_says_whether_and_where_an_event_log_goes() -> None:
    asked = {"spark.eventLog.enabled": "true"}
    assert engine_config(asked)[0].event_log == "/tmp/spark-events"
    there = engine_config({**asked, "spark.eventLog.dir": "s3a://logs/spark"})[0]
    assert there.event_log == "s3://logs/spark"
    assert engine_config({"spark.eventLog.dir": "/x"})[0].event_log is None
