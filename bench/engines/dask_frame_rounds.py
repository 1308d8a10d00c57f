"""What Dask's data frames do in rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.dataframe as dd

from bench import programs as p
from bench.dask_program import DaskProgram
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Rounds(DaskProgram):
    """Frames of files' columns, cut into blocks of as many bytes as there are partitions."""

    def table(self, path: str, *columns: str, separator: str = " ") -> Any:
        types = {"v": "str"} if "text" in columns else {}
        block = max(Path(path).stat().st_size // N + 1, 1 << 10)
        form = {"sep": separator, "header": None, "quoting": 3, "names": columns}
        return dd.read_csv(path, blocksize=block, dtype=types, **form)

    def pagerank(self, job: Job) -> Any:
        edges = self.table(job.files["edges"], "src", "dst")
        degrees = edges.groupby("src").size(split_out=N).rename("deg").reset_index()
        links = edges.merge(degrees, on="src").persist()
        ranks = degrees.assign(rank=1.0)[["src", "rank"]]
        for _ in range(p.ROUNDS):
            given = links.merge(ranks, on="src").assign(s=lambda f: f["rank"] / f.deg)
            sums = given.groupby("dst").s.sum(split_out=N).reset_index()
            ranks = sums.assign(rank=0.15 + 0.85 * sums.s).rename(columns={"dst": "src"})
            ranks = ranks[["src", "rank"]].persist()
        best = ranks.nlargest(5, ["rank", "src"]).compute()
        return p.told_ranks((int(page), float(rank)) for page, rank in best.itertuples(index=False))

    def components(self, job: Job) -> Any:
        edges = self.table(job.files["edges"], "src", "dst")
        back = edges.rename(columns={"src": "dst", "dst": "src"})[["src", "dst"]]
        ways = dd.concat([edges, back]).persist()
        labels = ways[["src"]].drop_duplicates(split_out=N).assign(label=lambda f: f.src)
        sums = []
        for _ in range(p.LABEL_ROUNDS):
            near = ways.merge(labels, on="src")[["dst", "label"]].rename(columns={"dst": "src"})
            least = dd.concat([labels, near]).groupby("src").label.min(split_out=N)
            labels = least.reset_index().persist()
            sums.append(int(labels.label.sum().compute()))
        return sums
