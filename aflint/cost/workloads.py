"""The jobs that `aflint simulate` knows by name, with what was measured of each.

CPU seconds were measured with two workers on `local`, of two cores that had other work to do: some
1.2 to 2 times what quiet ones take, which stands in for Lambda's slower vCPUs. `--from` takes what
a job of one's own was recorded to take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aflint.cost.load import Workload
from aflint.errors import InvalidArgumentError

_NS: Final = 1e-9

MERGE_S: Final = 25 * _NS
"""CPU seconds for a byte, compressed, that the middle stage of a two-level exchange passes on: it
decodes and encodes the records."""

_FEW: Final = 1_000.0
"""What a map task sends of a few combined keys."""


def _taxi(map_ns: float, rounds: int = 1) -> Workload:
    return Workload(map_ns * _NS, 5e-6, combined_bytes=_FEW, reducers=30, rounds=rounds)


WORKLOADS: Final[Mapping[str, Workload]] = {
    # Lines as gensort -a makes them (100 bytes, keys of 10), of 57 MB: sort_by_key reads its input
    # twice, to sample and to sort; 100 bytes are 52 compressed.
    "sort": Workload(28 * _NS, 97 * _NS, (7 * _NS,), shuffled=0.52, written=2.1),
    # Words of a vocabulary of 5,000, of 21 MB.
    "word-count": Workload(102 * _NS, 0.4e-6, combined_bytes=35_000.0, reducers=30),
    "scan": Workload(2.5 * _NS),
    # Flint's queries over taxi trips, of 30 MB.
    "Q0": Workload(2.5 * _NS),
    "Q1": _taxi(8.0),
    "Q2": _taxi(8.5),
    "Q3": _taxi(4.3),
    "Q4": _taxi(10.2),
    "Q5": _taxi(9.6),
    "Q6": _taxi(9.1, rounds=3),
}


def workload_named(name: str) -> Workload:
    """Return a workload. Raises InvalidArgumentError for a name that is not known."""
    if name not in WORKLOADS:
        raise InvalidArgumentError(
            f"no workload is called {name!r}; there are {', '.join(WORKLOADS)}, and --from takes a "
            "job of the history"
        )
    return WORKLOADS[name]
