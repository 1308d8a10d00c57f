"""What the program by hand does again and again, and the joins."""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from itertools import chain
from operator import add
from typing import Any

from bench import handwork as h
from bench import programs as p
from bench.by_hand import ByHand
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Again(ByHand):
    """Joins, small jobs, and a base looked at from several sides."""

    def join(self, job: Job) -> Any:
        deal = lambda bin: h.by_hash(map(p.pair, h.all_lines(bin)), N)

        def keep(number: int, parts: Any) -> None:
            right = h.HELD["right", number] = defaultdict(list)
            for key, value in chain.from_iterable(parts):
                right[key].append(value)

        def tell(number: int, parts: Any) -> Any:
            right = h.HELD.pop(("right", number))
            pairs = chain.from_iterable(parts)
            joined = ((k, (value, other)) for k, value in pairs for other in right.get(k, ()))
            return reduce(p.add_threes, map(p.of_joined, joined), (0, 0, 0))

        self.swap(job, "right", deal, keep)
        return reduce(p.add_threes, self.swap(job, "left", deal, tell))

    def broadcast_join(self, job: Job) -> Any:
        def count(bin: Any) -> Any:
            names = p.names_in(job.files["names"])
            return h.combine(add, ((names[k], v) for k, v in map(p.pair, h.all_lines(bin))))

        found = self.each(job, "pairs", count)
        return sorted(h.combine(add, chain.from_iterable(part.items() for part in found)).items())

    def small_jobs(self, job: Job) -> Any:
        def square(numbers: range) -> int:
            return sum(map(p.square, numbers))

        cuts = [range(99 * k // N, 99 * (k + 1) // N) for k in range(N)]
        jobs = ([range(n + cut.start, n + cut.stop) for cut in cuts] for n in range(job.count))
        return [sum(self.hands.each(square, parts)) for parts in jobs]

    def empty_tasks(self, job: Job) -> int:
        self.hands.each(p.nothing, ((),) * job.count)
        return job.count

    def six_sides(self, job: Job) -> Any:
        def keep(item: Any) -> None:
            h.HELD["base", item[0]] = list(map(p.pair, h.all_lines(item[1])))

        def see(number: int) -> Any:
            base = h.HELD["base", number]
            values = [value for _, value in base]
            even = sum(map(p.is_even, base))
            return len(base), sum(values), max(values), even, set(map(p.by_tens, base))

        self.hands.each(keep, enumerate(h.chunks([job.files["pairs"]], N)))
        counts, sums, most, even, tens = zip(*self.hands.each(see, range(N)), strict=True)
        keys = self.hands.exchange(
            range(N),
            lambda number: h.by_hash(h.combine(add, h.HELD["base", number]).items(), N),
            lambda number, parts: len(h.combine(add, chain.from_iterable(parts))),
            N,
        )
        return [sum(counts), sum(sums), max(most), sum(even), sum(keys), len(set().union(*tens))]
