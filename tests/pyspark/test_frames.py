"""DataFrames as the tests of PySpark's own use them: what each of these gives was seen on Spark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("duckdb", reason="needs aflint[sql]")
if int(pytest.importorskip("pyspark").__version__.split(".")[0]) < 4:
    pytest.skip("DataFrames need PySpark 4", allow_module_level=True)

from pyspark.sql import Row, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, UserDefinedType


class PointType(UserDefinedType):  # type: ignore[misc]
    """A type that the JVM knows as arrays."""

    @classmethod
    def sqlType(cls) -> ArrayType:
        return ArrayType(DoubleType(), False)

    @classmethod
    def module(cls) -> str:
        return __name__

    def serialize(self, obj: Point) -> list[float]:
        return [obj.x, obj.y]

    def deserialize(self, datum: list[float]) -> Point:
        return Point(*datum)


class Point:
    """A value of the type."""

    __UDT__ = PointType()

    def __init__(self, x: float, y: float) -> None:
        self.x = x
        self.y = y

    def __repr__(self) -> str:
        return f"Point({self.x}, {self.y})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def spark(sc: Any) -> Iterator[Any]:
    from py4j import java_gateway
    from pyspark.sql import SparkSession

    before = java_gateway.get_return_value
    yield SparkSession.builder.getOrCreate()
    # PySpark's translates errors by the context, which tests in the same process may not have
    java_gateway.get_return_value = before


def test_values_of_a_user_defined_type_come_back_as_its_class_makes_them(
    spark: Any, tmp_path: Any, capsys: Any
) -> None:
    point, other = Point(1.0, 2.0), Point(3.0, 4.0)
    rows = spark.createDataFrame([Row(n=1, p=point, all=[point, other]), Row(n=2, p=None, all=[])])
    assert rows.where("n > 0").orderBy("n").collect() == [
        Row(n=1, p=point, all=[point, other]),
        Row(n=2, p=None, all=[]),
    ]
    swapped = F.udf(lambda p: p and Point(p.y, p.x), PointType())
    summed = F.udf(lambda p: p and p.x + p.y, "double")
    assert rows.select(swapped("p").alias("q"), summed("p").alias("s")).orderBy("n").collect() == [
        Row(q=Point(2.0, 1.0), s=3.0),
        Row(q=None, s=None),
    ]
    assert rows.groupBy("p").count().where("p is not null").collect() == [Row(p=point, count=1)]
    assert rows.selectExpr("cast(p as string) as t").first().t == "[1.0, 2.0]"
    rows.write.parquet(f"{tmp_path}/points")
    again = spark.read.parquet(f"{tmp_path}/points")
    assert again.schema["p"].dataType == PointType()
    assert again.where("n = 1").first().all == [point, other]
    rows.select("p").where("n = 1").show()
    assert "|[1.0, 2.0]|" in capsys.readouterr().out


def test_functions_without_arguments_are_called_for_each_row(spark: Any) -> None:
    pytest.importorskip("pyarrow")
    for arrow in (False, True):
        six = F.udf(lambda: 6, "int", useArrow=arrow)
        assert spark.range(3).select(six().alias("n")).collect() == [Row(n=6)] * 3
        assert spark.range(2).withColumn("n", six()).collect() == [Row(id=0, n=6), Row(id=1, n=6)]


def test_load_reads_the_default_format_unless_another_is_named(spark: Any, tmp_path: Any) -> None:
    path = f"{tmp_path}/numbers"
    spark.range(3).write.save(path)
    for read in (
        spark.read.load(path),
        spark.read.load(path, schema="id bigint"),
        spark.read.option("path", path).load(),
    ):
        assert sorted(read.collect()) == [Row(id=0), Row(id=1), Row(id=2)]
    spark.range(1).selectExpr("'a|b' as t").write.text(f"{tmp_path}/text")
    assert spark.read.format("text").load(f"{tmp_path}/text").collect() == [Row(value="a|b")]
    assert spark.read.text(f"{tmp_path}/text", lineSep="|").first() == Row(value="a")


def test_rows_of_json_and_csv_are_read_from_rdds_and_dataframes(spark: Any, sc: Any) -> None:
    nested = spark.read.json(sc.parallelize(['{"a": 1}', '{"a": 2,\n "b": [1]}'], 2))
    assert nested.collect() == [Row(a=1, b=None), Row(a=2, b=[1])]
    texts = sc.parallelize(['{"a": 1}', '{"a": 2,\n "b": 1}', "{"], 3)
    read = spark.read.json(texts)
    assert read.dtypes == [("_corrupt_record", "string"), ("a", "bigint"), ("b", "bigint")]
    assert [row.a for row in read.collect()] == [1, 2, None]
    strict = spark.read.schema("a int").option("mode", "DROPMALFORMED")
    assert strict.json(texts.toDF("string")).collect() == [Row(a=1), Row(a=2)]
    lines = sc.parallelize(["x,y", "1,a", "2,"], 3)
    table = spark.read.csv(lines, header=True, inferSchema=True)
    assert table.collect() == [Row(x=1, y="a"), Row(x=2, y=None)]


def test_a_dataframe_shows_its_rows_where_it_is_named_if_that_is_asked_for(spark: Any) -> None:
    rows = spark.createDataFrame([(1, "a")], ["n", "t"])
    assert repr(rows) == repr(rows.where("n > 0")) == "DataFrame[n: bigint, t: string]"
    assert rows._repr_html_() is None
    spark.conf.set("spark.sql.repl.eagerEval.enabled", True)
    try:
        shown = "+---+---+\n|  n|  t|\n+---+---+\n|  1|  a|\n+---+---+\n"
        assert repr(spark.createDataFrame([(1, "a")], ["n", "t"])) == shown
        assert repr(spark.range(1).selectExpr("1 as n", "'a' as t")) == shown
        assert "<td>1</td><td>a</td>" in spark.createDataFrame([(1, "a")], ["n", "t"])._repr_html_()
    finally:
        spark.conf.unset("spark.sql.repl.eagerEval.enabled")


def test_a_program_reaches_classes_of_the_planners_jvm(spark: Any, sc: Any) -> None:
    from pyspark.testing.utils import QuietTest

    logger = sc._jvm.org.apache.log4j.LogManager.getRootLogger()
    before = logger.getLevel().toString()
    with QuietTest(sc):
        assert logger.getLevel().toString() == "FATAL"
    assert logger.getLevel().toString() == before


def test_without_an_order_groups_and_windows_come_in_that_of_their_keys(spark: Any) -> None:
    rows = spark.createDataFrame([(i * 7 % 10, i) for i in range(40)], "k int, n int")
    groups = rows.groupBy("k").agg(F.count("*").alias("c"))
    assert groups.collect() == [Row(k=k, c=4) for k in range(10)]
    assert [row.k for row in rows.select("k").distinct().collect()] == list(range(10))
    assert [row.k for row in groups.select("k").take(3)] == [0, 1, 2]
    assert rows.selectExpr("k", "sum(n) OVER (PARTITION BY k) AS s", "n").collect() == [
        Row(k=k, s=sum(members), n=n)
        for k in range(10)
        for members in [[i for i in range(40) if i * 7 % 10 == k]]
        for n in members
    ]


def test_functions_of_groups_give_rows_in_the_order_of_aggregates(spark: Any) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    rows = spark.createDataFrame([(i * 7 % 10, float(i)) for i in range(40)], "k int, n double")
    mean = F.pandas_udf(lambda values: values.mean(), "double", F.PandasUDFType.GROUPED_AGG)
    ours, theirs = (rows.groupBy("k").agg(f("n").alias("m")) for f in (F.mean, mean))
    assert ours.collect() == theirs.collect()
    over = Window.partitionBy("k")
    ours, theirs = (rows.withColumn("m", f("n").over(over)) for f in (F.mean, mean))
    assert ours.collect() == theirs.collect()


def test_ranges_of_few_rows_have_the_bounds_that_spark_finds(spark: Any) -> None:
    rows = spark.createDataFrame([("Bob", 27), ("Alice", 10), ("Bob", 10)], "name string, age int")
    placed = rows.repartitionByRange(2, "name", "age").rdd.glom().collect()
    assert [[row.age for row in part] for part in placed] == [[10, 10], [27]]
    assert spark.range(10).repartitionByRange(3, "id").rdd.glom().map(len).collect() == [4, 3, 3]


def test_settings_are_checked_as_spark_checks_them(spark: Any) -> None:
    from pyspark.errors import (
        IllegalArgumentException,
        PySparkTypeError,
        SparkNoSuchElementException,
    )

    with pytest.raises(SparkNoSuchElementException, match="SQL_CONF_NOT_FOUND"):
        spark.conf.get("not.set")
    with pytest.raises(IllegalArgumentException):
        spark.conf.set("some", None)
    for ask, arguments in (
        (spark.conf.get, ("some", 1)),
        (spark.conf.isModifiable, (123,)),
        (spark.createDataFrame, (spark.range(1),)),
        (spark.createDataFrame, ([(1,)], 1)),
    ):
        with pytest.raises(PySparkTypeError):
            ask(*arguments)


def test_a_schema_is_written_as_ddl(spark: Any) -> None:
    assert spark.range(1).schema.toDDL() == "id BIGINT NOT NULL"


def test_records_are_read_by_their_own_names_before_columns_are_renamed(spark: Any) -> None:
    for made in (
        spark.createDataFrame([{"a": 1, "b": 2}], ["b", "a"]),
        spark.createDataFrame([Row(a=1, b=2)], ["b", "a"]),
    ):
        assert made.collect() == [Row(b=1, a=2)]
        assert {"a", "b"} <= set(dir(made))


def test_columns_of_one_name_are_not_written(spark: Any, tmp_path: Any) -> None:
    from pyspark.errors import AnalysisException

    for query in ("select 1 as a, 2 as a", "select 1 as a, 2 as A"):
        with pytest.raises(AnalysisException, match="COLUMN_ALREADY_EXISTS"):
            spark.sql(query).write.csv(f"{tmp_path}/twice")
    assert not (tmp_path / "twice").exists()


def test_settings_of_the_engine_cannot_be_set_any_more(spark: Any) -> None:
    from pyspark.errors import AnalysisException

    assert spark.sql("select 1").count() == 1
    with pytest.raises(AnalysisException, match="CANNOT_MODIFY_CONFIG"):
        spark.conf.set("spark.executor.cores", 2)
    assert spark.conf.get("spark.executor.cores", "unset") == "unset"
    spark.conf.set("of.mine", True)
    assert spark.conf.get("of.mine") == "true"


def test_a_dataframe_is_grouped_together_with_itself(spark: Any) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    groups = spark.createDataFrame([(1, 1.0), (1, 2.0), (2, 3.0)], "k int, v double").groupBy("k")

    def sums(left: Any, right: Any) -> Any:
        return pd.DataFrame({"k": [left.k[0]], "s": [left.v.sum() + 10 * right.v.sum()]})

    both = groups.cogroup(groups)
    assert both.applyInPandas(sums, "k int, s double").collect() == [
        Row(k=1, s=33.0),
        Row(k=2, s=33.0),
    ]
    rows = both.applyInArrow(lambda left, right: right, "k int, v double").collect()
    assert rows == [Row(k=1, v=1.0), Row(k=1, v=2.0), Row(k=2, v=3.0)]
