"""What the program by hand does in rounds: processes keep what they read."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from heapq import nlargest
from itertools import chain
from operator import add
from typing import Any

from bench import handwork as h
from bench import programs as p
from bench.by_hand import ByHand
from bench.programs import PARTITIONS as N
from bench.workload import Job


class Rounds(ByHand):
    """What is done in rounds."""

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
