"""What becomes of the processes that run tasks, as Spark's own tests of its workers ask."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

py4j = pytest.importorskip("py4j.protocol")


def test_cancelling_a_job_ends_its_task_and_leaves_workers_for_the_next(
    sc: Any, tmp_path: Path
) -> None:
    line = tmp_path / "line"
    os.mkfifo(line)

    def hangs(_: int) -> None:
        os.write(os.open(line, os.O_WRONLY), b"here")
        time.sleep(600)

    def run() -> None:
        with pytest.raises(py4j.Py4JJavaError, match="cancelled"):
            sc.parallelize([1], 1).foreach(hangs)

    running = threading.Thread(target=run)
    running.start()
    with line.open("rb") as end:
        assert end.read(4) == b"here"
        sc.cancelAllJobs()
        assert end.read() == b""  # the process that held the other end is gone
    running.join()
    assert sc.parallelize(range(100), 1).map(str).count() == 100


@pytest.mark.parametrize("error", [RuntimeError("中 and \xd6"), SystemExit(), KeyboardInterrupt()])
def test_an_error_of_any_kind_fails_the_job_and_not_its_worker(
    error: BaseException, sc: Any
) -> None:
    from pyspark.errors import PythonException

    def fails(_: int) -> None:
        raise error

    rdd = sc.parallelize(range(4), 1)
    before = set(sc.parallelize(range(4), 4).map(lambda _: os.getpid()).collect())
    with pytest.raises(py4j.Py4JJavaError, match=type(error).__name__) as caught:
        rdd.foreach(fails)
    assert str(error) in str(caught.value)
    assert isinstance(caught.value, PythonException)
    assert set(rdd.map(lambda _: os.getpid()).collect()) <= before


def test_workers_that_were_killed_while_idle_are_replaced(sc: Any) -> None:
    rdd = sc.parallelize(range(8), 8)
    before = set(rdd.map(lambda _: os.getpid()).collect())
    for process in before:
        os.kill(process, signal.SIGTERM)
    assert not set(rdd.map(lambda _: os.getpid()).collect()) & before


def test_a_crash_in_native_code_says_what_it_was_and_where(sc: Any) -> None:
    def crashes(_: int) -> None:
        ctypes.string_at(0)

    with pytest.raises(py4j.Py4JJavaError, match="Segmentation fault") as caught:
        sc.parallelize([1], 1).foreach(crashes)
    assert "test_worker.py" in str(caught.value)
    assert "in crashes" in str(caught.value)
    assert sc.parallelize([1], 1).count() == 1


@pytest.mark.parametrize("memory", ["1T", "1G", "1M", "1024K"])
def test_any_memory_of_python_workers_is_taken(memory: str) -> None:
    from aflint.pyspark.conf import engine_config

    config, _ = engine_config({"spark.python.worker.memory": memory})
    assert config.worker_memory_mb == {"1T": 1 << 20, "1G": 1024}.get(memory, 64)


def test_what_functions_import_of_the_adapter_needs_nothing_of_the_drivers() -> None:
    """A function's bundle has no rich, typer or aiobotocore."""
    text = """
import sys
for absent in ("rich", "typer", "aiobotocore", "botocore"):
    sys.modules[absent] = None
import aflint.pyspark.worker
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
