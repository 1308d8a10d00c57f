"""Lithops on this machine: functions called in processes, with no shuffle between them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial, reduce
from itertools import chain, pairwise
from operator import add, or_
from typing import Any

import lithops

from bench import by_parts as of
from bench import handwork as h
from bench import programs as p
from bench.engines import Program
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Engine(Program):
    """What functions make of parts of a file goes to this process, which puts it together."""

    async def open(self) -> None:
        self.executor = lithops.FunctionExecutor(
            config={
                "lithops": {"backend": "localhost", "storage": "localhost", "data_limit": False},
                "localhost": {"runtime": sys.executable, "max_workers": 2},
            },
            log_level="ERROR",
        )

    async def close(self) -> None:
        self.executor.__exit__(None, None, None)

    def each(self, work: Callable[..., Any], items: Iterable[Any]) -> list[Any]:
        futures = self.executor.map(
            work, [item if isinstance(item, tuple) and item else (item,) for item in items]
        )
        found: list[Any] = self.executor.get_result(futures)
        self.executor.clean(on_exit=False)
        return found

    def parts(self, job: Job, name: str, work: Callable[[Any], Any], parts: int = N) -> list[Any]:
        files = job.files[name]
        return self.each(work, h.chunks(files if isinstance(files, list) else [files], parts))

    def taxi(self, job: Job) -> Any:
        work = of.count_lines if job.case == "Q0" else partial(of.count_trips, job.case)
        found = self.parts(job, "trips", work)
        if job.case == "Q0":
            return sum(found)
        totals = of.add_up(found).items()
        if job.case != "Q6":
            return sorted(totals)
        with open(job.files["weather"]) as weather:
            return p.rain_join(totals, weather)

    def word_count(self, job: Job) -> Any:
        counts: Counter[str] = reduce(add, map(Counter, self.parts(job, "words", of.count_words)))
        return sorted(counts.items(), key=p.count_first, reverse=True)[:10]

    def reduce(self, job: Job) -> Any:
        totals = of.add_up(self.parts(job, "pairs", of.add_pairs))
        return reduce(p.both_totals, map(p.of_total, totals.items()))

    def broadcast_join(self, job: Job) -> Any:
        return sorted(
            of.add_up(self.parts(job, "pairs", partial(of.add_named, job.files["names"]))).items()
        )

    def distinct(self, job: Job) -> Any:
        return len(reduce(or_, self.parts(job, "pairs", of.keys)))

    def k_means(self, job: Job) -> Any:
        with open(job.files["points"]) as file:
            centres = p.centres([p.point(next(file)) for _ in range(p.CENTRES)])
        for _ in range(p.MEANS_ROUNDS):
            found = self.parts(job, "points", partial(of.sums, centres))
            totals = h.combine(p.add_points, chain.from_iterable(found))
            centres = p.moved(centres, totals.items())
        return p.told_points(centres)

    def small_jobs(self, job: Job) -> Any:
        cuts = [[n + 99 * k // N for k in range(N + 1)] for n in range(job.count)]
        return [sum(self.each(of.squares, pairwise(cut))) for cut in cuts]

    def empty_tasks(self, job: Job) -> int:
        self.each(p.nothing, [()] * job.count)
        return job.count

    def collect(self, job: Job) -> Any:
        cuts = [job.count * k // N for k in range(N + 1)]
        found = self.each(of.names, pairwise(cuts))
        return p.told_list(list(chain.from_iterable(found)))
