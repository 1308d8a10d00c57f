"""Dask's data frames, shuffled by P2P, on two processes of one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import dask
import dask.dataframe as dd
import pandas as pd

from bench import programs as p
from bench.engines.dask_frame_rounds import Rounds
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Engine(Rounds):
    """What is done once; `Rounds` has the rest."""

    settings: ClassVar = {"dataframe.shuffle.method": "p2p"}

    def pairs(self, job: Job, name: str = "pairs") -> Any:
        return self.table(job.files[name], "k", "v")

    def word_count(self, job: Job) -> Any:
        lines = self.table(job.files["words"], "line", separator="\x01").line
        counts = lines.str.split().explode().value_counts(split_out=N).compute()
        counts = counts[counts >= counts.nlargest(10).min()]
        return sorted(((str(w), int(c)) for w, c in counts.items()), key=p.count_first)[:-11:-1]

    def sort(self, job: Job) -> None:
        lines = self.table(job.files["records"], "line", separator="\x01")
        lines["key"] = lines.line.str.slice(0, 10)
        Path(job.out).mkdir()
        form = {"header": False, "index": False, "quoting": 3, "sep": "\x01"}
        lines.sort_values("key")[["line"]].to_csv(f"{job.out}/part-*.txt", **form)

    def group_by(self, job: Job) -> Any:
        groups = self.table(job.files["pairs"], "k", "text").groupby("k").text
        found = groups.agg(["size", "max"], split_out=N).compute()
        sizes = found["size"]
        return [len(found), int(sizes.max()), int((sizes**2).sum()), found["max"].min()]

    def reduce(self, job: Job) -> Any:
        totals = self.pairs(job).groupby("k").v.sum(split_out=N)
        return [int(n) for n in dask.compute(totals.size, totals.max(), totals.sum())]

    def join(self, job: Job) -> Any:
        right = self.pairs(job, "right").rename(columns={"v": "w"})
        joined = self.pairs(job, "left").merge(right, on="k")
        product = joined.k * joined.v
        return [int(n) for n in dask.compute(product.size, product.sum(), joined.w.sum())]

    def broadcast_join(self, job: Job) -> Any:
        names = pd.DataFrame(p.names_in(job.files["names"]).items(), columns=["k", "name"])
        found = self.pairs(job).merge(names, on="k").groupby("name").v.sum().compute()
        return sorted((name, int(total)) for name, total in found.items())

    def distinct(self, job: Job) -> Any:
        return int(self.pairs(job).k.drop_duplicates(split_out=N).size.compute())

    def small_jobs(self, job: Job) -> Any:
        frames = (pd.DataFrame({"n": range(n, n + 99)}) for n in range(job.count))
        return [int((dd.from_pandas(f, npartitions=N).n ** 2).sum().compute()) for f in frames]

    def collect(self, job: Job) -> Any:
        numbers = dd.from_pandas(pd.DataFrame({"n": range(job.count)}), npartitions=N)
        found = numbers.assign(name=lambda f: "n" + f.n.astype(str)).compute()
        return p.told_list(list(found.itertuples(index=False, name=None)))

    def six_sides(self, job: Job) -> Any:
        base = self.pairs(job).persist()
        asked = [base.v.size, base.v.sum(), base.v.max(), (base.v % 2 == 0).sum()]
        asked += [base.groupby("k").v.sum(split_out=N).size, (base.v % 1000).nunique()]
        return [int(each.compute()) for each in asked]
