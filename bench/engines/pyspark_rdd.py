"""PySpark's RDDs: by Spark itself with `local[2]`, and the same program on aflint, with no JVM."""

from __future__ import annotations

from operator import add
from typing import Any

from bench import programs as p
from bench.engines.pyspark_rounds import Rounds
from bench.peers import pyspark_taxi
from bench.peers.pyspark_program import start
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Engine(Rounds):
    """The program that a SparkContext's users would write; `Rounds` has the rest."""

    async def open(self) -> None:
        self.c = start()

    async def close(self) -> None:
        self.c.stop()

    def shuffled(self) -> int | None:
        if self.argument == "aflint":
            return None
        executors = self.c._jsc.sc().statusStore().executorList(False)
        return sum(int(executors.apply(n).totalShuffleWrite()) for n in range(executors.size()))

    def taxi(self, job: Job) -> Any:
        trips = self.c.textFile(",".join(job.files["trips"]))
        return pyspark_taxi.answer(job.case, trips, self.c.textFile(job.files["weather"]))

    def word_count(self, job: Job) -> Any:
        words = self.lines(job, "words").flatMap(str.split).map(p.one)
        return words.reduceByKey(add, N).top(10, key=p.count_first)

    def sort(self, job: Job) -> None:
        lines = self.lines(job, "records").sortBy(p.sort_key, numPartitions=N)
        lines.saveAsTextFile(job.out)

    def group_by(self, job: Job) -> Any:
        pairs = self.lines(job, "pairs").map(p.keyed_text)
        return pairs.groupByKey(N).map(p.of_group).reduce(p.both_groups)

    def reduce(self, job: Job) -> Any:
        totals = self.pairs(job).reduceByKey(add, N)
        return totals.map(p.of_total).reduce(p.both_totals)

    def join(self, job: Job) -> Any:
        joined = self.pairs(job, "left").join(self.pairs(job, "right"), N)
        return joined.map(p.of_joined).reduce(p.add_threes)

    def broadcast_join(self, job: Job) -> Any:
        names = self.c.broadcast(p.names_in(job.files["names"]))
        named = self.pairs(job).map(lambda pair: (names.value[pair[0]], pair[1]))
        return sorted(named.reduceByKey(add, N).collect())

    def distinct(self, job: Job) -> Any:
        return self.pairs(job).keys().distinct(N).count()

    def small_jobs(self, job: Job) -> Any:
        return [self.c.range(n, n + 99, 1, N).map(p.square).sum() for n in range(job.count)]

    def empty_tasks(self, job: Job) -> int:
        self.c.parallelize([], job.count).foreachPartition(p.nothing)
        return job.count

    def six_sides(self, job: Job) -> Any:
        base = self.pairs(job).cache()
        seen = [base.count(), base.values().sum(), base.values().max()]
        seen += [base.filter(p.is_even).count(), base.reduceByKey(add, N).count()]
        return [*seen, base.map(p.by_tens).distinct(N).count()]

    def collect(self, job: Job) -> Any:
        return p.told_list(self.c.range(0, job.count, 1, N).map(p.named).collect())
