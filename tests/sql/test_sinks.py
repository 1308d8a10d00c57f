"""Files as Spark writes them: each query is written by both, and each reads what both wrote."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from aflint.errors import OutputExistsError
from aflint.sql import commands
from aflint.sql.errors import QueryError, UnsupportedPlanError
from tests.sql.differential import Differential
from tests.sql.files import Files, names

TYPES = """
    SELECT id, CAST(id AS TINYINT) AS b, CAST(id AS SMALLINT) AS s, CAST(id AS INT) AS i,
           CAST(id AS FLOAT) AS f, CAST(id AS DOUBLE) / 4 AS d, id = 2 AS yes,
           CAST(id AS DECIMAL(7, 2)) AS small, CAST(id AS DECIMAL(38, 10)) AS large,
           IF(id = 1, NULL, 'é') AS t, X'00FF' AS raw,
           DATE '1500-01-01' AS day, TIMESTAMP '1890-07-01 12:34:56.789012' AS instant,
           TIMESTAMP_NTZ '2020-07-01 00:00:00' AS local, ARRAY(id, NULL) AS list,
           NAMED_STRUCT('x', id, 'y', ARRAY(TIMESTAMP '2020-01-01 00:00:00')) AS nested
    FROM range(0, 20, 1, 3)
"""
PLACED = """
    SELECT id, IF(id = 9, NULL, id % 3) AS k, t, id > 4 AS yes,
           IF(id = 8, NULL, DATE '2020-01-01') AS day
    FROM range(10) JOIN VALUES ('a b'), ('c=d/e%:'), (''), (NULL), ('é\\\\"''{}'), ('x\\ty') AS v(t)
"""


@pytest.fixture(scope="module")
def files(spark: Differential) -> Files:
    return Files(spark)


@pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "none", "lz4_raw"])
def test_parquet_is_written_as_spark_writes_it(files: Files, tmp_path: Path, codec: str) -> None:
    sql = TYPES if codec == "snappy" else "SELECT id, 'x' AS t FROM range(9)"
    theirs, ours = files.same_when_written(tmp_path, sql, "parquet", {"compression": codec})
    assert theirs[:2] == ours[:2]


def test_partitions_are_written_in_folders_of_the_same_names(files: Files, tmp_path: Path) -> None:
    by = ("k", "t", "yes", "day")
    theirs, ours = files.same_when_written(tmp_path, PLACED, "parquet", by=by)
    assert theirs == ours


def test_files_have_no_more_records_than_asked(files: Files, tmp_path: Path) -> None:
    sql, most = "SELECT id, id % 2 AS k FROM range(0, 23, 1, 1)", {"maxRecordsPerFile": "5"}
    theirs, ours = files.same_when_written(tmp_path / "flat", sql, "parquet", most)
    assert theirs == ours
    assert len(ours) == 6
    theirs, ours = files.same_when_written(tmp_path / "by k", sql, "parquet", most, ("k",))
    assert theirs == ours
    assert len(ours) == 7


def test_without_rows_there_is_a_file_with_the_schema(files: Files, tmp_path: Path) -> None:
    sql = "SELECT id, 'x' AS t FROM range(9) WHERE id < 0"
    theirs, ours = files.same_when_written(tmp_path, sql, "parquet")
    assert theirs == ours == ["_SUCCESS", "part-00000-UUID-c000.snappy.parquet"]


TEXTS = """
    SELECT id, CAST(id AS DOUBLE) * 1e7 AS d, CAST(id AS DECIMAL(7, 2)) AS small, id = 2 AS yes,
           DATE '2020-01-31' AS day, TIMESTAMP '2020-07-01 12:34:56.789012' AS instant,
           TIMESTAMP_NTZ '2020-07-01 00:00:00' AS local, CAST(id AS FLOAT) / 3 AS f, t
    FROM range(3) JOIN VALUES ('plain'), (NULL), (''), (' spaced '), ('a,b'), ('a"b'), ('a\\\\b'),
         ('a\\\\"b,'), ('é\\t1'), ('#'), ('\\u0001') AS v(t)
