"""What the program by hand does in rounds, or again and again: processes keep what they read."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from heapq import nlargest
from itertools import chain
from operator import add
from typing import Any

from bench import handwork as h
from bench import programs as p
from bench.engines import Program
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Rounds(Program):
    """What is done in rounds."""

    async def open(self) -> None:
        self.hands = h.Hands()

    async def close(self) -> None:
        self.hands.close()

    def shuffled(self) -> int:
        return self.hands.exchanged

    def swap(self, job: Job, name: str, deal: Any, take: Any) -> list[Any]:
        return self.hands.exchange(h.chunks([job.files[name]], N), deal, take, N)

    def each(self, job: Job, name: str, work: Any) -> list[Any]:
        return self.hands.each(work, h.chunks([job.files[name]], N))

    def pagerank(self, job: Job) -> Any:
        def keep(number: int, parts: Any) -> None:
            links = h.HELD["links", number] = defaultdict(list)
            for page, link in chain.from_iterable(parts):
                links[page].append(link)
            h.HELD["ranks", number] = dict.fromkeys(links, 1.0)

        def give(number: int) -> Any:
            links, ranks = h.HELD["links", number], h.HELD["ranks", number]
            known = ((page, (links[page], rank)) for page, rank in ranks.items() if page in links)
            given = h.combine(add, chain.from_iterable(map(p.shares, known)))
            return h.by_hash(given.items(), N)

        def take(number: int, parts: Any) -> None:
            given = h.combine(add, chain.from_iterable(parts))
            h.HELD["ranks", number] = {page: p.damped(total) for page, total in given.items()}

        def best(number: int) -> Any:
            return nlargest(5, h.HELD["ranks", number].items(), key=p.by_rank)

        self.swap(job, "edges", lambda bin: h.by_hash(map(p.pair, h.all_lines(bin)), N), keep)
        for _ in range(p.ROUNDS):
            self.hands.exchange(range(N), give, take, N)
        found = chain.from_iterable(self.hands.each(best, range(N)))
        return p.told_ranks(nlargest(5, found, key=p.by_rank))

    def components(self, job: Job) -> Any:
        def deal(bin: Any) -> Any:
            edges = map(p.both_ways, map(p.pair, h.all_lines(bin)))
            return h.by_hash(chain.from_iterable(edges), N)

        def keep(number: int, parts: Any) -> None:
            near = h.HELD["near", number] = defaultdict(list)
            for vertex, other in chain.from_iterable(parts):
                near[vertex].append(other)
            h.HELD["labels", number] = {vertex: vertex for vertex in near}

        def tell(number: int) -> Any:
            near, labels = h.HELD["near", number], h.HELD["labels", number]
            told = ((other, label) for vertex, label in labels.items() for other in near[vertex])
            return h.by_hash(h.combine(min, told).items(), N)

        def take(number: int, parts: Any) -> int:
            labels = h.HELD["labels", number]
            for vertex, label in chain.from_iterable(parts):
                if label < labels[vertex]:
                    labels[vertex] = label
            return sum(labels.values())

        self.swap(job, "edges", deal, keep)
        return [sum(self.hands.exchange(range(N), tell, take, N)) for _ in range(p.LABEL_ROUNDS)]

    def k_means(self, job: Job) -> Any:
        def keep(item: Any) -> None:
            h.HELD["points", item[0]] = p.centres(list(map(p.point, h.all_lines(item[1]))))

        def sums(centres: Any, number: int) -> Any:
            points = h.HELD["points", number]
            index = ((points[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
            return [
                (at, (points[index == at].sum(axis=0), int((index == at).sum())))
                for at in range(len(centres))
            ]

        self.hands.each(keep, enumerate(h.chunks([job.files["points"]], N)))
        with open(job.files["points"]) as file:
            centres = p.centres([p.point(next(file)) for _ in range(p.CENTRES)])
        for _ in range(p.MEANS_ROUNDS):
            found = chain.from_iterable(self.hands.each(partial(sums, centres), range(N)))
            totals = h.combine(p.add_points, found)
            centres = p.moved(centres, (each for each in totals.items() if each[1][1]))
        return p.told_points(centres)

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
