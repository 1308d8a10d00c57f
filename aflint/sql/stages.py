"""From a physical plan to lineage: each subtree between exchanges becomes one query of a stage's
tasks.

The engine sees RDDs whose records are batches of rows; it has no other part in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from operator import index, itemgetter
from typing import Any

from aflint.codec import closure, frame
from aflint.driver.jobs import JobRunner
from aflint.executor.blockfile import pack_block
from aflint.plan.lineage import (
    AlignedUnion,
    HashPartitioner,
    Mapped,
    Node,
    PerPartition,
    Shuffled,
    Source,
    Unresolved,
)
from aflint.plan.program import Return
from aflint.sql.errors import QueryError, UnsupportedPlanError
from aflint.sql.expressions import RULES, Emitter
from aflint.sql.one_task import Room
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.sinks.files import FileSink
from aflint.sql.tasks import Input, Placing, StageTask
from aflint.task import DataSplit
from aflint.variables import Broadcast


@dataclass(frozen=True, slots=True)
class Relation:
    """A SELECT over a stage's inputs, and its columns with their types of DuckDB's."""

    sql: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a query's plan is read with."""

    time_zone: str = "UTC"
    partitions: int = 2
    """How many splits a leaf that is not files is cut into."""
    split_bytes: int = 128 << 20
    room: Room = field(default_factory=Room)
    """What a query may read that is to run as one task."""
    tables: Mapping[str, Node] = field(default_factory=dict)
    """RDDs of rows that plans read, as `RDDScan`, by the names that the planner knows them by."""
    cached: MutableMapping[int, Node] = field(default_factory=dict)
    """The RDDs of cached DataFrames' batches, by the planner's numbers of what is cached."""
    functions: Mapping[str, bytes] = field(default_factory=dict)
    """Python functions, pickled, by the names that the planner knows them by."""
    python: Callable[[], Mapping[str, str]] = dict
    """Gives the settings of Spark's that PySpark's worker calls functions with."""


@dataclass(slots=True)
class Compiler:
    """Makes the lineage of one query. An exchange that is used twice becomes one node."""

    runner: JobRunner
    settings: Settings
    reused: frozenset[int] = frozenset()
    """The exchanges that stand in several places of the plan."""
    threads: int = 1
    """How many threads a task has that does the whole query."""
    _exchanges: dict[int, Node] = field(default_factory=dict)

    def lineage(self, plan: PlanNode, whole: bool = False) -> Node:
        """Return the RDD of a plan's batches. Raises UnsupportedPlanError, before anything runs."""
        stage = Stage(self, whole)
        relation = stage.relation(plan)
        return stage.lineage(str(plan), in_order(relation, plan.output).sql)

    def shuffled(self, exchange: PlanNode, placed: Node, partitions: int) -> Node:
        """Return the RDD of an exchange's batches, given that of its (partition, batch) pairs."""
        if exchange.id not in self._exchanges:
            shuffled = Shuffled(
                name=str(exchange), parent=placed, target=HashPartitioner(partitions, index)
            )
            self._exchanges[exchange.id] = Mapped(
                name=str(exchange), parent=shuffled, operator=PerPartition(_batches)
            )
        return self._exchanges[exchange.id]

    def known(self, exchange: PlanNode) -> Node | None:
        """Return the RDD of an exchange that was met before."""
        return self._exchanges.get(exchange.id)

    def remember(self, exchange: PlanNode, node: Node) -> None:
        """Keep the RDD of an exchange, for its next use."""
        self._exchanges[exchange.id] = node

    def broadcast(self, batches: list[bytes]) -> Broadcast[list[bytes]]:
        """Return batches as a value that tasks read."""
        data = frame.compress(closure.dumps(batches, "the broadcast side of a join"))
        blob = self.runner.programs.stored_blob(data)
        return Broadcast(blob, data, self.runner.programs.fingerprint(batches, blob))

    def source(self, name: str, splits: list[list[Any]]) -> Node:
        """Return an RDD of payloads, one partition for each list."""
        blobs = (self.runner.programs.blob(pack_block(split)) for split in splits)
        return Source(name=name, splits=tuple(DataSplit((blob,)) for blob in blobs))


