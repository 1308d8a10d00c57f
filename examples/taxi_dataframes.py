"""The seven taxi queries as a program of DataFrames: nothing in it knows of aflint.

    aflint submit examples/taxi_dataframes.py data/taxi-200000-1    on aflint
    spark-submit examples/taxi_dataframes.py data/taxi-200000-1     on Spark

It takes the folder and prints the answers of `taxi_pyspark.py`. Lines are read as text and cut at
commas, as there: no one header fits the files of all years.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
from examples.taxi.records import (  # noqa: E402
    CITIGROUP,
    GOLDMAN,
    PAYMENT_FIELD,
    PAYMENT_KINDS,
    Box,
)


def answers(lines: DataFrame, weather: DataFrame) -> dict[str, Any]:
    """Return the answers to Q0 to Q6 over lines of trips (a column `value`) and daily weather (CSV
    without a header), sorted by key.
    """
    trips = lines.select(F.split("value", ",").alias("row"))
    goldman = trips.where(_dropped_off_in(GOLDMAN))
    tip = F.when(_green(), _field(14)).otherwise(_field(15))
    return {
        "Q0": lines.count(),
        "Q1": _by_hour(goldman),
        "Q2": _by_hour(trips.where(_dropped_off_in(CITIGROUP))),
        "Q3": _by_hour(goldman.where(_number(tip) > 10)),
        "Q4": _by_month(trips.where(F.size("row") >= 13), _payment()),
        "Q5": _by_month(trips.where(F.size("row") >= 5), _colour()),
        "Q6": _by_precipitation(trips, weather),
    }


def _field(place: int) -> Column:
    return F.get("row", F.lit(place))


def _number(text: Column) -> Column:
    return text.try_cast("double")


def _green() -> Column:
    return F.size("row") > 19


def _dropped_off_in(box: Box) -> Column:
    longitude = F.when(_green(), _field(7)).otherwise(_field(9))
    latitude = F.when(_green(), _field(8)).otherwise(_field(10))
    known = F.size("row").isin(*PAYMENT_FIELD) & _hour().rlike("^[0-9]+$")
    inside = _number(longitude).between(box.west, box.east)
    return known & inside & _number(latitude).between(box.south, box.north)


def _hour() -> Column:
    return F.substring(_field(2), 12, 2)


def _payment() -> Column:
    field = F.when(_field(3).rlike("^[0-9]+$"), _field(11))
    for count, place in PAYMENT_FIELD.items():
        if place > 11:  # a green trip's
            field = field.when(F.size("row") == count, _field(place))
    kinds: dict[str, list[str]] = {}
    for word, kind in PAYMENT_KINDS.items():
        kinds.setdefault(kind, []).append(word)
    credit, cash = (field.isin(*kinds[kind]) for kind in ("credit", "cash"))
    return F.when(credit, "credit").when(cash, "cash")


def _colour() -> Column:
    passengers = F.when(_field(3).rlike("^(0|[1-9][0-9]{0,2})$"), _field(3).try_cast("int"))
    return F.when(passengers < 256, "yellow").when(_field(3).isin("N", "Y"), "green")


def _by_hour(trips: DataFrame) -> list[Any]:
    counts = trips.groupBy(_hour().cast("int").alias("hour")).count()
    return [tuple(row) for row in counts.orderBy("hour").collect()]


def _by_month(trips: DataFrame, kind: Column) -> list[Any]:
    month = F.substring(_field(1), 1, 7)
    kinds = trips.select(month.alias("month"), kind.alias("kind")).where("kind IS NOT NULL")
    counts = kinds.groupBy("month", "kind").count().orderBy("month", "kind")
    return [((row[0], row[1]), row[2]) for row in counts.collect()]


def _by_precipitation(trips: DataFrame, weather: DataFrame) -> list[Any]:
    date = F.substring(_field(1), 1, 10).alias("date")
    daily = trips.where(F.size("row") >= 3).groupBy(date).count()
    rain = weather.select(F.col("_c2").alias("date"), _number(F.col("_c4")).alias("inches"))
    wet = daily.join(rain.where("date LIKE '20%' AND inches >= 0"), "date")
    tenths = (F.floor(F.col("inches") * 10 + 1e-6) / 10).cast("double").alias("tenths")
    days = wet.groupBy(tenths).agg(F.sum("count").alias("trips"), F.count("*").alias("days"))
    return [(row[0], (row[1], row[2])) for row in days.orderBy("tenths").collect()]


def main(folder: str) -> None:
    """Print the answers for the files of a folder."""
    spark = SparkSession.builder.appName("taxi").getOrCreate()
    trips = spark.read.text(os.path.join(folder, "*_tripdata_*.csv"))
    weather = spark.read.csv(os.path.join(folder, "central_park_weather.csv"))
    for name, answer in answers(trips, weather).items():
        print(name, json.dumps(answer))
    spark.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"Usage: {sys.argv[0]} FOLDER")
    main(sys.argv[1])
