"""Queries of DataFrames as steps of random programs: what Spark plans of them, and what they mean.

The plans were recorded, by `python -m tests.simulation.record_plans`: no seed starts a JVM. What a
seed varies is how many partitions their exchanges have, and the settings of adaptive execution.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from aflint.plan.lineage import Mapped, Node, PerPartition

if TYPE_CHECKING:
    from aflint.driver.jobs import JobRunner
    from aflint.sql.results import Named

Pair = tuple[int, int]
Meaning = Callable[..., list[Pair]]

TABLES = ("aflint-sim:/a", "aflint-sim:/b")
"""What the planner knows the RDDs of rows by that are the tables `a` and `b`."""

PARTITIONS = 4
"""How many partitions the exchanges of the recorded plans have."""

ADAPTIVE: tuple[dict[str, Any], ...] = (
    {"enabled": False},
    # Small neighbours are read by one task
    {"advisory_bytes": 1 << 20, "least_bytes": 1 << 10, "broadcast_bytes": -1},
    # A join's small side is broadcast, the other one not shuffled
    {"broadcast_bytes": 1 << 20, "nonempty_ratio": 0.0},
    # A join's large partitions are read by several tasks
    {
        "coalesces": False,
        "broadcast_bytes": -1,
        "skew_factor": 1.0,
        "skew_bytes": 1,
        "advisory_bytes": 1,
        "least_bytes": 1,
    },
)
"""Settings, each of which has the sizes of simulated shuffles decide something else."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query over the tables `a` and maybe `b`, of columns `k` and `v`, that gives pairs; and the
    same over lists of pairs. `ordered`: the pairs come in their order.
    """

    sql: str
    meaning: Meaning
    ordered: bool = False

    @property
    def tables(self) -> int:
        """How many tables it reads."""
        return 1 + (" b" in self.sql)


def _grouped(a: list[Pair]) -> list[Pair]:
    totals: defaultdict[int, int] = defaultdict(int)
    for k, v in a:
        totals[k] += v
    return list(totals.items())


def _joined(a: list[Pair], b: list[Pair]) -> list[Pair]:
    return [(k, v * 3 + w) for k, v in a for other, w in b if k == other]


def _left(a: list[Pair], b: list[Pair]) -> list[Pair]:
    there = {k for k, _ in b}
    return [*_joined(a, b), *((k, v * 3) for k, v in a if k not in there)]


def _full(a: list[Pair], b: list[Pair]) -> list[Pair]:
    there = {k for k, _ in a}
    return [*_left(a, b), *((k, w) for k, w in b if k not in there)]


def _anti(a: list[Pair], b: list[Pair]) -> list[Pair]:
    there = {k for k, _ in b}
    return [(k, v) for k, v in a if k not in there]


def _numbered(a: list[Pair]) -> list[Pair]:
    found: list[Pair] = []
    before: defaultdict[int, int] = defaultdict(int)
    for k, v in sorted(a):
        before[k] += 1
        found.append((k, v * 10 + before[k]))
    return found


def _with_totals(a: list[Pair]) -> list[Pair]:
    totals = dict(_grouped(a))
    return [(k, v + totals[k]) for k, v in a]


def _less_the_least(a: list[Pair], b: list[Pair]) -> list[Pair]:
    least = min((v for _, v in b), default=0)
    return [(k, v - least) for k, v in a]


QUERIES = {
    "grouped": Query("SELECT k, sum(v) FROM a GROUP BY k", _grouped),
    "joined": Query("SELECT a.k, a.v * 3 + b.v FROM a JOIN b ON a.k = b.k", _joined),
    "left": Query("SELECT a.k, a.v * 3 + coalesce(b.v, 0L) FROM a LEFT JOIN b ON a.k = b.k", _left),
    "full": Query(
        "SELECT coalesce(a.k, b.k), coalesce(a.v, 0L) * 3 + coalesce(b.v, 0L) "
        "FROM a FULL JOIN b ON a.k = b.k",
        _full,
    ),
    "anti": Query("SELECT k, v FROM a LEFT ANTI JOIN b USING (k)", _anti),
    "sorted": Query("SELECT k, v FROM a ORDER BY k, v", sorted, ordered=True),
    "distinct": Query("SELECT DISTINCT k, v FROM a", lambda a: list(set(a))),
    "numbered": Query(
        "SELECT k, v * 10 + row_number() OVER (PARTITION BY k ORDER BY v) FROM a", _numbered
    ),
    "with_totals": Query(
        "SELECT a.k, a.v + t.v FROM a "
        "JOIN (SELECT k, sum(v) AS v FROM a GROUP BY k) t ON a.k = t.k",
        _with_totals,
    ),
    "less_the_least": Query(
        "SELECT k, v - coalesce((SELECT min(v) FROM b), 0L) FROM a", _less_the_least
    ),
    "dealt": Query("SELECT /*+ REPARTITION(3) */ k, v FROM a", list),
}


@cache
def _plans() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        files("aflint.testing.simulation").joinpath("plans.json").read_text()
    )
    return found


def pairs_of(
    name: str, partitions: int, adaptive: int, tables: list[Node], runner: JobRunner
) -> Node:
    """Return the RDD of a query's pairs, given those of its tables; `adaptive` is one of ADAPTIVE,
    by its place.
    """
    from aflint.sql.plan import parse_plan
    from aflint.sql.queries import whole
    from aflint.sql.stages import Settings

    plan = parse_plan(_repartitioned(_plans()[name], partitions))
    plan.fields["adaptive"].update(enabled=True, parallelism_first=False)
    plan.fields["adaptive"].update(ADAPTIVE[adaptive])
    known = dict(zip(TABLES, tables, strict=False))
    query = whole(plan, runner, Settings(tables=known, partitions=partitions))
    to_pairs = PerPartition(partial(_pairs, query.names))
    return Mapped(name=name, parent=query.node, operator=to_pairs)


def _repartitioned(plan: Any, partitions: int) -> Any:
    """Return a plan whose exchanges have another number of partitions than the recorded one."""
    if isinstance(plan, list):
        return [_repartitioned(each, partitions) for each in plan]
    if not isinstance(plan, dict):
        return plan
    changed = {key: _repartitioned(value, partitions) for key, value in plan.items()}
    if changed.get("numPartitions") == PARTITIONS:
        changed["numPartitions"] = partitions
    return changed


def _pairs(columns: tuple[Named, ...], partition: int, batches: Iterator[bytes]) -> Iterator[Any]:
    from aflint.sql.results import rows

    return chain.from_iterable(rows([batch], columns) for batch in batches)
