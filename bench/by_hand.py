"""What the program by hand shares among its workloads: two processes, kept warm."""

from __future__ import annotations

from typing import Any

from bench import handwork as h
from bench.engines import Program
from bench.programs import PARTITIONS as N
from bench.workload import Job


class ByHand(Program):
    """The processes, and parts of files for them."""

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