"""
LINES: dict[str, tuple[str, str, dict[str, str]]] = {
    "csv": (TEXTS, "csv", {}),
    "csv with a header": (TEXTS, "csv", {"header": "true", "compression": "gzip"}),
    "csv by options": (
        TEXTS,
        "csv",
        {
            "sep": ";",
            "nullValue": "NA",
            "emptyValue": "E",
            "dateFormat": "dd.MM.yyyy",
            "timestampFormat": "yyyy-MM-dd HH:mm",
            "compression": "bzip2",
            "ignoreTrailingWhiteSpace": "false",
        },
    ),
    "csv quoted": (TEXTS, "csv", {"quoteAll": "true", "escape": '"', "lineSep": "\r\n"}),
    "json": (TEXTS, "json", {"compression": "none"}),
    "json of nested values": (
        "SELECT id, ARRAY(id, NULL) AS list, NAMED_STRUCT('x', id, 'y', NULL) AS s, "
        "MAP('k', id) AS m, X'00FF' AS raw, CAST('NaN' AS DOUBLE) AS nan FROM range(3)",
        "json",
        {"compression": "deflate"},
    ),
    "text": ("SELECT t FROM (" + TEXTS + ")", "text", {}),
    "text by zstd": ("SELECT t FROM (" + TEXTS + ")", "text", {"compression": "gzip"}),
}


def _lines(folder: Path) -> list[bytes]:
    """Return the lines of all files in a folder, sorted."""
    opened: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.decompress,
        ".bz2": bz2.decompress,
        ".deflate": zlib.decompress,
    }
    found = [path for path in folder.iterdir() if path.name.startswith("part-")]
    texts = [opened.get(path.suffix, bytes)(path.read_bytes()) for path in found]
    return sorted(line for text in texts for line in text.splitlines(keepends=True))


@pytest.mark.parametrize("name", LINES)
def test_lines_are_written_as_spark_writes_them(files: Files, tmp_path: Path, name: str) -> None:
    sql, source, options = LINES[name]
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    files.writer(sql, source, options=options).save(str(theirs))
    files.write(files.writer(sql, source, options=options), ours)
    assert list(dict.fromkeys(_lines(ours))) == list(dict.fromkeys(_lines(theirs)))
    assert names(ours)[:2] == names(theirs)[:2]


MODES = (
    ("error", "SELECT id, id % 2 AS k FROM range(4)"),
    ("append", "SELECT id + 10 AS id, 0L AS k FROM range(2)"),
    ("ignore", "SELECT id + 20 AS id, 0L AS k FROM range(2)"),
    ("overwrite", "SELECT id + 30 AS id, id % 3 AS k FROM range(6)"),
    ("append", "SELECT id + 40 AS id, 7L AS k FROM range(2)"),
)


@pytest.mark.parametrize("by", [(), ("k",)])
def test_modes_do_to_what_is_there_what_sparks_do(
    files: Files, tmp_path: Path, by: tuple[str, ...]
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for mode, sql in MODES:
        files.writer(sql, "parquet", mode, by=by).save(str(theirs))
        files.write(files.writer(sql, "parquet", mode, by=by), ours)
        files.same_rows("parquet", theirs, ours)
        assert len(names(theirs)) == len(names(ours))
    dynamic = {"partitionOverwriteMode": "dynamic"}
    for path in (theirs, ours):
        writer = files.writer("SELECT 1L AS id, 7L AS k", "parquet", "overwrite", dynamic, by)
        writer.save(str(path)) if path == theirs else files.write(writer, path)
    files.same_rows("parquet", theirs, ours)
    before = names(ours)
    with pytest.raises(OutputExistsError):
        files.write(files.writer("SELECT 1 AS id, 2 AS k", "parquet", "error", by=by), ours)
    assert names(ours) == before


def test_a_write_that_fails_leaves_what_was_there(files: Files, tmp_path: Path) -> None:
    fails = "SELECT id, 10 / (id - 7) AS k FROM range(0, 9, 1, 3)"
    for mode in ("error", "append", "overwrite"):
        with pytest.raises(QueryError):
            files.write(files.writer(fails, "parquet", mode), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    files.write(files.writer("SELECT 1L AS id, 2.0D AS k", "parquet"), tmp_path / "old")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "old").iterdir()}
    for mode in ("append", "overwrite", "ignore"):
        if mode == "ignore":
            files.write(files.writer(fails, "parquet", mode), tmp_path / "old")
            continue
        with pytest.raises(QueryError):
            files.write(files.writer(fails, "parquet", mode), tmp_path / "old")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "old").iterdir()} == before


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [("parquet", {"compression": "lz4"}, "lz4hadoop"), ("orc", {}, "Orc")],
)
def test_what_is_not_written_is_refused_by_name(
    files: Files, tmp_path: Path, source: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(UnsupportedPlanError, match=said):
        files.write(files.writer("SELECT 1 AS a", source, options=options), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", [(), ("k",)], ids=["flat", "by k"])
def test_buckets_are_written_as_spark_writes_them(
    files: Files, tmp_path: Path, by: tuple[str, ...]
) -> None:
    sql = (
        "SELECT id, id % 2 AS k, IF(id % 7 = 3, NULL, string(id % 5)) AS t FROM range(0, 60, 1, 2)"
    )
    catalyst, tables = files.spark.catalyst, {}
    for engine in ("theirs", "ours"):
        writer = files.writer(sql, "parquet", by=by).option("path", str(tmp_path / engine))
        to_seq = catalyst.jvm.PythonUtils.toSeq
        writer = writer.bucketBy(4, "t", to_seq(["id"])).sortBy("id", to_seq([]))
        name = f"bucketed_{engine}_{len(by)}"
        if engine == "theirs":
            writer.saveAsTable(name)
        else:
            command = catalyst.analysed(catalyst.session, writer.saveAsTableCommand(name))
            step = commands.step(catalyst, catalyst.session, command)
            assert step is not None
            step.begin()
            files.run(step.plan)
            step.finish()
        tables[engine] = name
    assert names(tmp_path / "ours") == names(tmp_path / "theirs")
    files.same_rows("parquet", tmp_path / "theirs", tmp_path / "ours")
    with files.spark.with_settings(spark__sql__sources__bucketing__enabled="true"):
        # by Spark, which trusts the buckets of both
        joined = "SELECT count(*) FROM {ours} a JOIN {theirs} b ON a.t <=> b.t AND a.id = b.id"
        assert files.spark.spark(joined.format(**tables))[0][0] == 60
    in_order = "SELECT id >= lag(id, 1, -1) OVER (PARTITION BY file ORDER BY place) AS good FROM "
    rows = "SELECT id, input_file_name() AS file, monotonically_increasing_id() AS place FROM "
    found = files.spark.spark(f"{in_order} ({rows} {tables['ours']})")
    assert {row[0] for row in found} == {True}
