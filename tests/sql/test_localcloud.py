"""SQL in functions: the same answers where tasks have only what was deployed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import aflint
from tests.sql.differential import Differential
from tests.sql.tpch import QUERIES, TABLES, generate, path_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def functions(
    spark: Differential, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Differential]:
    folder: Path = tmp_path_factory.mktemp("tpch")
    generate(folder, scale=0.01, parts=2)
    for table in TABLES:
        spark.table(table, path_of(folder, table))
    (folder / "requirements.txt").write_text("duckdb\nfsspec\nnanoarrow\nnumpy\n")
    with asyncio.Runner() as runner:
        session = runner.run(
            aflint.open(
                backend="localcloud",
                transport="hybrid",
                workers=2,
                progress=False,
                requirements=str(folder / "requirements.txt"),
            )
        )
        try:
            yield Differential(spark.catalyst, session, runner)
        finally:
            runner.run(session.aclose())


@pytest.mark.parametrize("number", [1, 3, 6, 13, 16, 18])
def test_tpch_in_functions_gives_what_spark_gives(functions: Differential, number: int) -> None:
    functions.check(QUERIES[number], ordered=True)
