"""Files as Spark reads them: each is read by both, and the rows compared."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aflint.sql.scans import row_ranges
from tests.sql.differential import Differential

CSV = {
    "plain": ("a,b\n1,x\n2,y\n", {}),
    "header": ("a,b\n1,x\n2,y\n", {"header": "true"}),
    "types": ("a,b,c,d\n1,2.5,x,true\n-3,,y,false\n", {"header": "true", "inferSchema": "true"}),
    "quotes": ('a,b\n"x, y","say \\"hi\\""\n"",z\n,w\n', {"header": "true"}),
    "nulls": ("a,b\nNA,1\n,2\nx,NA\n", {"header": "true", "nullValue": "NA"}),
    "separator": ("a;b\n1;2\n", {"header": "true", "sep": ";"}),
    "line ends": ("a,b\r\n1,2\r\n3,4", {"header": "true"}),
    "short rows": ("a,b,c\n1,2,3\n4\n5,6\n", {"header": "true"}),
    "spaces": ("a,b\n  x , y \n", {"header": "true"}),
    "blank lines": ("a,b\n1,2\n\n3,4\n\n", {"header": "true"}),
    "unicode": ("a,b\né,😀\n", {"header": "true"}),
}


def _read(spark: Differential, format: str, path: Path, options: dict[str, str]) -> None:
    reader = spark.catalyst.session.read().format(format)
    for name, value in options.items():
        reader = reader.option(name, value)
    reader.load(str(path)).createOrReplaceTempView("source")


@pytest.mark.parametrize("name", CSV)
def test_csv_is_read_as_spark_reads_it(spark: Differential, tmp_path: Path, name: str) -> None:
    text, options = CSV[name]
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    _read(spark, "csv", path, options)
    spark.check("SELECT * FROM source")
    spark.check("SELECT count(*) FROM source")


def _partitioned(connection: Any, folder: Path) -> None:
    connection.execute(
        "COPY (SELECT range AS id, range % 3 AS n, ['a b', 'c=d', NULL][range % 3 + 1] AS t, "
        "DATE '2020-01-01' + (range % 2)::INTEGER AS day FROM range(60)) "
        f"TO '{folder}' (FORMAT parquet, PARTITION_BY (n, t, day))"
    )


def _columns_in_other_orders(connection: Any, folder: Path) -> None:
    folder.mkdir()
    connection.execute(f"COPY (SELECT 1 AS a, 'x' AS b) TO '{folder}/1.parquet'")
    connection.execute(f"COPY (SELECT 'y' AS b, 2 AS a) TO '{folder}/2.parquet'")


def _nested(connection: Any, folder: Path) -> None:
    connection.execute(
        "COPY (SELECT range AS id, {'x': range, 'y': {'z': [range, NULL]}} AS s, "
        f"[{{'k': range}}] AS items, map(['k'], [range]) AS m FROM range(5)) TO '{folder}' "
        "(FORMAT parquet)"
    )


def _row_groups(connection: Any, folder: Path) -> None:
    connection.execute(
        f"COPY (SELECT range AS id, range % 7 AS k, md5(range::VARCHAR) AS h FROM range(150000)) "
        f"TO '{folder}' (FORMAT parquet, ROW_GROUP_SIZE 16384)"
    )


PARQUET: dict[str, tuple[Callable[[Any, Path], None], tuple[str, ...]]] = {
    "partitions": (
        _partitioned,
        (
            "SELECT * FROM source",
            "SELECT sum(id) FROM source WHERE n = 1 AND day > '2020-01-01'",
            "SELECT count(*) FROM source JOIN VALUES (1) AS v(m) ON n = m WHERE m > 0",
        ),
    ),
    "columns in other orders": (_columns_in_other_orders, ("SELECT * FROM source",)),
    "nested": (_nested, ("SELECT * FROM source", "SELECT s.y.z FROM source")),
    "row groups": (
        _row_groups,
        ("SELECT k, count(*), sum(id) FROM source GROUP BY k",),
    ),
}


@pytest.mark.parametrize("name", PARQUET)
def test_parquet_is_read_as_spark_reads_it(spark: Differential, tmp_path: Path, name: str) -> None:
    import duckdb

    write, queries = PARQUET[name]
    path = tmp_path / "table.parquet"
    with duckdb.connect() as connection:
        write(connection, path)
    _read(spark, "parquet", path, {})
    for query in queries:
        spark.check(query)


def test_a_large_file_is_read_in_parts_of_whole_row_groups(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "large.parquet"
    with duckdb.connect() as connection:
        _row_groups(connection, path)
    parts = list(row_ranges(str(path), path.stat().st_size // 3))
    assert len(parts) > 2
    assert parts[0][0] == 0
    assert parts[-1][1] == 149999
    assert all(before[1] + 1 == after[0] for before, after in pairwise(parts))
    assert list(row_ranges(str(path), 1 << 40)) == [(0, 149999)]
