"""The seven queries in PySpark."""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING, Any

from bench.peers.pyspark_program import Answer, serve
from examples.taxi import records as r

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext


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


def open_files(context: SparkContext, files: dict[str, Any]) -> Answer:
    """Return what answers queries about these files."""
    trips = context.textFile(",".join(files["trips"]))
    weather = context.textFile(files["weather"])
    return lambda query: answer(query, trips, weather)


if __name__ == "__main__":
    serve(open_files)
