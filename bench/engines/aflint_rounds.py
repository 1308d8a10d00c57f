"""What aflint does in rounds, by its own API."""

from __future__ import annotations

from functools import partial
from operator import add
from typing import Any

import aflint
from aflint.rdd import RDD
from bench import programs as p
from bench.engines import Program
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Rounds(Program):
    """A session, warm, and what its users would write for work in rounds."""

    s: aflint.Session

    def lines(self, job: Job, name: str) -> RDD[str]:
        return self.s.text_file(job.files[name], N)

    def pairs(self, job: Job, name: str = "pairs") -> RDD[tuple[int, int]]:
        return self.lines(job, name).map(p.pair)

    async def pagerank(self, job: Job) -> Any:
        links = self.pairs(job, "edges").group_by_key(N).cache()
        ranks: Any = links.map_values(p.first_rank)
        for _ in range(p.ROUNDS):
            given = links.join(ranks, N).flat_map(p.shares)
            ranks = given.reduce_by_key(add, N).map_values(p.damped)
        return p.told_ranks(await ranks.top(5, key=p.by_rank))

    async def components(self, job: Job) -> Any:
        both = self.pairs(job, "edges").flat_map(p.both_ways).partition_by(N)
        labels: Any = both.keys().distinct(N).map(p.itself)
        sums = []
        for _ in range(p.LABEL_ROUNDS):
            labels = labels.union(both.join(labels, N).values()).reduce_by_key(min, N)
            sums.append(await labels.values().sum())
        return sums

    async def k_means(self, job: Job) -> Any:
        points = self.lines(job, "points").map(p.point).cache()
        centres = p.centres(await points.take(p.CENTRES))
        for _ in range(p.MEANS_ROUNDS):
            sums = points.map(partial(p.nearest, centres)).reduce_by_key(p.add_points, N)
            centres = p.moved(centres, await sums.collect())
        return p.told_points(centres)
