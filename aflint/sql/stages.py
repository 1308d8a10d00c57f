"""From a physical plan to lineage: each subtree between exchanges becomes one query of a stage's
tasks.

The engine sees RDDs whose records are batches of rows; it has no other part in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from operator import index, itemgetter
from typing import Any

from aflint.codec import closure, frame
from aflint.driver.jobs import JobRunner
from aflint.executor.blockfile import pack_block
from aflint.plan.adaptive import Adaptive
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
from aflint.sql.shuffle_partitions import widened
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
    memory_mb: int = 1024
    """What a task may hold."""
    room: Room = field(default_factory=Room)
    """What a query may read that is to run as one task."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """What plans read as `RDDScan`, by the names that it has there: RDDs of rows, Lines."""
    cached: MutableMapping[int, Node] = field(default_factory=dict)
    """The RDDs of cached DataFrames' batches, by the planner's numbers of what is cached."""
    functions: Mapping[str, bytes] = field(default_factory=dict)
    """Python functions, pickled, by the names that the planner knows them by."""
    python: Callable[[], Mapping[str, str]] = dict
    """Gives the settings of Spark's that PySpark's worker calls functions with."""


@dataclass(slots=True)
class Exchanged:
    """An exchange of the plan: the RDD of its batches, and what else may be made of it."""

    node: Node
    # The shuffle that `node` reads, where that may be read in other portions.
    shuffled: Shuffled | None = None
    # How many bytes Spark expects.
    expected: float = -1.0
    # Gives the RDD of the rows where they are before the exchange.
    unplaced: Callable[[], Node] | None = None
    uses: int = 0


def adaptive_of(plan: PlanNode, parallelism: int) -> Adaptive | None:
    """Return the settings of adaptive execution that a plan was made with, if it is enabled."""
    given = dict(plan.fields.get("adaptive", {}))
    if not given.pop("enabled", False):
        return None
    first = given.pop("parallelism_first")
    given.setdefault("least_partitions", parallelism if first else 1)
    known = {each.name for each in fields(Adaptive)}
    return Adaptive(**{name: value for name, value in given.items() if name in known})


@dataclass(slots=True)
class Compiler:
    """Makes the lineage of one query. An exchange that is used twice becomes one node.

    Where `adaptive`, the parts of a query that are run whole are adapted before they are planned.
    """

    runner: JobRunner
    settings: Settings
    reused: frozenset[int] = frozenset()
    """The exchanges that stand in several places of the plan."""
    threads: int = 1
    """How many threads a task has that does the whole query."""
    adaptive: Adaptive | None = None
    partitions: int | None = None
    """How many each shuffle has, in place of the number in the plan."""
    last: int = -1
    """The step whose rows are the result's, by its number, where they are to come in an order that
    does not depend on threads: see `last_step`.
    """
    _exchanges: dict[int, Exchanged] = field(default_factory=dict)
    _adapted: dict[int, Node] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        plan: PlanNode,
        runner: JobRunner,
        settings: Settings,
        reused: frozenset[int] = frozenset(),
        threads: int = 1,
    ) -> Compiler:
        """Return what compiles the plan of a query."""
        adaptive = adaptive_of(plan, settings.partitions)
        wide = widened(plan, 2 * settings.partitions, settings.memory_mb)
        return cls(runner, settings, reused, threads, adaptive, wide)

    def lineage(self, plan: PlanNode, whole: bool = False) -> Node:
        """Return the RDD of a plan's batches. Raises UnsupportedPlanError, before anything runs."""
        stage = Stage(self, whole)
        relation = stage.relation(plan)
        query = in_order(relation, plan.output).sql
        return self.adapted(stage.lineage(str(plan), query, ends=True))

    def adapted(self, node: Node) -> Node:
        """Return an RDD whose shuffles are made, and looked at, before it is planned. It is to be
        one that is computed whole, or that nothing but an action reads.
        """
        if self.adaptive is None:
            return node
        if node.id not in self._adapted:
            adapt = partial(self.runner.adapted, node)
            self._adapted[node.id] = Unresolved(name=node.name, resolve=adapt)
        return self._adapted[node.id]

    def shuffled(
        self,
        exchange: PlanNode,
        placed: Node,
        partitions: int,
        unplaced: Callable[[], Node] | None = None,
    ) -> Node:
        """Return the RDD of an exchange's batches, given that of its (partition, batch) pairs.

        `unplaced` gives the RDD of the batches before the exchange.
        """
        fixed = exchange.fields.get("shuffleOrigin", {}).get("opaque") in _FIXED
        shuffled = Shuffled(
            name=str(exchange),
            parent=placed,
            target=HashPartitioner(partitions, index),
            adaptive=None if fixed or partitions == 1 else self.adaptive,
        )
        node = Mapped(name=str(exchange), parent=shuffled, operator=PerPartition(_batches))
        self.remember(exchange, node)
        if shuffled.adaptive is not None:
            expected = float(exchange.fields.get("bytes", -1.0))
            self._exchanges[exchange.id] = Exchanged(node, shuffled, expected, unplaced)
        return node

    def known(self, exchange: PlanNode) -> Node | None:
        """Return the RDD of an exchange that was met before."""
        found = self._exchanges.get(exchange.id)
        return found.node if found is not None else None

    def remember(self, exchange: PlanNode, node: Node) -> None:
        """Keep the RDD of an exchange, for its next use."""
        self._exchanges[exchange.id] = Exchanged(node)

    def used(self, exchange: PlanNode) -> Exchanged:
        """Return what is known of an exchange, which is read once more."""
        found = self._exchanges[exchange.id]
        found.uses += 1
        return found

    def broadcast(self, batches: list[bytes]) -> Broadcast[list[bytes]]:
        """Return batches as a value that tasks read."""
        data = frame.compress(closure.dumps(batches, "the broadcast side of a join"))
        blob = self.runner.programs.stored_blob(data)
        return Broadcast(blob, data, self.runner.programs.fingerprint(batches, blob))

    def source(self, name: str, splits: list[list[Any]]) -> Node:
        """Return an RDD of payloads, one partition for each list."""
        blobs = (self.runner.programs.blob(pack_block(split)) for split in splits)
        return Source(name=name, splits=tuple(DataSplit((blob,)) for blob in blobs))


