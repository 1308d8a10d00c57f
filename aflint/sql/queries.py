"""Runs queries: from a planned DataFrame to batches of its rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aflint.driver.jobs import JobRunner
from aflint.plan.lineage import Node
from aflint.plan.program import Return
from aflint.sql.operators.basic import limited
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Compiler, Settings, Stage, all_batches, in_order


@dataclass(frozen=True, slots=True)
class Query:
    """A query that is ready to run: the RDD of its batches, whose columns are those of `output`.

    `limit` rows after `offset` are wanted; -1 is all.
    """

    node: Node
    output: tuple[Expression, ...]
    limit: int = -1
    offset: int = 0


def compiled(plan: PlanNode, runner: JobRunner, settings: Settings) -> Query:
    """Return a query for a physical plan. Raises UnsupportedPlanError, before anything runs."""
    compiler = Compiler(runner, settings)
    if plan.kind != "CollectLimitExec":
        return Query(compiler.lineage(plan), plan.output)
    limit, offset = plan.fields["limit"], plan.fields.get("offset", 0)
    stage = Stage(compiler)
    relation = in_order(stage.relation(plan.child), plan.output)
    rows = limited(relation, limit)
    return Query(stage.lineage(str(plan), rows.sql), plan.output, limit, offset)


async def batches(query: Query, runner: JobRunner, name: str) -> AsyncIterator[bytes]:
    """Run a query and give its batches in the order of its partitions.

    Where only the first rows are wanted, one partition is computed, then four times as many each
    round, until there are enough.
    """
    from aflint.sql.results import row_count

    async with runner.job(query.node, Return(all_batches), name) as job:
        start, width = 0, 1 if query.limit >= 0 else job.partitions
        found = 0
        while start < job.partitions and (query.limit < 0 or found < query.limit):
            asked = range(start, min(start + width, job.partitions))
            for part in await job.values(asked):
                for batch in part:
                    found += row_count(batch) if query.limit >= 0 else 0
                    yield batch
            start, width = asked.stop, width * 4
