"""User-defined functions of every kind, as checks of `dataframes_program.py`."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

Checks = dict[str, Callable[[], Any]]
RETURNED: list[Any] = [1, "x", 1.5, True, [1], {"a": 1}, (1, "b"), b"z", None, 300]
RETURNED += [decimal.Decimal("1.239"), datetime.date(2020, 1, 1), 1e-5, -1.5e10, 1e7, 2.0, [1, "a"]]
RETURNED += [{f"key {i}é😀": [None, True, i * 1e6] for i in range(20)}, {2: 1, 2**40: {"x": None}}]
TYPES = ["int", "string", "double", "boolean", "array<int>", "map<string,int>", "decimal(10,2)"]
TYPES += ["binary", "tinyint", "bigint", "float"]
SCHEMA = (
    "i int, t string, a array<int>, m map<string,double>, s struct<x:int,y:string>, "
    "d decimal(10,2), day date, ts timestamp, b binary, ok boolean, f double"
)


def plain(spark: SparkSession, use_arrow: bool) -> Checks:
    """Functions of a row, over Arrow or not."""
    day, time = datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5, 6)
    values = (1, "a", [1, None], {"k": 1.5}, Row(x=1, y="z"), decimal.Decimal("1.5"), day, time)
    rows = spark.createDataFrame([(*values, b"xy", True, 2.5), (2, *[None] * 10)], SCHEMA)
    factor = spark.sparkContext.broadcast(10)
    called = spark.sparkContext.accumulator(0)

    def made(function: Any, kind: Any = "string") -> Any:
        return F.udf(function, kind, useArrow=use_arrow)

    double, more = made(lambda n: n * 2, "int"), made(lambda n: n + 1, "int")

    def counting(n: Any) -> int:
        called.add(1)
        return int(n * factor.value)

    def registered() -> Any:
        spark.udf.register("more", lambda n, by=3: n + by, "int")
        rows.createOrReplaceTempView("rows")
        return spark.sql("select more(i), more(i, by => 5) from rows where more(i) > 4").collect()

    def late() -> Any:
        by = 2
        frame = rows.select(made(lambda n: n * by, "int")("i"))
        by = 3  # too late: a function is pickled as it is first used
        return frame.collect()

    def returned() -> Any:
        columns = [
            made(lambda _, value=value: value, kind)("id")
            for kind in TYPES
            for value in RETURNED
            if not (kind == "string" and isinstance(value, tuple | bytes | datetime.date))
        ]
        return list(spark.range(1).select(*columns).collect()[0])

    def nested() -> Any:
        kind = "struct<n:int,l:array<struct<d:date,t:timestamp>>,m:map<string,decimal(5,2)>>"
        value = (1, [(day, time), None], {"k": decimal.Decimal("1.239")})
        same = made(lambda s: s, kind)
        return rows.select(same(made(lambda i: value, kind)("i")), same(F.lit(None))).collect()

    def with_parts() -> Any:
        """Values that are made of others, in the forms that both ways over take."""
        one, two = decimal.Decimal("1.239"), decimal.Decimal("1E-18")
        cases: dict[str, list[Any]] = {
            "struct<a:int,b:string>": [
                {"a": 1, "b": "x"}, {"b": "y"}, {"a": 2, "c": 3}, {}, Row(a=1, b="z"), (1, "x"),
                (None, None), None,
            ],
            "map<string,int>": [{"a": 1, "b": None}, {1: 2}, {}, None],
            "map<int,string>": [{1: "a"}],
            "map<date,decimal(5,2)>": [{day: one}, {day: None}],
            "map<string,struct<x:int,y:array<date>>>": [
                {"k": {"x": 1, "y": [day, None]}}, {"k": (1, None)}, {"k": None},
            ],
            "array<map<string,array<int>>>": [[{"a": [1, None]}, None, {}], []],
            "array<decimal(10,3)>": [[one, None]],
            "array<struct<a:int>>": [[{"a": 1}, (2,), Row(a=3), None]],
            "struct<s:struct<a:int>,m:map<string,int>>": [
                {"s": {"a": 1}, "m": {"k": 1}}, {"s": None}, ((1,), None),
            ],
            "decimal(38,18)": [two, -two, decimal.Decimal("-0.000")],
            "date": [day, time, None],
        }  # fmt: skip
        columns = [
            made(lambda _, value=value: value, kind)("id").alias(f"{kind} {value}")
            for kind, values in cases.items()
            for value in values
        ]
        return list(spark.range(1).select(*columns).collect()[0])

    checks: Checks = {
        "with parts": with_parts,
        "of every type": lambda: rows.select(*[made(repr)(c) for c in rows.columns]).collect(),
        "same": lambda: rows.select(
            *[made(lambda v: v, rows.schema[c].dataType)(c) for c in rows.columns]
        ).collect(),
        "chained": lambda: rows.select(more(double("i")), more("i") + double("i")).collect(),
        "registered": registered,
        "pickled early": late,
        "keywords": lambda: rows.select(made(lambda a, b: f"{a}{b}")(b="i", a="t")).collect(),
        "in where": lambda: rows.where(made(lambda n: n > 1, "boolean")("i")).select("i").collect(),
        "in groups": lambda: rows.groupBy(double("i")).agg(F.sum(more("i"))).orderBy(
            double(F.col("<lambda>(i)"))
        ).collect(),
        "in joins": lambda: sorted(
            rows.join(spark.range(4), made(lambda a, b: a < b, "boolean")("i", "id"))
            .select("i", "id").collect()
        ),
        "in order": lambda: rows.orderBy(made(lambda n: -n, "int")("i")).select("i").collect(),
        "nothing": lambda: rows.where("i > 9").select(more("i")).collect(),
        "shared": lambda: (rows.select(made(counting, "int")("i")).collect(), called.value),
        "nested": nested,
    }  # fmt: skip
    if not use_arrow:
        checks["returned"] = returned
    return checks


def function_checks(spark: SparkSession) -> Checks:
    """Return all checks that can run with what is installed."""
    checks = {f"udf {name}": check for name, check in plain(spark, False).items()}
    if find_spec("pandas") and find_spec("pyarrow"):
        from tests.pyspark.arrow_checks import over_arrow

        checks |= {f"arrow udf {name}": check for name, check in plain(spark, True).items()}
        checks |= {f"over arrow {name}": check for name, check in over_arrow(spark).items()}
    return checks
