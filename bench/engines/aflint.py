"""aflint by its own API, on the backend that the argument names, with two workers."""

from __future__ import annotations

from operator import add
from typing import Any

import aflint
from bench import programs as p
from bench.engines.aflint_rounds import Rounds
from bench.programs import PARTITIONS as N
from bench.workload import Job
from examples.taxi.queries import QUERIES


class Engine(Rounds):
    """The program that a session's users would write; `Rounds` has the rest."""

    async def open(self) -> None:
        self.s = await aflint.open(backend=self.argument, workers=2, progress=False)

    async def close(self) -> None:
        await self.s.aclose()

    def shuffled(self) -> int:
        return sum(job.metrics.shuffle_write_bytes for job in self.s.jobs)

    async def taxi(self, job: Job) -> Any:
        query = next(query for query in QUERIES if query.name == job.case)
        trips, weather = (self.s.text_file(job.files[name]) for name in ("trips", "weather"))
        return await query.answer(trips, weather)

    async def word_count(self, job: Job) -> Any:
        words = self.lines(job, "words").flat_map(str.split).map(p.one)
        return await words.reduce_by_key(add, N).top(10, key=p.count_first)

    async def sort(self, job: Job) -> None:
        lines = self.lines(job, "records").sort_by(p.sort_key, num_partitions=N)
        await lines.save_as_text_file(job.out)

    async def group_by(self, job: Job) -> Any:
        pairs = self.lines(job, "pairs").map(p.keyed_text)
        return await pairs.group_by_key(N).map(p.of_group).reduce(p.both_groups)

    async def reduce(self, job: Job) -> Any:
        totals = self.pairs(job).reduce_by_key(add, N)
        return await totals.map(p.of_total).reduce(p.both_totals)

    async def join(self, job: Job) -> Any:
        joined = self.pairs(job, "left").join(self.pairs(job, "right"), N)
        return await joined.map(p.of_joined).reduce(p.add_threes)

    async def broadcast_join(self, job: Job) -> Any:
        names = self.s.broadcast(p.names_in(job.files["names"]))
        named = self.pairs(job).map(lambda pair: (names.value[pair[0]], pair[1]))
        return sorted(await named.reduce_by_key(add, N).collect())

    async def distinct(self, job: Job) -> Any:
        return await self.pairs(job).keys().distinct(N).count()

    async def small_jobs(self, job: Job) -> Any:
        return [await self.s.range(n, n + 99, 1, N).map(p.square).sum() for n in range(job.count)]

    async def empty_tasks(self, job: Job) -> int:
        await self.s.parallelize([], job.count).foreach_partition(p.nothing)
        return job.count

    async def six_sides(self, job: Job) -> Any:
        base = self.pairs(job).cache()
        seen = [await base.count(), await base.values().sum(), await base.values().max()]
        seen += [await base.filter(p.is_even).count(), await base.reduce_by_key(add, N).count()]
        return [*seen, await base.map(p.by_tens).distinct(N).count()]

    async def collect(self, job: Job) -> Any:
        return p.told_list(await self.s.range(0, job.count, 1, N).map(p.named).collect())
