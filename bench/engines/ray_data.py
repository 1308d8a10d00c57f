"""Ray Data on two CPUs."""

from __future__ import annotations

from functools import partial
from typing import Any

import ray
import ray.data
from pyarrow.csv import WriteOptions

from bench import batches as b
from bench import programs as p
from bench.engines.ray_rounds import Rounds
from bench.workload import Job


class Engine(Rounds):
    """What is done once; `Rounds` has the rest."""

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

    def collect(self, job: Job) -> Any:
        rows = self.range(0, job.count).map_batches(b.names).take_all()
        return p.told_list([(row["n"], row["name"]) for row in rows])
