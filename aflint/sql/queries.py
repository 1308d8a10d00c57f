"""Runs queries: from a planned DataFrame to batches of its rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aflint.driver.jobs import JobRunner
from aflint.events import PlanInfo
from aflint.plan.lineage import Node
from aflint.plan.program import Return
from aflint.sql import one_task
from aflint.sql.operators.basic import limited
from aflint.sql.plan import PlanNode
from aflint.sql.results import Named, row_count
from aflint.sql.stages import Compiler, Settings, Stage, all_batches, in_order, last_step


@dataclass(frozen=True, slots=True)
class Query:
    """A query that is ready to run: the RDD of its batches, and the columns of its result.

    `limit` rows after `offset` are wanted; -1 is all.
    """

    node: Node
    names: tuple[Named, ...]
    plan: PlanInfo
    limit: int = -1
    offset: int = 0


def compiled(plan: PlanNode, runner: JobRunner, settings: Settings) -> Query:
    """Return a query for a physical plan. Raises UnsupportedPlanError, before anything runs."""
    alone = one_task.fits(plan, settings.room)
    threads = one_task.threads_for(plan, settings.room.threads) if alone else 1
    compiler = Compiler.of(plan, runner, settings, one_task.reused(plan), threads)
    compiler.last = last_step(plan)
    if plan.kind != "CollectLimitExec":
        return Query(compiler.lineage(plan, alone), _names(plan), plan.info)
    limit, offset = plan.fields["limit"], plan.fields.get("offset", 0)
    stage = Stage(compiler, alone)
    relation = in_order(stage.relation(plan.child), plan.output)
    rows = limited(relation, limit)
    node = compiler.adapted(stage.lineage(str(plan), rows.sql, ends=True))
    return Query(node, _names(plan), plan.info, limit, offset)


def whole(plan: PlanNode, runner: JobRunner, settings: Settings) -> Query:
    """Return a query all of whose rows are wanted, whatever its last step is, in the partitions
    that Spark gives it.
    """
    return Query(Compiler.of(plan, runner, settings).lineage(plan), _names(plan), plan.info)


def _names(plan: PlanNode) -> tuple[Named, ...]:
    pairs = zip(plan.fields["names"], plan.output, strict=True)
    return tuple(Named(name, each.type, each.column) for name, each in pairs)


async def batches(
    query: Query, runner: JobRunner, name: str, width: int = 0, shown: str = ""
) -> AsyncIterator[bytes]:
    """Run a query and give its batches in the order of its partitions, of which `width` are
    computed at once, by default all.

    Where only the first rows are wanted, one partition is computed, then four times as many each
    round, until there are enough. Listeners are told of the query as `shown`, by default by `name`.
    """
    with runner.query(shown or name, query.plan) as number:
        async with runner.job(query.node, Return(all_batches), name, number) as job:
            grows = query.limit >= 0
            start, width = 0, 1 if grows else width or job.partitions
            found = 0
            while start < job.partitions and (query.limit < 0 or found < query.limit):
                asked = range(start, min(start + width, job.partitions))
                for part in await job.values(asked):
                    for batch in part:
                        found += row_count(batch) if query.limit >= 0 else 0
                        yield batch
                start, width = asked.stop, width * 4 if grows else width
