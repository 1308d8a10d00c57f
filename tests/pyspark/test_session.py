"""SparkSession without SQL: rows in, rows out, and a clear word for the rest."""

from __future__ import annotations

import datetime
from array import array
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def spark(sc: Any) -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("rows").config("spark.x", "y").getOrCreate()


def test_a_session_is_made_once(spark: Any, sc: Any) -> None:
    from pyspark.sql import SparkSession

    assert spark.sparkContext is sc
    assert SparkSession.builder.getOrCreate() is spark
    assert SparkSession.getActiveSession() is spark
    assert SparkSession.active() is spark
    assert spark.version == sc.version
    assert spark.conf.get("spark.x") == "y"
    assert spark.conf.get("spark.none", "z") == "z"
    spark.conf.set("spark.sql.shuffle.partitions", 3)
    assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
    assert spark.newSession().sparkContext is sc


def test_what_a_session_gives_is_of_pysparks_classes(spark: Any) -> None:
    from pyspark.sql import DataFrame, DataFrameReader
    from pyspark.sql.conf import RuntimeConfig

    frame = spark.createDataFrame([(1, 2)], ["my_id", "no name"])
    assert isinstance(spark.read, DataFrameReader)
    assert isinstance(spark.conf, RuntimeConfig)
    assert isinstance(frame, DataFrame)
    assert "readwriter.DataFrameReader object" in repr(spark.read.option("a", "b"))
    assert "conf.RuntimeConfig object" in repr(spark.conf)
    assert "my_id" in dir(frame)
    assert "no name" not in dir(frame)


def test_a_later_get_or_create_sets_all_but_what_is_set_for_good(sc: Any) -> None:
    from aflint.pyspark.session import RuntimeSettings

    class Planned(dict[str, str]):
        def isModifiable(self, key: str) -> bool:
            return key.startswith("spark.sql.") and key != "spark.sql.warehouse.dir"

        set = dict.__setitem__

    settings, planned = RuntimeSettings(sc, {}), Planned()
    settings.adopt(planned)
    given = {"spark.executor.memory": "2g", "spark.sql.warehouse.dir": "x"}
    settings.update({**given, "spark.sql.shuffle.partitions": 7, "a.b": True})
    assert settings.get("spark.executor.memory") == "2g"
    assert planned == {"spark.sql.shuffle.partitions": "7", "a.b": "true"}
    planned["a.b"] = "by SET"
    assert settings.get("a.b") == "by SET"


def test_text_as_rows(spark: Any, tmp_path: Path) -> None:
    from pyspark.sql import Row

    (tmp_path / "a.txt").write_text("x y\nz\n")
    lines = spark.read.text(str(tmp_path / "a.txt"))
    assert lines.rdd.map(lambda row: row[0]).collect() == ["x y", "z"]
    assert lines.collect() == [Row(value="x y"), Row(value="z")]
    assert lines.columns == ["value"]
    assert lines.count() == 2
    assert lines.first().value == "x y"
    assert spark.read.format("text").load(str(tmp_path)).count() == 2
    assert spark.read.text([str(tmp_path), str(tmp_path / "a.txt")]).count() == 4
    assert spark.read.text(str(tmp_path), wholetext=True).first()[0] == "x y\nz\n"


MEGA = 1_000_000


