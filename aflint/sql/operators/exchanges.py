"""Where a stage ends: rows placed anew by hash, by range, in turn or in one place; broadcasts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from aflint.plan.lineage import Coalesced, Node, Union, Unresolved
from aflint.plan.program import Return
from aflint.sql import one_task
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.alignment import as_type_of
from aflint.sql.expressions.orders import direction, sort_key
from aflint.sql.one_task import Room
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Relation, Stage, in_order
from aflint.sql.tasks import Placing
from aflint.sql.types import Type

_SAMPLES = 60
"""Keys sampled for each partition of a range exchange, over all tasks that sample: enough for
parts that differ by a third at most, nearly always.
"""


def gathered(node: PlanNode, stage: Stage, below: Stage, relation: Relation) -> Relation:
    """Read the rows of another stage, all in one partition."""
    if below is stage:
        return relation
    exchanges = stage.compiler
    known = exchanges.known(node)
    if known is None:
        placing = Placing(1, tuple(relation.columns), "hash")
        known = exchanges.shuffled(node, below.lineage(str(node), relation.sql, placing), 1)
    return stage.read(known, relation.columns)


def _exchange(node: PlanNode, stage: Stage) -> Relation:
    if stage.whole:
        return stage.inlined(node)
    below = Stage(stage.compiler)
    relation = in_order(below.relation(node.child), node.child.output)
    if stage.compiler.known(node) is None:
        known = _placed(node, below, relation)
        if isinstance(known, Unresolved):  # until keys are sampled, there is no shuffle
            stage.compiler.remember(node, known)
    return stage.read_exchange(node, relation.columns)


def _placed(node: PlanNode, below: Stage, relation: Relation) -> Node:
    target = node.fields["outputPartitioning"]
    kind = target if isinstance(target, str) else _kind(target)
    columns = tuple(relation.columns)
    compiler, name = below.compiler, str(node)
    if kind == "SinglePartition":
        placed = below.lineage(name, relation.sql, Placing(1, columns, "hash"))
        return compiler.shuffled(node, placed, 1)
    fields = target.fields if isinstance(target, Expression) else target
    partitions = compiler.partitions or int(fields["numPartitions"])
    if kind == "HashPartitioning":
        keys = tuple(
            (f"key{i}", *_placed_by(each, below)) for i, each in enumerate(fields["expressions"])
        )
        added = ", ".join(f"{sql} AS {key}" for key, _, sql in keys)
        query = f"SELECT *, {added} FROM ({relation.sql})"
        placing = Placing(partitions, columns, "hash", tuple((k, t) for k, t, _ in keys))
        placed = below.lineage(name, query, placing)
        unplaced = partial(below.lineage, name, relation.sql, ends=True)
        return compiler.shuffled(node, placed, partitions, unplaced)
    if kind == "RoundRobinPartitioning":
        placed = below.lineage(name, relation.sql, Placing(partitions, columns, "turn"))
        return compiler.shuffled(node, placed, partitions)
    if kind == "RangePartitioning":
        return _ranged(node, below, relation, fields["ordering"], partitions)
    raise UnsupportedPlanError(f"an exchange by {kind}")


def _placed_by(key: Expression, below: Stage) -> tuple[Type, str]:
    """Return what a key is hashed by: itself, but for arrays, which only have to lie together."""
    sql, kind = below.emit(key), key.type
    if not _has_arrays(kind):
        return kind, sql
    return Type("long"), f"(hash({sql}) >> 1)::BIGINT"


def _has_arrays(kind: Type) -> bool:
    return kind.name == "array" or any(_has_arrays(part) for _, part in kind.parts)


def _kind(target: Any) -> str:
    return target.kind if isinstance(target, Expression) else str(target["class"])


def _ranged(
    node: PlanNode, below: Stage, relation: Relation, ordering: list[Expression], partitions: int
) -> Node:
    """Sample the keys of every partition first, as Spark does, then place rows between bounds."""
    keys = ", ".join(f"{sort_key(order, below.emit)}, '{direction(order)}'" for order in ordering)
    keys += ", '', 'ASC NULLS LAST'"  # with a text, or the keys of short types would be numbers
    made = f"create_sort_key({keys})"
    wanted = _SAMPLES * partitions
    sampling = (
        f"SELECT key, count(*) OVER () AS rows FROM (SELECT {made} AS key FROM ({relation.sql})) "
    )
    sampled = f"SELECT * FROM ({sampling}) USING SAMPLE reservoir({wanted} ROWS) REPEATABLE (42)"
    columns = tuple(relation.columns)
    query = f"SELECT *, {made} AS sort_key FROM ({relation.sql})"
    name, compiler = str(node), below.compiler
    samples = compiler.adapted(below.lineage(f"{name} (sampling)", sampled, ends=True))

    def ready(answers: list[list[tuple[bytes, float]]]) -> Node:
        bounds = bounds_of([each for answer in answers for each in answer], partitions)
        how = Placing(partitions, columns, "range", (("sort_key", Type("binary")),), bounds)
        return compiler.shuffled(node, below.lineage(name, query, how), partitions)

    return Unresolved(
        name=name, needs=((samples, Return(partial(weighted_keys, 0))),), resolve=ready
    )


def weighted_keys(
    unused: int, partition: int, batches: Iterator[bytes]
) -> list[tuple[bytes, float]]:
    """Return the sampled keys of a partition, each with how many rows it stands for."""
    from aflint.sql.batches import Batches
    from aflint.sql.tasks import connection

    held = list(batches)
    if not held:
        return []
    cursor = connection()
    try:
        cursor.register("sampled", Batches(held))
        rows = cursor.execute("SELECT key, rows FROM sampled").fetchall()
    finally:
        cursor.close()
    return [(key, count / len(rows)) for key, count in rows]


def bounds_of(weighted: list[tuple[bytes, float]], partitions: int) -> tuple[bytes, ...]:
    """Return at most `partitions` - 1 keys that part the rows evenly, ascending, each the last of
    its part: those that Spark's RangePartitioner finds.
    """
    weighted = sorted(weighted)
    step = sum(weight for _, weight in weighted) / partitions
    bounds: list[bytes] = []
    passed, due = 0.0, step
    for key, weight in weighted:
        passed += weight
        if len(bounds) < partitions - 1 and passed >= due and (not bounds or key > bounds[-1]):
            bounds.append(key)
            due += step
    return tuple(bounds)


def _reused(node: PlanNode, stage: Stage) -> Relation:
    """The same rows under other names."""
    exchange: PlanNode = node.fields["child"]
    relation = in_order(stage.relation(exchange), exchange.output)
    return renamed(relation, exchange.output, node.output)


def renamed(
    relation: Relation, before: tuple[Expression, ...], after: tuple[Expression, ...]
) -> Relation:
    """Return a relation whose columns have the names of another output, in the same order."""
    pairs = {new.column: old.column for old, new in zip(before, after, strict=True)}
    if all(new == old for new, old in pairs.items()):
        return relation
    items = ", ".join(f"{old} AS {new}" for new, old in pairs.items())
    columns = {new: relation.columns[old] for new, old in pairs.items()}
    return Relation(f"SELECT {items} FROM ({relation.sql})", columns)


def broadcast(node: PlanNode, stage: Stage) -> Relation:
    """Read the rows of a broadcast exchange, whole, in every task."""
    if node.kind == "ReusedExchangeExec":
        exchange: PlanNode = node.fields["child"]
        return renamed(broadcast(exchange, stage), exchange.output, node.output)
    compiler = stage.compiler
    room = compiler.settings.room
    if stage.whole or one_task.fits(node, Room(min(room.most, one_task.SMALL))):
        with stage.as_a_whole():
            return stage.inlined(node)
    below = Stage(compiler)
    relation = in_order(below.relation(node.child), node.child.output)
    known = compiler.known(node)
    if known is None:
        known = below.lineage(str(node), relation.sql, ends=True)
        compiler.remember(node, known)
    return stage.read_broadcast(known, relation.columns)


def _union(node: PlanNode, stage: Stage) -> Relation:
    """The partitions of all children, one after the other."""
    columns = {each.column: each.type.duckdb for each in node.output}
    queries, members = [], []
    for child in node.children:
        below = stage.below()
        relation = in_order(below.relation(child), child.output)
        pairs = zip(node.output, child.output, strict=True)
        items = ", ".join(
            f"CAST({below.emit(as_type_of(old, new.json_type))} AS {new.type.duckdb}) "
            f"AS {new.column}"
            for new, old in pairs
        )
        queries.append(f"SELECT {items} FROM ({relation.sql})" if items else relation.sql)
        if below is not stage:
            members.append(below.lineage(str(node), queries[-1], ends=True))
    columns = columns or {"nothing": "INTEGER"}
    if not members:
        return Relation(" UNION ALL ".join(f"({query})" for query in queries), columns)
    return stage.read(Union(name=str(node), members=tuple(members)), columns)


def _coalesced(node: PlanNode, stage: Stage) -> Relation:
    below = Stage(stage.compiler)
    relation = in_order(below.relation(node.child), node.child.output)
    merged = Coalesced(
        name=str(node),
        parent=below.lineage(str(node), relation.sql, ends=True),
        partitions=int(node.fields["numPartitions"]),
    )
    return stage.read(merged, relation.columns)


OPERATORS = {
    "ShuffleExchangeExec": _exchange,
    "ReusedExchangeExec": _reused,
    "UnionExec": _union,
    "CoalesceExec": _coalesced,
}
