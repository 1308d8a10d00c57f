"""One JVM and one aflint session for the tests of a process: Spark plans for both, and each
answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import aflint
from aflint.sql.catalyst import Catalyst
from tests.sql.differential import Differential
from tests.sql.edges import write_edges


@pytest.fixture(scope="module")  # other files' sessions plan in the same JVM, one at a time
def catalyst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalyst]:
    """The JVM that plans, and that answers as Spark."""
    catalyst = Catalyst(
        {
            "spark.sql.shuffle.partitions": "3",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",  # compiling takes longer than running
            "spark.sql.session.timeZone": "America/Los_Angeles",
            "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        }
    )
    try:
        yield catalyst
    finally:
        catalyst.close()


@pytest.fixture(scope="module")  # an open session takes signals, which other files' tests send
def spark(catalyst: Catalyst, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Differential]:
    """Runs queries on Spark and on aflint, and compares their answers."""
    with asyncio.Runner() as runner:
        scratch = str(tmp_path_factory.mktemp("scratch"))
        session = runner.run(aflint.open(workers=1, progress=False, scratch_dir=scratch))
        try:
            yield Differential(catalyst, session, runner)
        finally:
            runner.run(session.aclose())


@pytest.fixture(scope="module")
def edges(spark: Differential, tmp_path_factory: pytest.TempPathFactory) -> Differential:
    """The same, with the table `t`, whose columns hold values of every type that are easy to get
    wrong.
    """
    path: Path = tmp_path_factory.mktemp("edges") / "t.parquet"
    write_edges(path)
    spark.table("t", path)
    return spark
