"""What PySpark's RDDs do in rounds."""

from __future__ import annotations

from functools import partial
from operator import add
from typing import Any

from bench import programs as p
from bench.engines import Program
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Rounds(Program):
    """A SparkContext, and what its users would write for work in rounds."""

    c: Any

    def lines(self, job: Job, name: str) -> Any:
        return self.c.textFile(job.files[name], N)

    def pairs(self, job: Job, name: str = "pairs") -> Any:
        return self.lines(job, name).map(p.pair)

    def pagerank(self, job: Job) -> Any:
        links = self.pairs(job, "edges").groupByKey(N).cache()
        ranks = links.mapValues(p.first_rank)
        for _ in range(p.ROUNDS):
            given = links.join(ranks, N).flatMap(p.shares)
            ranks = given.reduceByKey(add, N).mapValues(p.damped)
        return p.told_ranks(ranks.top(5, key=p.by_rank))

    def components(self, job: Job) -> Any:
        both = self.pairs(job, "edges").flatMap(p.both_ways).partitionBy(N)
        labels = both.keys().distinct(N).map(p.itself)
        sums = []
        for _ in range(p.LABEL_ROUNDS):
            labels = labels.union(both.join(labels, N).values()).reduceByKey(min, N)
            sums.append(labels.values().sum())
        return sums

    def k_means(self, job: Job) -> Any:
        points = self.lines(job, "points").map(p.point).cache()
        centres = p.centres(points.take(p.CENTRES))
        for _ in range(p.MEANS_ROUNDS):
            sums = points.map(partial(p.nearest, centres)).reduceByKey(p.add_points, N)
            centres = p.moved(centres, sums.collect())
        return p.told_points(centres)
