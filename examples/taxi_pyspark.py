"""The seven taxi queries as an ordinary PySpark program: nothing in it knows of aflint.

    aflint submit examples/taxi_pyspark.py data/taxi-200000-1    on aflint, without a JVM
    spark-submit examples/taxi_pyspark.py data/taxi-200000-1     on Spark

The folder holds trips, *_tripdata_*.csv, and daily weather, central_park_weather.csv; `make demo`
makes one. Answers are printed as JSON, one query a line.
"""

from __future__ import annotations

import json
import os
import sys
from operator import add
from typing import Any

from pyspark import RDD
from pyspark.sql import SparkSession

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)  # for the driver; and for what it starts:
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
from examples.taxi import records as r  # noqa: E402

PARTITIONS = 30


def answers(trips: RDD[str], weather: RDD[str]) -> dict[str, Any]:
    """Return the answers to Q0 to Q6, sorted by key."""
    goldman = trips.filter(r.near_goldman).map(r.split).filter(r.at_goldman)
    citigroup = trips.filter(r.near_citigroup).map(r.split).filter(r.at_citigroup)
    daily = trips.map(r.date_of_pick_up).filter(bool).reduceByKey(add, PARTITIONS)
    rain = weather.map(r.date_and_precipitation).filter(bool)
    wet = daily.join(rain, PARTITIONS).map(r.by_precipitation)
    return {
        "Q0": trips.count(),
        "Q1": counted(goldman.map(r.hour_of_drop_off)),
        "Q2": counted(citigroup.map(r.hour_of_drop_off)),
        "Q3": counted(goldman.filter(r.tipped_over_ten).map(r.hour_of_drop_off)),
        "Q4": counted(trips.map(r.month_and_payment).filter(bool)),
        "Q5": counted(trips.map(r.month_and_colour).filter(bool)),
        "Q6": sorted(wet.reduceByKey(r.add_pairs, PARTITIONS).collect()),
    }


def counted(pairs: RDD[Any]) -> list[Any]:
    """Return the sums of pairs by key."""
    return sorted(pairs.reduceByKey(add, PARTITIONS).collect())


def main(folder: str) -> None:
    """Print the answers for the files of a folder."""
    spark = SparkSession.builder.appName("taxi").getOrCreate()
    context = spark.sparkContext
    trips = context.textFile(os.path.join(folder, "*_tripdata_*.csv"))
    weather = context.textFile(os.path.join(folder, "central_park_weather.csv"))
    for name, answer in answers(trips, weather).items():
        print(name, json.dumps(answer))
    spark.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"Usage: {sys.argv[0]} FOLDER")
    main(sys.argv[1])