@pytest.mark.parametrize(
    ("sizes", "cores", "whole", "partitions"),
    [  # as Spark 4.3 puts them together on local[3], but for the last three
        ([1000], 3, False, [1000]),
        ([30 * MEGA], 3, False, [11_398_101, 11_398_101, 7_203_798]),
        (
            [1000, 9 * MEGA, 300, 20 * MEGA, 5 * MEGA, 200],
            3,
            False,
            [19_722_441, 14_000_000, 279_059],
        ),
        ([100 * (i + 1) for i in range(20)], 3, False, [11_900, 7000, 2100]),
        ([0, 1000, 0], 3, False, [1000]),
        ([100 * (i + 1) for i in range(20)], 3, True, [11_900, 7000, 2100]),
        ([40 * MEGA], 3, True, [40 * MEGA]),
        ([], 2, False, []),
        ([0], 2, False, []),
        ([300 * MEGA], 1, False, [134_217_728, 134_217_728, 31_564_544]),
    ],
)
def test_text_is_put_into_sparks_partitions(
    sizes: list[int], cores: int, whole: bool, partitions: list[int]
) -> None:
    from aflint.pyspark.reading import packed
    from aflint.storage.base import FileInfo

    files = [FileInfo(f"{place:02}.txt", size) for place, size in enumerate(sizes)]
    found = packed(files, largest=128 << 20, opening=4 << 20, cores=cores, whole=whole)
    assert [sum(piece.size for piece in pieces) for pieces in found] == partitions
    assert sum(partitions) == sum(sizes)


def test_compressed_text_is_not_cut() -> None:
    from aflint.pyspark.reading import packed
    from aflint.storage.base import FileInfo

    files = [FileInfo("a.gz", 50), FileInfo("b", 50)]
    found = packed(files, largest=10, opening=0, cores=1, whole=False)
    assert [[piece.size for piece in pieces] for pieces in found] == [[50], *[[10]] * 5]


def test_lines_of_several_files_share_a_partition_in_sparks_order(
    spark: Any, sc: Any, tmp_path: Path
) -> None:
    for place in range(6):
        (tmp_path / f"{place}.txt").write_text(f"{place}\n" * (place * 3 % 7 + 1))
    lines = spark.read.text(str(tmp_path)).rdd.map(lambda row: row.value)
    assert lines.getNumPartitions() == 2
    assert "".join(lines.collect()) == "22222224444441111333550"
    whole = spark.read.text(str(tmp_path), wholetext=True)
    assert [len(part) for part in whole.rdd.glom().collect()] == [3, 3]
    spark.conf.set("spark.sql.files.openCostInBytes", "1")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "16b")
    try:
        parts = spark.read.text(str(tmp_path)).rdd.map(lambda row: row.value).glom().collect()
    finally:
        spark.conf.unset("spark.sql.files.openCostInBytes")
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert ["".join(part) for part in parts] == ["2222222", "444444", "1111333", "550"]


def test_what_text_would_be_read_otherwise_is_refused_without_sql(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.errors import AnalysisException

    monkeypatch.setattr("aflint.pyspark.planner.missing", lambda: "duckdb")
    (tmp_path / "a.txt").write_text("x\n")
    (tmp_path / "parts" / "year=2020").mkdir(parents=True)
    (tmp_path / "parts" / "year=2020" / "b.txt").write_text("x\n")
    path = str(tmp_path / "a.txt")
    assert spark.read.text(path, recursiveFileLookup=False, lineSep="\n").count() == 1
    with pytest.raises(AnalysisException, match=r"PATH_NOT_FOUND.* file:/.*/missing\."):
        spark.read.text([path, "missing"])
    with pytest.raises(RuntimeError, match="lineSep needs Spark SQL"):
        spark.read.text(path, lineSep=";")
    with pytest.raises(RuntimeError, match="lineSep needs Spark SQL"):
        spark.read.option("lineSep", ";").text(path)
    with pytest.raises(RuntimeError, match="pathglobfilter"):
        spark.read.options(pathGlobFilter="*.csv").text(path)
    reader = spark.read.option("recursiveFileLookup", True)
    assert [reader.text(str(tmp_path)).count() for _ in range(2)] == [2, 2]
    with pytest.raises(RuntimeError, match="partitioned folder"):
        spark.read.text(str(tmp_path / "parts"))


def column(kind: Any) -> Any:
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField("a", kind)])