def last_step(plan: PlanNode) -> int:
    """Return the number of the last step of a plan that groups rows or puts them beside others, if
    what is above it leaves them as they come. Spark sorts rows for it, and so do functions of
    Python's: where nothing is said of the order of a result, it is that of the keys.
    """
    while plan.kind in ("ProjectExec", "FilterExec", "CollectLimitExec"):
        plan = plan.child
    return plan.id


_FIXED = ("REPARTITION_BY_NUM", "REQUIRED_BY_STATEFUL_OPERATOR")
"""Why there is an exchange, where the number of its partitions was asked for."""

_ROW_BY_ROW = frozenset(
    {
        "BroadcastHashJoinExec",
        "BroadcastNestedLoopJoinExec",
        "ColumnarToRowExec",
        "ExpandExec",
        "FilterExec",
        "GenerateExec",
        "InputAdapter",
        "ProjectExec",
        "ReusedExchangeExec",
        "ShuffleExchangeExec",
        "ShuffledHashJoinExec",
        "SortExec",
        "SortMergeJoinExec",
        "WholeStageCodegenExec",
    }
)
"""Steps whose answer does not depend on which rows are in one partition. Joins say for which side
that is so.
"""


def _is_row_by_row(node: PlanNode) -> bool:
    if node.kind in ("HashAggregateExec", "ObjectHashAggregateExec", "SortAggregateExec"):
        return node.fields["requiredChildDistributionExpressions"] is None  # in part
    return node.kind in _ROW_BY_ROW


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


def as_input(node: Node, place: int, name: str = "") -> Node:
    """Return an RDD's records as what a StageTask takes for the input at a place."""
    operator = PerPartition(partial(_tagged, place))
    return Mapped(name=name or node.name, parent=node, operator=operator)


def _as_they_are(partition: int, batches: Iterator[bytes]) -> Iterator[bytes]:
    return batches


def all_batches(partition: int, batches: Iterator[bytes]) -> list[bytes]:
    """Return the batches of a partition, as a task's value."""
    return list(batches)


