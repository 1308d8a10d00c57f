"""A PySpark program, which aflint runs unchanged: the longest trips of each day, by sorting."""

from __future__ import annotations

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("longest trips").getOrCreate()
sc = spark.sparkContext
trips = sc.parallelize([("mon", 3), ("tue", 9), ("mon", 7), ("mon", 5), ("tue", 2)], 3)
longest = trips.groupByKey(2).mapValues(lambda lengths: sorted(lengths, reverse=True)[:2])
print(sorted(longest.collect()))
print(trips.values().sortBy(lambda length: -length).take(2))
spark.stop()
