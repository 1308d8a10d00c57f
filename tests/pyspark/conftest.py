from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

REASON = "PySpark is not installed (make test installs it)"
collect_ignore_glob = [] if find_spec("pyspark") else ["test_*.py"]

RunProgram = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_program() -> RunProgram:
    """Run a program as `python -m aflint.pyspark` does, in a process of its own."""

    def run(
        *words: object,
        cwd: Path | None = None,
        check: bool = True,
        timeout: float = 100,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, "-m", "aflint.pyspark", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**environment, **variables},
            timeout=timeout,
        )
        if check:
            assert done.returncode == 0, done.stderr[-4000:]
        return done

    return run


@pytest.fixture(scope="module")
def sc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A context with two workers, for the tests of one module."""
    from pyspark import SparkConf, SparkContext

    import aflint.pyspark  # noqa: F401

    scratch = tmp_path_factory.mktemp("scratch")
    conf = SparkConf().set("spark.aflint.scratch_dir", str(scratch))
    conf.set("spark.aflint.task_logs", "false").set("spark.aflint.progress", "false")
    context = SparkContext("local[2]", "tests", conf=conf)
    yield context
    context.stop()
    assert not list(scratch.iterdir())


@pytest.fixture(autouse=True)
def own_properties(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no local property of one test be seen by the next."""
    yield
    if "sc" in request.fixturenames:
        context = request.getfixturevalue("sc")
        if context._jsc is not None:
            context._engine.tracker.properties.clear()