def kept_values() -> list[tuple[Any, Any, Any]]:
    """Values, the type of their column (None: inferred), and what Spark 4.3 gives back."""
    from pyspark.sql import Row, types

    t: Any = types
    few = t.DecimalType(5, 2)
    return [
        (D("1.5"), None, D("1.500000000000000000")),
        (D("1.1234567890123456785"), None, D("1.123456789012345679")),
        (D("-1.1234567890123456785"), None, D("-1.123456789012345679")),
        (D("99999999999999999999.9999999999999999994"), None, D("9" * 20 + "." + "9" * 18)),
        (D("5e-19"), None, D("1e-18")),
        (D("-0"), None, D("0e-18")),
        (D("NaN"), None, None),
        (D("1.005"), few, D("1.01")),
        ([D("1")], t.ArrayType(few), [D("1.00")]),
        ({"k": (D("1"),)}, t.MapType(t.StringType(), column(few)), {"k": Row(a=D("1.00"))}),
        (array("l", [1, 2]), None, [1, 2]),
        (array("B", [1, 2]), None, [1, 2]),
        (array("d", []), None, []),
        ((1, 2), t.ArrayType(t.LongType()), [1, 2]),
        (1.1, t.FloatType(), 1.100000023841858),
        (1e300, t.FloatType(), float("inf")),
        (2**63, None, None),
        (True, t.StringType(), "true"),
        (None, t.LongType(), None),
        (datetime.date(2020, 1, 2), None, datetime.date(2020, 1, 2)),
        (datetime.timedelta(1, 2, 3), None, datetime.timedelta(1, 2, 3)),
        (
            datetime.datetime(2020, 1, 2, 3, 4, 5, 678),
            None,
            datetime.datetime(2020, 1, 2, 3, 4, 5, 678),
        ),
    ]


def test_values_come_back_as_spark_keeps_them(spark: Any, sc: Any) -> None:
    for value, kind, kept in kept_values():
        schema = ["a"] if kind is None else column(kind)
        (row,) = spark.createDataFrame([(value,)], schema).collect()
        assert repr(row.a) == repr(kept), value
    decimals = sc.parallelize([(D("1.5"), array("l", [1]))])
    (row,) = spark.createDataFrame(decimals, ["a", "b"]).collect()
    assert repr(tuple(row)) == repr((D("1.500000000000000000"), [1]))


def test_bytes_come_back_as_each_release_gives_them(spark: Any) -> None:
    from aflint.pyspark.names import RELEASE

    (row,) = spark.createDataFrame([(bytearray(b"ab"),)], ["a"]).collect()
    assert type(row.a) is (bytes if RELEASE >= (4, 1) else bytearray)


@pytest.mark.parametrize(
    ("value", "kind", "kept"),
    [
        (1, "DoubleType", None),
        (1, "FloatType", None),
        (1.0, "LongType", None),
        (True, "LongType", None),
        (1, "BooleanType", None),
        (300, "ByteType", 44),
        (2**40, "IntegerType", 0),
        (2**31, "IntegerType", -(2**31)),
        (2**70, "IntegerType", None),
        ("x", "BinaryType", b"x"),
        ("x", "NullType", None),
        (1, "DecimalType", None),
    ],
)
def test_unverified_values_of_another_type_become_what_they_become_on_spark(
    value: Any, kind: str, kept: Any, spark: Any
) -> None:
    from pyspark.sql import types

    schema = column(getattr(types, kind)())
    (row,) = spark.createDataFrame([(value,)], schema, verifySchema=False).collect()
    assert row.a == kept


def test_numbers_and_rows_that_do_not_fit_raise_sparks_errors(spark: Any, sc: Any) -> None:
    from pyspark.errors import ArithmeticException, IllegalArgumentException
    from pyspark.sql.types import DecimalType

    few = column(DecimalType(5, 2))
    with pytest.raises(ArithmeticException, match=r"represented as Decimal\(38, 18\)"):
        spark.createDataFrame([(D("1e30"),)], ["a"]).collect()
    with pytest.raises(ArithmeticException, match=r"The 12345\.50 rounded half up from 12345\.5 "):
        spark.createDataFrame([(D("12345.5"),)], few).collect()
    with pytest.raises(IllegalArgumentException, match="STRUCT_ARRAY_LENGTH_MISMATCH"):
        spark.createDataFrame([(1, 2), (3,)], ["a", "b"]).collect()
    with pytest.raises(Exception, match="STRUCT_ARRAY_LENGTH_MISMATCH"):
        spark.createDataFrame(sc.parallelize([(1, 2), (3,)], 1), ["a", "b"]).collect()