def in_order(relation: Relation, output: tuple[Expression, ...]) -> Relation:
    """Return a relation with exactly the columns of an output."""
    names = [each.column for each in output]
    if names == list(relation.columns) or not names:
        return relation
    columns = {name: relation.columns[name] for name in names}
    unique = list(dict.fromkeys(names))
    return Relation(f"SELECT {', '.join(unique)} FROM ({relation.sql})", columns)


def _batches(partition: int, pairs: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
    return map(itemgetter(1), pairs)


def _tagged(tag: int, partition: int, payloads: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    return ((tag, payload) for payload in payloads)


def all_batches(partition: int, batches: Iterator[bytes]) -> list[bytes]:
    """Return the batches of a partition, as a task's value."""
    return list(batches)


@dataclass(slots=True)
class Stage:
    """One stage while its query is written: what the query reads.

    What is written while it is `whole` has no exchanges: every task does all of it by itself.
    """

    compiler: Compiler
    whole: bool = False
    prefix: str = ""
    """What names begin with, so that several stages' queries can run in one task."""
    emit: Emitter = field(init=False)
    inputs: list[tuple[Input, Node]] = field(default_factory=list)
    broadcasts: list[tuple[Input, Node]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    """What every task of the stage is given, as an input's variables are."""
    shared: dict[int, tuple[str, Relation]] = field(default_factory=dict)
    """The name and the rows of each exchange without one that is used several times."""
    joins: bool = False
    _names: int = 0

    def __post_init__(self) -> None:
        self.emit = Emitter(RULES, self.compiler.settings.time_zone)

    def relation(self, node: PlanNode) -> Relation:
        """Return the SELECT of a plan. Raises UnsupportedPlanError naming the node."""
        from aflint.sql.operators import OPERATORS

        write = OPERATORS.get(node.kind)
        if write is None:
            raise UnsupportedPlanError(f"the step {node}")
        try:
            return write(node, self)
        except UnsupportedPlanError as error:
            raise error.within(str(node)) from None

    def name(self, prefix: str) -> str:
        """Return a name that nothing else in the stage's query has."""
        self._names += 1
        return f"{self.prefix}{prefix}{self._names}"

    def below(self) -> Stage:
        """Return the stage that writes what lies below an exchange: this one, where it is whole."""
        return self if self.whole else Stage(self.compiler)

    @contextmanager
    def as_a_whole(self) -> Iterator[None]:
        """Write what is written within the block for every task to do by itself."""
        before, self.whole = self.whole, True
        try:
            yield
        finally:
            self.whole = before

    def inlined(self, exchange: PlanNode) -> Relation:
        """Return the rows below an exchange as part of this stage's query, computed once where
        several steps read them.
        """
        if exchange.id in self.shared:
            name, relation = self.shared[exchange.id]
            return Relation(f"SELECT * FROM {name}", relation.columns)
        relation = in_order(self.relation(exchange.child), exchange.child.output)
        if exchange.id not in self.compiler.reused:
            return relation
        name = self.name("shared")
        self.shared[exchange.id] = name, relation
        return Relation(f"SELECT * FROM {name}", relation.columns)

    def read(self, node: Node, columns: Mapping[str, str]) -> Relation:
        """Read the batches of an RDD, partition by partition, as an input of the query."""
        given = Input(self.name("input"), tuple(columns.items()))
        self.inputs.append((given, node))
        return Relation(f"SELECT * FROM {given.name}", columns)

    def read_variables(self, node: Node) -> None:
        """Have an RDD's records set variables of the query."""
        self.inputs.append((Input(self.name("input")), node))

    def read_broadcast(self, node: Node, columns: Mapping[str, str]) -> Relation:
        """Read all batches of an RDD in every task of the query."""
        given = Input(self.name("broadcast"), tuple(columns.items()))
        self.broadcasts.append((given, node))
        return Relation(f"SELECT * FROM {given.name}", columns)

    def lineage(
        self,
        name: str,
        query: str,
        placing: Placing | None = None,
        sink: FileSink | None = None,
    ) -> Node:
        """Return the RDD of the query's batches, of its placed batches, or of the parts that its
        sink writes.
        """
        compiler, scalars = self.compiler, list(self.emit.scalars.items())
        prelude: tuple[tuple[str, str], ...] = ()
        if self.whole:
            prelude, scalars = tuple(self._scalars()), []
        if not self.inputs:
            self.read_variables(compiler.source(name, [[]]))
        task = StageTask(
            self._with_shared(query),
            tuple(given for given, _ in self.inputs),
            placing,
            compiler.settings.time_zone,
            given=tuple(self.variables.items()),
            prelude=prelude,
            sink=sink,
            threads=compiler.threads if self.whole else 1,
            joins=self.joins,
        )
        parent = self._parent(name)
        broadcasts = self.broadcasts
        if not broadcasts and not scalars:
            return Mapped(name=name, parent=parent, operator=PerPartition(task))

        def ready(*answers: list[Any]) -> Node:
            found = [[batch for part in answer for batch in part] for answer in answers]
            sent = [compiler.broadcast(batches) for batches in found[: len(broadcasts)]]
            values = (
                (variable, scalar_of(batches, variable))
                for (variable, _), batches in zip(scalars, found[len(broadcasts) :], strict=True)
            )
            filled = replace(
                task,
                broadcasts=tuple(
                    (given, each) for (given, _), each in zip(broadcasts, sent, strict=True)
                ),
                variables=tuple(values),
            )
            return Mapped(name=name, parent=parent, operator=PerPartition(filled))

        nodes = [node for _, node in broadcasts]
        nodes += [compiler.lineage(plan) for _, (plan, _) in scalars]
        needs = tuple((node, Return(all_batches)) for node in nodes)
        return Unresolved(name=name, needs=needs, resolve=ready)

    def _with_shared(self, query: str) -> str:
        parts = (f"{name} AS MATERIALIZED ({rows.sql})" for name, rows in self.shared.values())
        shared = ", ".join(parts)
        return f"WITH {shared} {query}" if shared else query

    def _scalars(self) -> Iterator[tuple[str, str]]:
        """Yield the variable and the query of each scalar subquery of a whole stage, each after
        those that it needs itself.
        """
        for name, (plan, _) in self.emit.scalars.items():
            alone = Stage(self.compiler, whole=True, prefix=f"{name}_")
            relation = in_order(alone.relation(plan), plan.output)
            yield from alone._scalars()
            self.variables |= alone.variables
            yield name, alone._with_shared(relation.sql)

    def _parent(self, name: str) -> Node:
        tagged = tuple(
            Mapped(name=name, parent=node, operator=PerPartition(partial(_tagged, tag)))
            for tag, (_, node) in enumerate(self.inputs)
        )
        if len(tagged) == 1:
            return tagged[0]
        return AlignedUnion(name=name, members=tagged)


def scalar_of(batches: list[bytes], name: str) -> Any:
    """Return the value of a subquery that has one column and at most one row.

    Raises QueryError for more rows.
    """
    from aflint.sql.batches import Batches
    from aflint.sql.tasks import connection

    if not batches:
        return None
    cursor = connection()
    try:
        cursor.register(name, Batches(batches))
        rows = cursor.execute(f"FROM {name}").fetchall()
    finally:
        cursor.close()
    if len(rows) > 1:
        raise QueryError(
            "[SCALAR_SUBQUERY_TOO_MANY_ROWS] More than one row returned by a subquery used as an "
            "expression. SQLSTATE: 21000"
        )
    return rows[0][0]
