"""What Ray Data does in rounds, or again and again."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import ray
import ray.data

from bench import batches as b
from bench import handwork as h
from bench import programs as p
from bench.engines import Program
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Rounds(Program):
    """Datasets of blocks of columns, which functions of numpy arrays are mapped over."""

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
