"""A PySpark program, which aflint runs unchanged: averages by key, with a broadcast table."""

from __future__ import annotations

from pyspark import SparkContext

sc = SparkContext()
names = sc.broadcast({"1": "card", "2": "cash"})
trips = sc.parallelize(["1,10.0", "2,4.0", "1,20.0", "2,6.0", "1,30.0"], 2)
pairs = trips.map(lambda line: line.split(",")).map(lambda row: (row[0], float(row[1])))
sums = pairs.aggregateByKey(
    (0.0, 0),
    lambda acc, value: (acc[0] + value, acc[1] + 1),
    lambda a, b: (a[0] + b[0], a[1] + b[1]),
)
print(sorted(sums.map(lambda row: (names.value[row[0]], row[1][0] / row[1][1])).collect()))
sc.stop()
