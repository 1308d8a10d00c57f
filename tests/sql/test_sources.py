"""Files as Spark reads them: each is read by both, and the rows compared."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aflint.sql.errors import QueryError
from aflint.sql.scans import row_ranges
from tests.sql.differential import Differential
from tests.sql.files import Files


@pytest.fixture(scope="module")
def files(spark: Differential) -> Files:
    return Files(spark)


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
    "quotes that do not end": ('a,b\n"x,1\n"y"z,2\nq"r",3\n', {"header": "true"}),
    "doubled quotes": ('a,b\n"say ""hi""",1\n', {"header": "true", "escape": '"'}),
    "comments": ("a,b\n#no,1\nx,2\n", {"header": "true", "comment": "#"}),
    "whitespace left out": (
        "a,b\n 1 , x \n",
        {"header": "true", "ignoreLeadingWhiteSpace": "true", "ignoreTrailingWhiteSpace": "true"},
    ),
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


JSON: dict[str, tuple[str, dict[str, str], str]] = {
    "inferred": (
        '{"a": 1, "b": "x", "c": 2.5, "d": true}\n\n{"b": null, "a": -7}\n'
        '{"c": 1, "e": "\\u00e9"}\n',
        {},
        "",
    ),
    "nested": (
        '{"s": {"x": 1, "y": [1, 2]}, "l": [{"k": "v"}, {}]}\n{"s": null, "l": []}\n',
        {},
        "",
    ),
    "a schema": (
        '{"a": 1, "d": "2020-02-30", "t": "2020-01-01 10:00:00", "n": 1.25, "m": {"k": 1}}\n'
        '{"a": "1", "d": "2020-02-28", "t": "nope", "n": 7}\n{"a": 3000000000, "s": 12, "b": 1}\n',
        {},
        "a INT, d DATE, t TIMESTAMP, n DECIMAL(5, 2), s STRING, b BOOLEAN, m MAP<STRING, INT>",
    ),
    "objects as text": (
        '{"a": {"x":[1,2]}}\n{"a": "t"}\n{"a": 1.50}\n{"a": false}\n'
        '{"a": [1, {"b" : 1e5}]}\n{"a": -7}\n{"a": {}}\n',
        {},
        "a STRING",
    ),
    "bad rows": (
        '{"a": 1, "b": "x"}\nnot json\n{"a": 2,\n5\n{"a": "t", "b": "y"}\n{"b": "z"}\n',
        {},
        "a INT, b STRING, _corrupt_record STRING",
    ),
    "bad rows dropped": (
        '{"a": 1, "b": "x"}\nnot json\n{"a": "t", "b": "y"}\n',
        {"mode": "DROPMALFORMED"},
        "a INT, b STRING",
    ),
    **{
        f"bad parts, {mode}": (
            '{"s": {"x": 1, "y": ["a"]}, "m": {"k": {"z": 1.5}}, "l": [1], "n": [{"d": "x"}]}\n'
            '{"s": {"x": "t", "y": ["a"]}}\n{"s": {"y": "t"}}\n{"s": []}\n{"l": [1, "t"]}\n'
            '{"m": {"k": {"z": "t"}, "j": {"z": 2}}}\n{"n": [{"d": "2020-01-01"}, null, 5]}\n'
            '{"n": [{"d": "2020-01-01"}], "m": null, "l": []}\n{"l": {}, "s": {"x": 1}}\n'
            'not json\n{"s": {"x": 7,\n',
            {"mode": mode},
            "s STRUCT<x: INT, y: ARRAY<STRING>>, m MAP<STRING, STRUCT<z: DOUBLE>>, l ARRAY<INT>, "
            "n ARRAY<STRUCT<d: DATE>>" + ", _corrupt_record STRING" * (mode == "PERMISSIVE"),
        )
        for mode in ("PERMISSIVE", "DROPMALFORMED")
    },
    "values of one name": (
        '{"a": 1, "a": 2, "s": {"x": 1, "x": 3}, "m": {"k": 1, "k": 5}, "l": [{"x": 4, "x": 6}]}\n'
        '{"a": 1, "a": null, "s": {"x": 1}, "s": {"y": {"z": 1, "z": 2}}, "m": {"k": {"j": 1}}}\n',
        {},
        "a INT, s STRUCT<x: INT, y: STRUCT<z: INT>>, m MAP<STRING, INT>, l ARRAY<STRUCT<x: INT>>, "
        "_corrupt_record STRING",
    ),
    "many lines": ('[{"a": 1,\n"b": "x"},\n {"a": 2}]', {"multiLine": "true"}, ""),
}


