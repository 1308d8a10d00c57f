"""Programs in PySpark that look at one shuffle again and again, without `cache()`."""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import add
from typing import TYPE_CHECKING, Any

from bench.peers.pyspark_program import Answer, serve

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

PARTITIONS = 4
ROUNDS = 8


def explore(context: SparkContext, words: str) -> dict[str, Any]:
    """Ask six things about the counts of a file's words, and how often the map function ran."""
    mapped = context.accumulator(0)

    def pair(word: str) -> tuple[str, int]:
        mapped.add(1)
        return word, 1

    lines = context.textFile(words, PARTITIONS)
    counts = lines.flatMap(str.split).map(pair).reduceByKey(add, PARTITIONS)
    asked: list[Callable[[], Any]] = [
        counts.count,
        lambda: counts.top(3, key=lambda pair: (pair[1], pair[0])),
        counts.values().max,
        counts.values().sum,
        lambda: counts.filter(lambda pair: pair[1] == 1).count(),
        lambda: len(counts.take(2)),
    ]
    answers, seconds = _timed(asked)
    return {"answers": [*answers, mapped.value], "seconds": seconds}


def label(context: SparkContext, edges: str) -> dict[str, Any]:
    """Give each vertex the least label near it, eight times, and sum the labels after each."""
    pairs = context.textFile(edges, PARTITIONS).map(lambda line: tuple(map(int, line.split())))
    both = pairs.flatMap(lambda pair: [pair, (pair[1], pair[0])]).partitionBy(PARTITIONS)
    labels: RDD[Any] = both.keys().distinct(PARTITIONS).map(lambda vertex: (vertex, vertex))

    def propagate() -> int:
        nonlocal labels
        near = both.join(labels, PARTITIONS).map(lambda pair: pair[1])
        labels = labels.union(near).reduceByKey(min, PARTITIONS)
        return int(labels.values().sum())

    answers, seconds = _timed([propagate] * ROUNDS)
    return {"answers": answers, "seconds": seconds}


def _timed(asked: list[Callable[[], Any]]) -> tuple[list[Any], list[float]]:
    answers, seconds = [], []
    for ask in asked:
        started = time.perf_counter()
        answers.append(ask())
        seconds.append(time.perf_counter() - started)
    return answers, seconds


def open_files(context: SparkContext, files: dict[str, Any]) -> Answer:
    """Return what runs one of the programs."""
    programs = {"explore": explore, "label": label}
    return lambda name: programs[name](context, files[name])


if __name__ == "__main__":
    serve(open_files)
