"""Recursive queries: a loop of jobs, each over the rows of the one before it.

The rows of every round come to the driver, as many as Spark allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aflint.plan.lineage import Node, Unresolved
from aflint.plan.program import Return
from aflint.sql.errors import QueryError
from aflint.sql.operators.leaves import BATCHES, by_place
from aflint.sql.plan import PlanNode
from aflint.sql.results import row_count
from aflint.sql.stages import Compiler, Relation, Stage, all_batches, in_order

Rows = list[list[bytes]]
"""The batches of each partition."""


@dataclass(frozen=True, slots=True)
class _Loop:
    """A recursive query. It is resolved to the rows of all rounds."""

    node: PlanNode
    compiler: Compiler

    def rows(self, plan: PlanNode, known: Mapping[str, Rows]) -> Node:
        """Return the RDD of a round's batches, given those that it refers to.

        Raises UnsupportedPlanError.
        """
        name, sources = str(self.node), dict(self.compiler.settings.tables)
        for which, rows in known.items():
            scanned = f"{BATCHES}loop-{self.node.fields['loopId']}-{which}"
            sources[scanned] = self.compiler.source(name, rows)
        settings = replace(self.compiler.settings, tables=sources)
        stage = Stage(Compiler.of(plan, self.compiler.runner, settings))
        relation = in_order(stage.relation(plan), plan.output)
        items = ", ".join(f"{each.column} AS v{i}" for i, each in enumerate(plan.output))
        query = f"SELECT {items} FROM ({relation.sql})"
        return stage.compiler.adapted(stage.lineage(name, query, ends=True))

    async def __call__(self) -> Node:
        """Run the rounds, until one has no rows. Raises QueryError for more than Spark allows."""
        fields = self.node.fields
        levels = int(fields["levels"] if fields["maxDepth"] is None else fields["maxDepth"])
        most, wanted = int(fields["rows"]), fields["limit"]
        level, found = 0, list[list[bytes]]()
        last = await self._run(self.rows(fields["anchor"], {}))
        while _count(last):
            found += last
            if wanted is not None and _count(found) >= int(wanted):
                break
            if 0 <= most < _count(found) and wanted is None:
                raise QueryError(
                    f"[RECURSION_ROW_LIMIT_EXCEEDED] Recursion row limit {most} reached but query "
                    "has not exhausted, try setting a larger LIMIT value when querying the CTE "
                    "relation. SQLSTATE: 42836"
                )
            if 0 <= levels <= level:
                raise QueryError(
                    f"[RECURSION_LEVEL_LIMIT_EXCEEDED] Recursion level limit {levels} reached but "
                    "query has not exhausted, try increasing it like 'WITH RECURSIVE t(col) MAX "
                    "RECURSION LEVEL 200'. SQLSTATE: 42836"
                )
            level += 1
            node = self.rows(fields["recursion"], {"last": last, "all": found})
            last = await self._run(node)
        return self.compiler.source(str(self.node), found or [[]])

    async def _run(self, node: Node) -> Rows:
        async with self.compiler.runner.job(node, Return(all_batches), str(self.node)) as job:
            return [list(part) for part in await job.values(range(job.partitions))]


def _count(rows: Rows) -> int:
    return sum(row_count(batch) for part in rows for batch in part)


def _recursive(node: PlanNode, stage: Stage) -> Relation:
    loop = _Loop(node, stage.compiler)
    loop.rows(node.fields["anchor"], {})  # what is refused is refused before anything runs
    loop.rows(node.fields["recursion"], {"last": [[]], "all": [[]]})
    places = {f"v{i}": each.type.duckdb for i, each in enumerate(node.output)}
    read = stage.read(Unresolved(name=str(node), resolve=loop), places)
    return by_place(node, read.sql)


OPERATORS = {"UnionLoopExec": _recursive}
