"""Dask's bags, on two processes of one thread."""

from __future__ import annotations

from functools import partial
from operator import add
from pathlib import Path
from typing import Any, ClassVar

from dask import bag

from bench import programs as p
from bench.dask_program import DaskProgram
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Engine(DaskProgram):
    """Bags of lines, cut into blocks of as many bytes as there are partitions."""

    settings: ClassVar = {"distributed.scheduler.work-stealing": True}

    def lines(self, files: str | list[str]) -> Any:
        sizes = [
            Path(path).stat().st_size for path in ([files] if isinstance(files, str) else files)
        ]
        return bag.read_text(files, blocksize=max(sum(sizes) // N + 1, 1 << 10)).map(
            str.rstrip, "\n"
        )

    def pairs(self, job: Job) -> Any:
        return self.lines(job.files["pairs"]).map(p.pair)

    def totals(self, pairs: Any) -> Any:
        return pairs.foldby(p.first, p.add_second, 0, add, 0)

    def taxi(self, job: Job) -> Any:
        lines = self.lines(job.files["trips"])
        if job.case == "Q0":
            return lines.count().compute()
        found = self.totals(lines.map_partitions(partial(p.taxi_pairs, job.case))).compute()
        if job.case != "Q6":
            return sorted(found)
        with open(job.files["weather"]) as weather:
            return p.rain_join(found, weather)

    def word_count(self, job: Job) -> Any:
        words = self.lines(job.files["words"]).map(str.split).flatten()
        return words.frequencies().topk(10, key=p.count_first).compute()

    def group_by(self, job: Job) -> Any:
        groups = self.lines(job.files["pairs"]).map(p.keyed_text).groupby(p.first, shuffle="tasks")
        told = groups.map(lambda group: p.of_group((group[0], [text for _, text in group[1]])))
        return told.fold(p.both_groups).compute()

    def reduce(self, job: Job) -> Any:
        return self.totals(self.pairs(job)).map(p.of_total).fold(p.both_totals).compute()

    def broadcast_join(self, job: Job) -> Any:
        names = self.client.scatter(p.names_in(job.files["names"]), broadcast=True)
        return sorted(self.totals(self.pairs(job).map(p.with_name, names)).compute())

    def distinct(self, job: Job) -> Any:
        return self.pairs(job).pluck(0).distinct().count().compute()

    def k_means(self, job: Job) -> Any:
        points = self.lines(job.files["points"]).map(p.point).persist()
        centres = p.centres(points.take(p.CENTRES, npartitions=-1))
        for _ in range(p.MEANS_ROUNDS):
            near = points.map(partial(p.nearest, centres))
            sums = near.foldby(p.first, p.add_sums, None, p.add_points).compute()
            centres = p.moved(centres, sums)
        return p.told_points(centres)

    def small_jobs(self, job: Job) -> Any:
        bags = (bag.from_sequence(range(n, n + 99), npartitions=N) for n in range(job.count))
        return [each.map(p.square).sum().compute() for each in bags]

    def empty_tasks(self, job: Job) -> int:
        self.client.gather(self.client.map(p.nothing, [()] * job.count, pure=False))
        return job.count

    def six_sides(self, job: Job) -> Any:
        base = self.pairs(job).persist()
        values = base.pluck(1)
        seen = [base.count().compute(), values.sum().compute(), values.max().compute()]
        seen += [base.filter(p.is_even).count().compute(), self.totals(base).count().compute()]
        return [*seen, base.map(p.by_tens).distinct().count().compute()]

    def collect(self, job: Job) -> Any:
        return p.told_list(bag.range(job.count, N).map(p.named).compute())