@pytest.mark.parametrize("name", JSON)
def test_json_is_read_as_spark_reads_it(files: Files, tmp_path: Path, name: str) -> None:
    text, options, schema = JSON[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "table.json").write_text(text)
    (tmp_path / "in" / "table.json.gz").write_bytes(gzip.compress(text.encode()))
    files.read("json", tmp_path / "in", options, schema)
    files.spark.check("SELECT * FROM source")
    first = files.spark.frame("SELECT * FROM source").columns()[0]
    files.spark.check(f"SELECT `{first}` FROM source")


def test_a_bad_row_of_json_fails_where_it_is_to(files: Files, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"a": 1}\n{"a": \n')
    files.read("json", tmp_path, {"mode": "FAILFAST"}, "a INT")
    with pytest.raises(QueryError, match="MALFORMED_RECORD_IN_PARSING"):
        files.spark.aflint("SELECT a FROM source")


@pytest.mark.parametrize("whole", ["true", "false"])
def test_text_is_read_as_spark_reads_it(files: Files, tmp_path: Path, whole: str) -> None:
    for day in (1, 2):
        (tmp_path / f"day={day}").mkdir()
        (tmp_path / f"day={day}" / "a.txt").write_bytes("é\r\n\n x \rlast".encode())
        (tmp_path / f"day={day}" / "_hidden").write_text("no")
    files.read("text", tmp_path, {"wholetext": whole})
    files.spark.check("SELECT * FROM source")
    files.spark.check("SELECT count(*), max(day) FROM source WHERE day = 2")


def test_lines_are_cut_between_tasks_and_none_is_lost(files: Files, tmp_path: Path) -> None:
    lines = [f'{{"id": {n}, "t": "{"x" * (n % 90)}"}}\n' for n in range(60_000)]
    (tmp_path / "large.json").write_text("".join(lines))
    files.read("json", tmp_path, {}, "id LONG, t STRING")
    whole = files.spark.settings
    files.spark.settings = replace(whole, split_bytes=100_001)
    try:
        files.spark.check(
            "SELECT count(*), sum(id), count(DISTINCT id), sum(length(t)) FROM source"
        )
    finally:
        files.spark.settings = whole


def test_options_that_would_change_what_is_read_are_refused(files: Files, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"a": 1}\n')
    files.read("json", tmp_path, {"allowComments": "true"}, "a INT")
    assert "allowcomments" in str(files.spark.refused("SELECT * FROM source"))


BAD_CSV = "1,x,2020-01-01\n t,y,2020-01-02\n3,z\n4,w,2020-01-04,more\n5,v,2020-02-31\n,,\n6,u,\n"
SCHEMA = "a INT, b STRING, d DATE"


@pytest.mark.parametrize("mode", ["PERMISSIVE", "DROPMALFORMED"])
def test_bad_rows_of_csv_go_by_the_mode(files: Files, tmp_path: Path, mode: str) -> None:
    (tmp_path / "table.csv").write_text(BAD_CSV)
    for schema in (SCHEMA, f"{SCHEMA}, _corrupt_record STRING"):
        files.read("csv", tmp_path, {"mode": mode}, schema)
        files.spark.check("SELECT * FROM source")
        files.spark.check("SELECT b, d FROM source")
        files.spark.check("SELECT count(*) FROM source")


def test_a_bad_row_of_csv_fails_where_it_is_to(files: Files, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(BAD_CSV)
    files.read("csv", tmp_path, {"mode": "FAILFAST"}, SCHEMA)
    with pytest.raises(QueryError, match="MALFORMED_RECORD_IN_PARSING"):
        files.spark.aflint("SELECT a FROM source")
    files.spark.check("SELECT b FROM source")


def test_values_of_csv_are_read_as_spark_reads_them(files: Files, tmp_path: Path) -> None:
    values = (
        "1", "-1", "+1", " 1", "1.5", "1e3", "NaN", "Inf", "-Infinity", "inf", "true", "T", "yes",
        "2020-01-01", "2020-1-1", "2020-01-01 10:00:00", "2020-01-01T10:00:00Z", "x", "007", "1d",
        "99999999999", ".5", "1_0", "0x1F",
    )  # fmt: skip
    kinds = ("INT", "BIGINT", "DOUBLE", "FLOAT", "BOOLEAN", "DATE", "TIMESTAMP", "DECIMAL(9, 2)")
    rows = "".join(",".join([value] * (len(kinds) + 1)) + "\n" for value in values)
    (tmp_path / "table.csv").write_text(rows)
    schema = ", ".join(f"c{i} {kind}" for i, kind in enumerate(kinds))
    files.read("csv", tmp_path, {}, f"t STRING, {schema}")
    files.spark.check("SELECT * FROM source")


def _parquet(folder: Path, *selects: str) -> Path:
    import duckdb

    folder.mkdir()
    with duckdb.connect() as connection:
        for number, select in enumerate(selects):
            connection.execute(f"COPY (SELECT {select}) TO '{folder}/{number}.parquet'")
    return folder


@pytest.mark.parametrize("options", [{}, {"mergeSchema": "true"}], ids=str)
def test_a_column_that_a_file_has_not_is_null_in_its_rows(
    files: Files, tmp_path: Path, options: dict[str, str]
) -> None:
    path = _parquet(
        tmp_path / "t", "1 AS a, 'x' AS b", "2 AS a", "true AS z, 3 AS A, {'k': 1} AS s"
    )
    files.read("parquet", path, options)
    files.spark.check("SELECT * FROM source")
    files.spark.check("SELECT b, count(*) FROM source GROUP BY b")
    with files.spark.one_task():
        files.spark.check("SELECT * FROM source WHERE a > 1")
    files.read("parquet", path, options, "b STRING, a BIGINT, q DATE, s STRUCT<k: INT>")
    files.spark.check("SELECT * FROM source")


_READABLE = {
    "INT": ("BYTE", "INT", "BIGINT", "DOUBLE", "DECIMAL(10, 0)"),
    "BIGINT": ("BIGINT", "DECIMAL(20, 0)"),
    "FLOAT": ("DOUBLE", "FLOAT"),
    "VARCHAR": ("STRING", "BINARY"),
    "BLOB": ("STRING", "BINARY"),
    "DATE": ("DATE", "TIMESTAMP_NTZ"),
    "TIMESTAMP": ("TIMESTAMP", "TIMESTAMP_NTZ"),
    "TIMESTAMPTZ": ("TIMESTAMP", "TIMESTAMP_NTZ"),
    "DECIMAL(7, 2)": ("DECIMAL(9, 2)", "DECIMAL(9, 4)"),
    "INT[]": ("ARRAY<INT>",),
}
_UNREADABLE = {
    "INT": ("FLOAT", "STRING", "DECIMAL(5, 0)"),
    "BIGINT": ("INT", "TIMESTAMP"),
    "DOUBLE": ("FLOAT",),
    "VARCHAR": ("INT",),
    "DATE": ("TIMESTAMP",),
    "DECIMAL(7, 2)": ("DECIMAL(7, 3)",),
    "INT[]": ("INT",),
}
"""Types of columns in files, and those that Spark does not read them as."""


def test_a_column_of_another_type_is_read_as_it_or_fails_as_on_spark(
    files: Files, tmp_path: Path
) -> None:
    values = {"BLOB": "'x'", "DATE": "'2020-01-02'", "TIMESTAMP": "'2020-01-02 03:04:05'",
              "TIMESTAMPTZ": "'2020-01-02 03:04:05+00'", "INT[]": "[1]"}  # fmt: skip
    kinds = list(dict.fromkeys([*_READABLE, *_UNREADABLE]))
    held = (f"CAST({values.get(kind, '1')} AS {kind}) AS c{i}" for i, kind in enumerate(kinds))
    path = _parquet(tmp_path / "t", ", ".join(held))
    for i, kind in enumerate(kinds):
        for wanted in (*_READABLE.get(kind, ()), *_UNREADABLE.get(kind, ())):
            files.read("parquet", path, {}, f"c{i} {wanted}")
            if wanted in _UNREADABLE.get(kind, ()):
                files.spark.check_fails("SELECT * FROM source")
            else:
                files.spark.check("SELECT * FROM source")


ABOUT = "file_path file_name file_size file_block_start file_block_length file_modification_time"


@pytest.mark.parametrize("source", ["parquet", "csv", "json", "text"])
def test_rows_tell_of_their_files(files: Files, tmp_path: Path, source: str) -> None:
    folder = _parquet(tmp_path / "a b%20\u00e9", "1 AS a, 'x' AS t", "2 AS a, 'y' AS t")
    if source != "parquet":
        for number in (0, 1):
            (folder / f"{number}.parquet").unlink()
            (folder / f"{number} 1.{source}").write_text(f'{{"a": {number}}}\n\n{{"a": 7}}\n')
    about = ", ".join(f"_metadata.{name}" for name in ABOUT.split())
    rows = f"{source}.`{folder}`"
    for query in (
        f"SELECT *, {about}, input_file_name() FROM {rows}",
        f"SELECT input_file_name() AS f, count(*) FROM {rows} GROUP BY 1",
        f"SELECT _metadata.file_name FROM {rows} WHERE input_file_name() LIKE '%/1%'",
        f"SELECT count(*), input_file_name() FROM {rows} GROUP BY ALL",
    ):
        files.spark.check(query)
        with files.spark.one_task():
            files.spark.check(query)
    if source == "parquet":
        files.spark.check(f"SELECT a, _metadata.row_index FROM {rows}")
    joined = f"SELECT input_file_name() FROM {rows} CROSS JOIN (SELECT DISTINCT id FROM range(2))"
    assert "input_file_name()" in str(files.spark.refused(joined))


@pytest.mark.parametrize("source", ["parquet", "csv", "json", "text"])
def test_a_file_that_cannot_be_read_fails_with_sparks_class(
    files: Files, tmp_path: Path, source: str
) -> None:
    schema = "value STRING" if source == "text" else "a INT"
    damaged = {
        "nonsense": (b"PAR1 nonsense", "parquet"),
        "nothing": (b"PAR1", "parquet"),
        "cut short": (gzip.compress(b'{"a": 1}\n' * 99)[:30], f"{source}.gz"),
        "no gzip": (b'{"a": 1}\n', f"{source}.gz"),
        "gone": (b"1\n" * 9, source),
    }
    for name, (data, ending) in damaged.items():
        if (source == "parquet") != (ending == "parquet"):
            continue
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"a.{ending}").write_bytes(data)
        files.read(source, folder, {}, schema)
        if name == "gone":
            (folder / f"a.{ending}").unlink()
        files.spark.check_fails("SELECT * FROM source")


def test_orc_is_refused_with_a_way_out(files: Files, tmp_path: Path) -> None:
    files.spark.frame("SELECT 1 AS a").write().orc(str(tmp_path / "t"))
    files.read("orc", tmp_path / "t")
    error = files.spark.refused("SELECT * FROM source")
    assert "Orc" in str(error)
    assert "spark.aflint.fallback=spark" in str(error)
