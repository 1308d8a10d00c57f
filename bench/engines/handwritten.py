"""A program by hand for each workload: two processes, and the parts in `bench.handwork`."""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from functools import reduce
from heapq import nlargest
from itertools import chain, pairwise
from operator import add
from pathlib import Path
from typing import Any

from bench import handwork as h
from bench import programs as p
from bench.engines.handwritten_again import Again
from bench.engines.handwritten_rounds import Rounds
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Engine(Rounds, Again):
    """What is done once; `Rounds` and `Again` have the rest."""

    def taxi(self, job: Job) -> Any:
        bins = h.chunks(job.files["trips"], 16)
        if job.case == "Q0":
            return sum(self.hands.each(lambda bin: sum(1 for _ in h.all_lines(bin)), bins))
        count = lambda bin: h.combine(add, p.taxi_pairs(job.case, h.all_lines(bin)))
        totals = self.hands.each(count, bins)
        found = h.combine(add, chain.from_iterable(total.items() for total in totals))
        if job.case != "Q6":
            return sorted(found.items())
        with open(job.files["weather"]) as weather:
            return p.rain_join(found.items(), weather)

    def word_count(self, job: Job) -> Any:
        def count(bin: Any) -> Any:
            words = chain.from_iterable(map(str.split, h.all_lines(bin)))
            return h.by_hash(Counter(words).items(), N)

        def most(number: int, parts: Any) -> Any:
            counts = h.combine(add, chain.from_iterable(parts))
            return nlargest(10, counts.items(), key=p.count_first)

        found = self.swap(job, "words", count, most)
        return nlargest(10, chain.from_iterable(found), key=p.count_first)

    def sort(self, job: Job) -> None:
        Path(job.out).mkdir()
        path = job.files["records"]
        with open(path, "rb") as file:  # the keys are random, so that its head is a sample
            sample = sorted(file.readlines(1 << 20))
        bounds = [sample[len(sample) * n // N] for n in range(1, N)]

        def cut(bin: Any) -> Any:
            lines = sorted(h.raw_lines(bin))
            cuts = [0, *(bisect(lines, bound) for bound in bounds), len(lines)]
            return [lines[low:high] for low, high in pairwise(cuts)]

        def write(number: int, parts: Any) -> None:
            with open(f"{job.out}/part-{number:05}", "wb") as file:
                file.writelines(sorted(chain.from_iterable(parts)))

        self.swap(job, "records", cut, write)

    def group_by(self, job: Job) -> Any:
        def deal(bin: Any) -> Any:
            return h.by_hash(map(p.keyed_text, h.all_lines(bin)), N)

        def tell(number: int, parts: Any) -> Any:
            groups = defaultdict(list)
            for key, text in chain.from_iterable(parts):
                groups[key].append(text)
            return reduce(p.both_groups, map(p.of_group, groups.items()))

        return reduce(p.both_groups, self.swap(job, "pairs", deal, tell))

    def reduce(self, job: Job) -> Any:
        def deal(bin: Any) -> Any:
            return h.by_hash(h.combine(add, map(p.pair, h.all_lines(bin))).items(), N)

        def tell(number: int, parts: Any) -> Any:
            totals = h.combine(add, chain.from_iterable(parts))
            return reduce(p.both_totals, map(p.of_total, totals.items()))

        return reduce(p.both_totals, self.swap(job, "pairs", deal, tell))

    def distinct(self, job: Job) -> Any:
        def deal(bin: Any) -> Any:
            return h.by_hash({key: None for key, _ in map(p.pair, h.all_lines(bin))}.items(), N)

        tell = lambda number, parts: len(dict(chain.from_iterable(parts)))
        return sum(self.swap(job, "pairs", deal, tell))

    def collect(self, job: Job) -> Any:
        bins = [range(job.count * n // N, job.count * (n + 1) // N) for n in range(N)]
        found = self.hands.each(lambda bin: list(map(p.named, bin)), bins)
        return p.told_list(list(chain.from_iterable(found)))
