"""Ray Data on two CPUs."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, ClassVar

import ray
import ray.data
from pyarrow.csv import WriteOptions

from bench import batches as b
from bench import handwork as h
from bench import programs as p
from bench.engines import Program
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Engine(Program):
    """Datasets of blocks of columns, which functions of numpy arrays are mapped over."""

    cannot: ClassVar = {
        "pagerank": "its join needs an actor for each partition, and two CPUs hold two",
        "components": "its join needs an actor for each partition, and two CPUs hold two",
    }

    async def open(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False

    async def close(self) -> None:
        ray.shutdown()

    def lines(self, files: str | list[str]) -> Any:
        return ray.data.read_text(files, drop_empty_lines=False, override_num_blocks=N)

    def pairs(self, job: Job, name: str = "pairs") -> Any:
        return self.lines(job.files[name]).map_batches(b.pairs)

    def range(self, low: int, high: int) -> Any:
        return ray.data.range(high - low, override_num_blocks=N).map_batches(
            partial(b.numbers, low)
        )

    def taxi(self, job: Job) -> Any:
        lines = self.lines(job.files["trips"])
        if job.case == "Q0":
            return lines.count()
        found = lines.map_batches(partial(b.trips, job.case)).groupby(["key"]).sum("n").take_all()
        counts = [(b.key_of(row["key"]), row["sum(n)"]) for row in found]
        if job.case != "Q6":
            return sorted(counts)
        with open(job.files["weather"]) as weather:
            return p.rain_join(counts, weather)

    def word_count(self, job: Job) -> Any:
        counts = self.lines(job.files["words"]).map_batches(b.words).groupby("word").count()
        best = counts.sort(["count()", "word"], descending=True).take(10)
        return [(row["word"], row["count()"]) for row in best]

    def sort(self, job: Job) -> None:
        options = WriteOptions(include_header=False, quoting_style="none")
        lines = self.lines(job.files["records"]).sort("text")
        lines.write_csv(job.out, arrow_csv_args_fn=lambda: {"write_options": options})

    def group_by(self, job: Job) -> Any:
        pairs = self.lines(job.files["pairs"]).map_batches(b.texts)
        groups = pairs.groupby("k").aggregate(
            ray.data.aggregate.Count(), ray.data.aggregate.Max("v")
        )
        found = groups.to_pandas()
        sizes = found["count()"]
        return [len(found), int(sizes.max()), int((sizes**2).sum()), found["max(v)"].min()]

    def reduce(self, job: Job) -> Any:
        totals = self.pairs(job).groupby("k").sum("v").materialize()
        return [totals.count(), totals.max("sum(v)"), totals.sum("sum(v)")]

    def join(self, job: Job) -> Any:
        right = self.pairs(job, "right").rename_columns({"v": "w"})
        joined = self.pairs(job, "left").join(right, "inner", 2, on=("k",)).map_batches(b.products)
        joined = joined.materialize()
        return [joined.count(), joined.sum("a"), joined.sum("w")]

    def broadcast_join(self, job: Job) -> Any:
        named = self.pairs(job).map_batches(partial(b.with_names, job.files["names"]))
        found = named.groupby("name").sum("v").take_all()
        return sorted((row["name"], row["sum(v)"]) for row in found)

    def distinct(self, job: Job) -> Any:
        return len(self.pairs(job).unique("k"))

    def small_jobs(self, job: Job) -> Any:
        numbers = (self.range(n, n + 99) for n in range(job.count))
        return [each.map_batches(b.squares).sum("n") for each in numbers]

    def empty_tasks(self, job: Job) -> int:
        task = ray.remote(p.nothing)
        ray.get([task.remote(()) for _ in range(job.count)])
        return job.count

    def k_means(self, job: Job) -> Any:
        points = self.lines(job.files["points"]).map_batches(b.points).materialize()
        centres = p.centres([row["point"] for row in points.take(p.CENTRES)])
        for _ in range(p.MEANS_ROUNDS):
            rows = points.map_batches(partial(b.nearest, centres)).take_all()
            sums = h.combine(p.add_points, ((r["at"], (r["total"], r["count"])) for r in rows))
            centres = p.moved(centres, sums.items())
        return p.told_points(centres)

    def six_sides(self, job: Job) -> Any:
        base = self.pairs(job).materialize()
        seen = [base.count(), base.sum("v"), base.max("v"), base.map_batches(b.even).count()]
        seen += [base.groupby("k").sum("v").count(), len(base.map_batches(b.by_tens).unique("v"))]
        return [int(each) for each in seen]

    def collect(self, job: Job) -> Any:
        rows = self.range(0, job.count).map_batches(b.names).take_all()
        return p.told_list([(row["n"], row["name"]) for row in rows])