@dataclass(slots=True)
class Stage:
    """One stage while its query is written: what the query reads.

    What is written while it is `whole` has no exchanges: every task does all of it by itself.

    `splittable` are the inputs, by their places, whose partitions might be cut: every cut beside
    the whole partition of the others, the answers together are the same.
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
    shared: dict[Hashable, tuple[str, Relation]] = field(default_factory=dict)
    """The name and the rows of what several steps read; see `once`."""
    joins: bool = False
    names_files: bool = False
    """Whether a scan that is written has a column for the paths of its rows' files."""
    splittable: set[int] = field(default_factory=set)
    exchanged: dict[int, Exchanged] = field(default_factory=dict)
    _names: int = 0

    def __post_init__(self) -> None:
        self.emit = Emitter(RULES, self.compiler.settings.time_zone)

    def relation(self, node: PlanNode) -> Relation:
        """Return the SELECT of a plan. Raises UnsupportedPlanError naming the node."""
        from aflint.sql.operators import OPERATORS

        write = OPERATORS.get(node.kind)
        if write is None:
            raise UnsupportedPlanError(f"the step {node}")
        before = len(self.inputs)
        try:
            relation = write(node, self)
        except UnsupportedPlanError as error:
            raise error.within(str(node)) from None
        if not _is_row_by_row(node):
            self.keep(before)
        return relation

    def keep(self, start: int, end: int | None = None) -> None:
        """Have the inputs from one place to another read by whole partitions."""
        self.splittable -= set(range(start, len(self.inputs) if end is None else end))

    def settled(self, node: PlanNode, orders: list[str]) -> str:
        """Return the ORDER BY of a step's rows if it is the last one, or nothing."""
        wanted = orders and node.id == self.compiler.last
        return f" ORDER BY {', '.join(orders)}" if wanted else ""

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

        def rows() -> Relation:
            return in_order(self.relation(exchange.child), exchange.child.output)

        return self.once(exchange.id, rows) if exchange.id in self.compiler.reused else rows()

    def once(self, place: Hashable, rows: Callable[[], Relation]) -> Relation:
        """Return rows of one place in the plan that are computed once, whoever reads them."""
        if place not in self.shared:
            relation = rows()  # before its name: what it reads itself is computed before it
            self.shared[place] = self.name("shared"), relation
        name, relation = self.shared[place]
        return Relation(f"SELECT * FROM {name}", relation.columns)

    def read(self, node: Node, columns: Mapping[str, str]) -> Relation:
        """Read the batches of an RDD, partition by partition, as an input of the query."""
        given = Input(self.name("input"), tuple(columns.items()))
        self.inputs.append((given, node))
        return Relation(f"SELECT * FROM {given.name}", columns)

    def read_exchange(self, exchange: PlanNode, columns: Mapping[str, str]) -> Relation:
        """Read the batches of an exchange that the compiler knows."""
        used = self.compiler.used(exchange)
        if used.shuffled is not None:
            self.exchanged[len(self.inputs)] = used
            self.splittable.add(len(self.inputs))
        return self.read(used.node, columns)

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
        *,
        ends: bool = False,
    ) -> Node:
        """Return the RDD of the query's batches, of its placed batches, or of the parts that its
        sink writes. `ends`: where its rows are does not matter to what reads them, as it does not
        where they are placed or written.
        """
        lineage = partial(self._lineage, name, query, placing, sink)
        if not ends and placing is None and sink is None:
            self.keep(0)
        if (order := self._broadcastable()) is None:
            return lineage(self.inputs, self.broadcasts)
        small, streamed = order
        resolve = partial(self._by_size, lineage, small, streamed)
        return Unresolved(name=name, resolve=resolve)

    def _broadcastable(self) -> tuple[int, int] | None:
        """Return the places of the two sides of the stage's one shuffled join, first the one that
        may be broadcast if it is small; the one that Spark expects to be smaller, if both may be.
        """
        if len(self.inputs) != 2 or len(self.exchanged) != 2:
            return None
        pairs = [(1 - place, place) for place in self.splittable if self.exchanged[place].unplaced]
        return min(pairs, key=lambda pair: self.exchanged[pair[0]].expected, default=None)

    async def _by_size(self, lineage: Callable[..., Node], small: int, streamed: int) -> Node:
        """Make one side of a join first, and broadcast it if it is small: the other need not be
        shuffled then.
        """
        compiler, side, other = self.compiler, self.exchanged[small], self.exchanged[streamed]
        assert side.shuffled is not None
        assert other.shuffled is not None
        assert other.unplaced is not None
        assert compiler.adaptive is not None
        adapting = compiler.runner.adapting
        # What is shuffled anyway, for another reader or by an earlier job, is not to be read twice.
        if other.uses == 1 and adapting.sizes(other.shuffled) is None:
            read = await compiler.runner.adapted(side.node)
            sizes = adapting.sizes(side.shuffled)
            if sizes is not None and compiler.adaptive.broadcasts(sizes.by_partition):
                joined = Mapped(
                    name=f"BroadcastHashJoin, as one side has {sizes.total} bytes",
                    parent=other.unplaced(),
                    operator=PerPartition(_as_they_are),
                )
                given, _ = self.inputs[small]
                return lineage(
                    [(self.inputs[streamed][0], joined)], [*self.broadcasts, (given, read)]
                )
        return lineage(self.inputs, self.broadcasts)

    def _lineage(
        self,
        name: str,
        query: str,
        placing: Placing | None,
        sink: FileSink | None,
        inputs: list[tuple[Input, Node]],
        broadcasts: list[tuple[Input, Node]],
    ) -> Node:
        compiler, scalars = self.compiler, list(self.emit.scalars.items())
        prelude: tuple[tuple[str, str], ...] = ()
        if self.whole:
            prelude, scalars = tuple(self._scalars()), []
        if not inputs:
            self.read_variables(compiler.source(name, [[]]))
            inputs = self.inputs
        task = StageTask(
            self._with_shared(query),
            tuple(given for given, _ in inputs),
            placing,
            compiler.settings.time_zone,
            given=tuple(self.variables.items()),
            prelude=prelude,
            sink=sink,
            threads=compiler.threads if self.whole else 1,
            joins=self.joins,
        )
        parent = self._parent(name, inputs)
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

        nodes = [compiler.adapted(node) for _, node in broadcasts]
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

    def _parent(self, name: str, inputs: list[tuple[Input, Node]]) -> Node:
        tagged = tuple(as_input(node, tag, name) for tag, (_, node) in enumerate(inputs))
        if len(tagged) == 1:
            return tagged[0]
        return AlignedUnion(name=name, members=tagged, splittable=frozenset(self.splittable))


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