def test_nested_dicts_are_maps_or_as_asked_for_structs(spark: Any, sc: Any) -> None:
    from pyspark.sql import Row

    rows = [{"x": {"y": 1, "q": "s"}}, {"x": {"y": 2}}]
    maps = [{"x": {"y": 1, "q": 2}}, {"x": {"y": 2}}]
    assert spark.createDataFrame(maps).collect() == [Row(x={"y": 1, "q": 2}), Row(x={"y": 2})]
    key = "spark.sql.pyspark.inferNestedDictAsStruct.enabled"
    spark.conf.set(key, True)
    try:
        structs = [Row(x=Row(y=1, q="s")), Row(x=Row(y=2, q=None))]
        assert spark.createDataFrame(rows).collect() == structs
        assert spark.createDataFrame(sc.parallelize(rows)).collect() == structs
    finally:
        spark.conf.unset(key)


def test_lists_of_names_are_left_as_they_were(spark: Any) -> None:
    names = ["a"]
    assert spark.createDataFrame([(1, 2)], names).columns == ["a", "_2"]
    assert names == ["a"]
    with pytest.raises(TypeError, match="NOT_EXPECTED_TYPE"):
        spark.createDataFrame([(1,)], 5)


def test_rows_of_ones_own(spark: Any, sc: Any) -> None:
    from pyspark.sql import Row
    from pyspark.sql.types import IntegerType, StringType, StructType

    named = spark.createDataFrame([("Tom", 3), ("Ann", 4)], ["name", "age"])
    assert named.rdd.map(lambda row: (row.name, row["age"])).collect() == [("Tom", 3), ("Ann", 4)]
    assert named.dtypes == [("name", "string"), ("age", "bigint")]
    assert spark.createDataFrame([Row(a=1, b=None), Row(a=2, b="x")]).first() == Row(a=1, b=None)
    schema = StructType().add("a", IntegerType()).add("b", StringType())
    assert spark.createDataFrame(sc.parallelize([(1, "x")]), schema).first().asDict() == {
        "a": 1,
        "b": "x",
    }
    assert spark.createDataFrame([1, 2], "int").collect() == [Row(value=1), Row(value=2)]
    assert spark.createDataFrame([(1, "z")], "a int, b string").first().b == "z"
    assert sc.parallelize([(1, 2)]).toDF(["x", "y"]).collect() == [Row(x=1, y=2)]
    assert spark.range(3).rdd.map(lambda row: row.id).sum() == 3
    with pytest.raises(Exception, match=r"IntegerType|int"):
        spark.createDataFrame([("x",)], StructType().add("a", IntegerType())).collect()
    with pytest.raises(Exception, match="EMPTY_SCHEMA"):
        spark.createDataFrame([])


@pytest.mark.parametrize(
    "use",
    [
        lambda spark: spark.sql("select 1"),
        lambda spark: spark.read.csv("x"),
        lambda spark: spark.range(3).filter("id > 1"),
        lambda spark: spark.range(3)["id"],
        lambda spark: spark.range(3).groupBy("id"),
        lambda spark: spark.range(3).write,
        lambda spark: spark.catalog,
        lambda spark: spark.udf,
        lambda spark: spark.table("t"),
        lambda spark: spark.createDataFrame([1], "array<int>"),
    ],
)
def test_what_needs_sql_says_so_where_it_is_not_installed(
    use: Any, spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aflint.pyspark.planner.missing", lambda: "duckdb")
    with pytest.raises(RuntimeError, match=r"Spark SQL.*docs/pyspark\.md"):
        use(spark)
