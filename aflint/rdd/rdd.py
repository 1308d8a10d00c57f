"""RDD: lazy lineage and awaitable actions, with Spark's meaning and snake_case names."""

from __future__ import annotations

import inspect
import operator
import random
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, overload

from aflint.driver.callsite import method_here, named_here
from aflint.errors import ClosureError, InvalidArgumentError
from aflint.executor import in_tasks, operators
from aflint.executor.aggregate import identity, keep
from aflint.executor.group import Group
from aflint.executor.pipe import pipe as pipe_records
from aflint.html import preformatted
from aflint.plan.lineage import (
    Aggregator,
    Cartesian,
    Coalesced,
    CoGrouped,
    Grouping,
    HashPartitioner,
    Mapped,
    Node,
    Operator,
    Ordering,
    PerPartition,
    PerRecord,
    RangePartitioner,
    RecordStep,
    RoundRobinPartitioner,
    Shuffled,
    Union,
    Unresolved,
    Zipped,
    draw_lineage,
)
from aflint.plan.program import Count, Return, SavePickle, SaveText
from aflint.rdd import actions, histograms, sampling
from aflint.rdd.spelling import no_attribute
from aflint.statistics import Stats

if TYPE_CHECKING:
    from aflint.cost.prediction import Prediction
    from aflint.driver.jobs import JobRunner

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")
Pairs = Iterable[tuple[Any, Any]]


def check_partitions(count: object, name: str = "num_partitions") -> int:
    """Return a number of partitions, 0 standing for the default.

    Raises InvalidArgumentError for anything but None and a positive integer, numpy's included.
    """
    if count is None:
        return 0
    number = actions.whole_number(count)
    if number is None or number < 1:
        raise InvalidArgumentError(f"{name} must be a whole number of at least 1, not {count!r}")
    return number


def check_function(function: Any, method: str) -> None:
    """Raise InvalidArgumentError for something that cannot be called, or has to be awaited."""
    if not callable(function):
        raise InvalidArgumentError(
            f"{method_here(method)} needs a function, not {type(function).__name__} {function!r}"
        )
    if _is_async(function):
        raise InvalidArgumentError(
            f"{method_here(method)} was given {function!r}, which is async: tasks call functions "
            "and do not await them. Await inside a plain function, by asyncio.run(...)"
        )


def _is_async(function: Any) -> bool:
    """Say whether calling something gives a coroutine or an asynchronous generator."""
    # What is called in the end decides: below partials, and behind an object that can be called.
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__  # an object that is called
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _check_key(function: Any, method: str) -> None:
    if function is not None:
        check_function(function, method)


class RDD(Generic[T]):
    """A partitioned collection of records, described by how it is computed.

    Transformations return another RDD and compute nothing. Actions are coroutines; each one runs a
    job. `async for record in rdd` runs one, too, and gives the records of each partition as it
    finishes.

    Made by a session, never directly. An RDD is bound to its session and cannot be used inside a
    function that runs in tasks.
    """

    def __init__(self, node: Node, runner: JobRunner) -> None:
        self._node = node
        self._runner = runner

    def __reduce__(self) -> NoReturn:
        raise ClosureError(
            "an RDD cannot be used inside a function that runs in tasks: only the driver can run "
            "jobs. Collect it first and broadcast the result, or join the two RDDs"
        )

    def __repr__(self) -> str:
        return f"<RDD {self._node.id}: {self._node.name}>"

    def _repr_html_(self) -> str:
        return preformatted(f"RDD {self._node.id}: {self._node.name}", draw_lineage(self._node))

    if not TYPE_CHECKING:  # which would take every attribute to be there

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute(self, name)

    def _derive(self, node: Node) -> RDD[Any]:
        return RDD(node, self._runner)

    def _mapped(self, name: str, operator: Operator, *, keeps_keys: bool = False) -> RDD[Any]:
        return self._derive(
            Mapped(
                name=named_here(name),
                parent=self._node,
                operator=operator,
                preserves_partitioning=keeps_keys,
            )
        )

    def _per_record(
        self, step: RecordStep, function: Callable[..., Any] | None, *, keeps_keys: bool = False
    ) -> RDD[Any]:
        name = step.name.lower()
        if "f(" in step.value:
            check_function(function, name)
        return self._mapped(name, PerRecord(step, function), keeps_keys=keeps_keys)

    # ---- one record at a time

    def map(self, function: Callable[[T], U], preserves_partitioning: bool = False) -> RDD[U]:
        """Apply a function to each record."""
        return self._per_record(RecordStep.MAP, function, keeps_keys=preserves_partitioning)

    def filter(self, function: Callable[[T], Any]) -> RDD[T]:
        """Keep the records for which a function returns something true."""
        return self._per_record(RecordStep.FILTER, function, keeps_keys=True)

    def flat_map(
        self, function: Callable[[T], Iterable[U]], preserves_partitioning: bool = False
    ) -> RDD[U]:
        """Apply a function to each record, and give each item of what it returns."""
        return self._per_record(RecordStep.FLAT_MAP, function, keeps_keys=preserves_partitioning)

    def map_values(self: RDD[tuple[K, V]], function: Callable[[V], U]) -> RDD[tuple[K, U]]:
        """Apply a function to the value of each pair; pairs stay where they are placed."""
        return self._per_record(RecordStep.MAP_VALUES, function, keeps_keys=True)

    def flat_map_values(
        self: RDD[tuple[K, V]], function: Callable[[V], Iterable[U]]
    ) -> RDD[tuple[K, U]]:
        """Pair each key with each item of what a function returns for its value."""
        return self._per_record(RecordStep.FLAT_MAP_VALUES, function, keeps_keys=True)

    def key_by(self, function: Callable[[T], K]) -> RDD[tuple[K, T]]:
        """Pair each record with a key made from it."""
        return self._per_record(RecordStep.KEY_BY, function)

    def keys(self: RDD[tuple[K, V]]) -> RDD[K]:
        """Give the first item of each pair."""
        return self._per_record(RecordStep.KEYS, None)

    def values(self: RDD[tuple[K, V]]) -> RDD[V]:
        """Give the second item of each pair."""
        return self._per_record(RecordStep.VALUES, None)

    # ---- one partition at a time

    def map_partitions(
        self,
        function: Callable[[Iterator[T]], Iterable[U]],
        preserves_partitioning: bool = False,
    ) -> RDD[U]:
        """Apply a function to the iterator of each partition's records."""
        check_function(function, "map_partitions")
        step = PerPartition(partial(operators.map_partition, function))
        return self._mapped("map_partitions", step, keeps_keys=preserves_partitioning)

    def map_partitions_with_index(
        self,
        function: Callable[[int, Iterator[T]], Iterable[U]],
        preserves_partitioning: bool = False,
    ) -> RDD[U]:
        """Apply a function to each partition's number and the iterator of its records."""
        check_function(function, "map_partitions_with_index")
        step = PerPartition(partial(operators.map_partition_with_index, function))
        return self._mapped("map_partitions_with_index", step, keeps_keys=preserves_partitioning)

    def glom(self) -> RDD[list[T]]:
        """Give each partition as one list."""
        return self._mapped("glom", PerPartition(operators.glom))

    def pipe(
        self,
        command: str | Sequence[str],
        env: Mapping[str, str] | None = None,
        check_code: bool = False,
    ) -> RDD[str]:
        """Write each record as a line to a command, one process for each partition, and give its
        output line by line. With `check_code`, a nonzero exit status fails the job.
        """
        if not command:
            raise InvalidArgumentError("pipe needs a command")
        environment = dict(env) if env is not None else None
        step = PerPartition(partial(pipe_records, command, environment, check_code))
        return self._mapped("pipe", step)

    def sample(self, with_replacement: bool, fraction: float, seed: int | None = None) -> RDD[T]:
        """Keep each record with probability `fraction`; with replacement, give it as often as a
        Poisson variable of that mean says. The same seed gives the same sample.
        """
        actions.check_fraction(with_replacement, fraction)
        # Chosen here and not in tasks, so that another attempt, and a later action, draw the same.
        chosen = random.randrange(2**31) if seed is None else seed
        draw = operators.sample_with_replacement if with_replacement else operators.sample
        step = PerPartition(partial(draw, fraction, chosen))
        return self._mapped("sample", step, keeps_keys=True)

    # ---- several RDDs

    def union(self, *others: RDD[T]) -> RDD[T]:
        """Give the records of this RDD and then of the others, duplicates and all."""
        members = (self._node, *(self._other(other, "union") for other in others))
        return self._derive(Union(name=named_here("union"), members=members))

    def __add__(self, other: RDD[T]) -> RDD[T]:
        return self.union(other)

    def zip(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Pair the records at the same places. Both need the same number of partitions, and of
        records in each.
        """
        right = self._other(other, "zip")
        return self._derive(Zipped(name=named_here("zip"), left=self._node, right=right))

    def cartesian(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Give every pair of a record of this RDD with one of the other."""
        right = self._other(other, "cartesian")
        return self._derive(Cartesian(name=named_here("cartesian"), left=self._node, right=right))

    def intersection(self, other: RDD[T], num_partitions: int | None = None) -> RDD[T]:
        """Give each record that occurs in both, once."""
        self._other(other, "intersection")
        # The records are the keys: one that is in both has a value, None, on either side.
        both = self._paired().cogroup(other._paired(), num_partitions=num_partitions)
        return both.filter(_in_both).keys()

    def subtract(self, other: RDD[T], num_partitions: int | None = None) -> RDD[T]:
        """Give the records that do not occur in the other."""
        self._other(other, "subtract")
        return self._paired().subtract_by_key(other._paired(), num_partitions).keys()

    def _paired(self) -> RDD[Any]:
        return self._mapped("map", PerRecord(RecordStep.WITH_NONE))

    def _other(self, other: RDD[Any], method: str) -> Node:
        if not isinstance(other, RDD):
            raise InvalidArgumentError(f"{method} needs an RDD, not {type(other).__name__}")
        # A job runs in one session, which has neither the files nor the shuffles of another.
        if other._runner is not self._runner:
            raise InvalidArgumentError(f"{method}: the RDDs belong to different sessions")
        return other._node

    # ---- numbering

    def zip_with_index(self) -> RDD[tuple[T, int]]:
        """Pair each record with its place among all records, from 0. Counts the records of the
        partitions first, where there are several.
        """
        parent, name = self._node, named_here("zip_with_index")

        # How many records there are is found when an action asks: until then, this stands for the
        # node that `number` makes of the counts.
        def number(counts: list[int]) -> Node:
            starts = tuple(sum(counts[:partition]) for partition in range(len(counts)))
            step = PerPartition(partial(operators.number_consecutively, starts))
            return Mapped(name=name, parent=parent, operator=step)

        return self._derive(Unresolved(name=name, needs=((parent, Count()),), resolve=number))

    def zip_with_unique_id(self) -> RDD[tuple[T, int]]:
        """Pair each record with a number that no other record has: p, p + n, p + 2n, ... in
        partition p of n.
        """
        runner, parent, name = self._runner, self._node, named_here("zip_with_unique_id")

        # The number of partitions may depend on input that is only listed for an action.
        async def number() -> Node:
            count = await runner.resolver.partition_count(parent)
            step = PerPartition(partial(operators.number_uniquely, count))
            return Mapped(name=name, parent=parent, operator=step)

        return self._derive(Unresolved(name=name, resolve=number))

    # ---- placing

    def coalesce(self, num_partitions: int, shuffle: bool = False) -> RDD[T]:
        """Join neighbouring partitions into at most `num_partitions`; with `shuffle`, deal all
        records out again, evenly.
        """
        count = check_partitions(num_partitions)
        if not count:
            raise InvalidArgumentError("coalesce needs a number of partitions")
        # Without a shuffle, a task computes several partitions, one after the other.
        if shuffle:
            return self._shuffled("repartition", RoundRobinPartitioner(count))
        node = Coalesced(name=named_here("coalesce"), parent=self._node, partitions=count)
        return self._derive(node)

    def repartition(self, num_partitions: int) -> RDD[T]:
        """Deal all records out evenly, into `num_partitions`."""
        return self.coalesce(num_partitions, shuffle=True)

    def partition_by(
        self: RDD[tuple[K, V]],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Place each pair by its key: partition `partition_func(key) % num_partitions`."""
        return self._shuffled("partition_by", _hashed(num_partitions, partition_func))

    def repartition_and_sort_within_partitions(
        self: RDD[tuple[K, V]],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
        ascending: bool = True,
        key_func: Callable[[K], Any] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Place each pair by its key, and sort each partition by key."""
        _check_key(key_func, "repartition_and_sort_within_partitions")
        return self._shuffled(
            "repartition_and_sort_within_partitions",
            _hashed(num_partitions, partition_func),
            ordering=Ordering(bool(ascending), key_func),
        )

    def _shuffled(
        self,
        name: str,
        target: Any,
        aggregator: Aggregator | Grouping | None = None,
        ordering: Ordering | None = None,
    ) -> RDD[Any]:
        return self._derive(
            Shuffled(
                name=named_here(name),
                parent=self._node,
                target=target,
                aggregator=aggregator,
                ordering=ordering,
            )
        )

    # ---- by key

    def combine_by_key(
        self: RDD[tuple[K, V]],
        create_combiner: Callable[[V], U],
        merge_value: Callable[[U, V], U],
        merge_combiners: Callable[[U, U], U],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, U]]:
        """Turn the values of each key into one combiner; combined before and after the shuffle."""
        for function in (create_combiner, merge_value, merge_combiners):
            check_function(function, "combine_by_key")
        aggregator = Aggregator(create_combiner, merge_value, merge_combiners)
        return self._shuffled("combine_by_key", _hashed(num_partitions, partition_func), aggregator)

    def reduce_by_key(
        self: RDD[tuple[K, V]],
        function: Callable[[V, V], V],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Merge the values of each key by an associative, commutative function."""
        check_function(function, "reduce_by_key")
        aggregator = Aggregator(identity, function, function)
        return self._shuffled("reduce_by_key", _hashed(num_partitions, partition_func), aggregator)

    def fold_by_key(
        self: RDD[tuple[K, V]],
        zero: V,
        function: Callable[[V, V], V],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, V]]:
        """As reduce_by_key, with a neutral value that each key's values begin from."""
        return self.aggregate_by_key(zero, function, function, num_partitions, partition_func)

    def aggregate_by_key(
        self: RDD[tuple[K, V]],
        zero: U,
        seq_func: Callable[[U, V], U],
        comb_func: Callable[[U, U], U],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, U]]:
        """Fold the values of each key into a copy of `zero`, and merge what came of it."""
        check_function(seq_func, "aggregate_by_key")
        check_function(comb_func, "aggregate_by_key")
        create = in_tasks.begin_from(zero, seq_func)
        aggregator = Aggregator(create, seq_func, comb_func)
        return self._shuffled(
            "aggregate_by_key", _hashed(num_partitions, partition_func), aggregator
        )

    def group_by_key(
        self: RDD[tuple[K, V]],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, Group]]:
        """Give each key with a Group of all its values, which may be larger than memory."""
        return self._shuffled("group_by_key", _hashed(num_partitions, partition_func), Grouping())

    def group_by(
        self,
        function: Callable[[T], K],
        num_partitions: int | None = None,
        partition_func: Callable[[K], int] | None = None,
    ) -> RDD[tuple[K, Group]]:
        """Group records by a key made from each."""
        return self.key_by(function).group_by_key(num_partitions, partition_func)

    def distinct(self, num_partitions: int | None = None) -> RDD[T]:
        """Give each record once."""
        # Equal records are one key, which the map side combines before anything is moved.
        return self._paired().reduce_by_key(keep, num_partitions).keys()

    def cogroup(
        self: RDD[tuple[K, V]], *others: RDD[tuple[K, Any]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[Group, ...]]]:
        """Give each key of any RDD with one Group of values for each RDD, in order."""
        members = (self._node, *(self._other(other, "cogroup") for other in others))
        node = CoGrouped(
            name=named_here("cogroup"), members=members, target=_hashed(num_partitions, None)
        )
        return self._derive(node)

    group_with = cogroup

    def join(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V, W]]]:
        """Give (key, (a, b)) for each pair of values that share a key."""
        groups = self.cogroup(other, num_partitions=num_partitions)
        return groups._per_record(RecordStep.JOIN, None, keeps_keys=True)

    def left_outer_join(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V, W | None]]]:
        """As join, with (key, (a, None)) where the other has no such key."""
        groups = self.cogroup(other, num_partitions=num_partitions)
        return groups._per_record(RecordStep.LEFT_OUTER_JOIN, None, keeps_keys=True)

    def right_outer_join(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, W]]]:
        """As join, with (key, (None, b)) where this RDD has no such key."""
        groups = self.cogroup(other, num_partitions=num_partitions)
        return groups._per_record(RecordStep.RIGHT_OUTER_JOIN, None, keeps_keys=True)

    def full_outer_join(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, W]], num_partitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, W | None]]]:
        """As join, with None for the side that lacks a key."""
        groups = self.cogroup(other, num_partitions=num_partitions)
        return groups._per_record(RecordStep.FULL_OUTER_JOIN, None, keeps_keys=True)

    def subtract_by_key(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, Any]], num_partitions: int | None = None
    ) -> RDD[tuple[K, V]]:
        """Give the pairs whose key the other does not have."""
        groups = self.cogroup(other, num_partitions=num_partitions)
        return groups._per_record(RecordStep.SUBTRACT_BY_KEY, None, keeps_keys=True)

    # ---- sorting

    def sort_by_key(
        self: RDD[tuple[K, V]],
        ascending: bool = True,
        num_partitions: int | None = None,
        key_func: Callable[[K], Any] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Sort pairs by key, over all partitions. The keys are sampled first, in a job of its own,
        where there are several partitions; equal keys share one.
        """
        _check_key(key_func, "sort_by_key")
        rank = partial(sampling.rank_of_pair, key_func)
        return self._sorted(self, rank, ascending, num_partitions, key_func)

    def _sorted(
        self: RDD[tuple[K, V]],
        sampled: RDD[Any],
        rank: Callable[[Any], Any],
        ascending: bool,
        num_partitions: int | None,
        key_func: Callable[[K], Any] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Sort pairs in ranges whose borders are found in another RDD, by what `rank` makes of its
        records.
        """
        runner, parent, name = self._runner, self._node, named_here("sort_by_key")
        ordering = Ordering(bool(ascending), key_func)
        asked = check_partitions(num_partitions)

        async def place() -> Node:
            count = asked or await runner.resolver.default_partitions(parent)
            # One partition needs no borders, and no job that finds them.
            bounds: tuple[Any, ...] = ()
            if count > 1:
                bounds = await sampling.range_bounds(sampled, count, rank)
            target = RangePartitioner(count, bounds, bool(ascending), key_func)
            # Partitions follow one another in order, and each is sorted by the task that reads it.
            return Shuffled(name=name, parent=parent, target=target, ordering=ordering)

        return self._derive(Unresolved(name=name, resolve=place))

    def sort_by(
        self,
        key_func: Callable[[T], Any],
        ascending: bool = True,
        num_partitions: int | None = None,
    ) -> RDD[T]:
        """Sort records by a key made from each."""
        # The key is made once for each record, and travels with it; sampling makes it for some.
        keyed: RDD[Any] = self.key_by(key_func)
        return keyed._sorted(self, key_func, ascending, num_partitions).values()

    # ---- keeping

    def cache(self) -> RDD[T]:
        """Keep the partitions in the session's storage once a job has computed all of them."""
        return self.persist()

    def persist(self) -> RDD[T]:
        """Keep the partitions in the session's storage once a job has computed all of them.

        They lie on disk (on aws, in S3), as nothing need keep running in between. Workers hold them
        in memory, too, as far as a quarter of theirs goes.
        """
        self._node.persisted = True
        return self

    def unpersist(self) -> RDD[T]:
        """Forget the kept partitions, and do not keep them again.

        Jobs that read them meanwhile go on: the files are removed with the session.
        """
        self._node.persisted = False
        self._runner.forget(self._node)
        return self

    def checkpoint(self) -> None:
        """Keep the partitions under `checkpoint_dir` once a job has computed all of them, and cut
        the lineage there. They are not removed with the session.
        """
        self._runner.check_checkpoint_dir()
        self._node.checkpointed = True

    @property
    def is_cached(self) -> bool:
        """Whether `cache` or `persist` was asked for."""
        return self._node.persisted

    @property
    def is_checkpointed(self) -> bool:
        """Whether the checkpoint has been written."""
        return self._runner.resolver.is_checkpointed(self._node)

    # ---- looking

    @property
    def id(self) -> int:
        """A number that no other RDD of this process has."""
        return self._node.id

    @property
    def name(self) -> str:
        """What made this RDD, and where."""
        return self._node.name

    def set_name(self, name: str) -> RDD[T]:
        """Give this RDD another name, shown in stages and errors."""
        self._node.name = name
        return self

    async def num_partitions(self) -> int:
        """Return the number of partitions; lists input and samples keys where that decides."""
        return await self._runner.resolver.partition_count(self._node)

    get_num_partitions = num_partitions

    def to_debug_string(self) -> str:
        """Draw the lineage: one RDD a line, a new level of indentation at each shuffle."""
        return draw_lineage(self._node)

    @overload
    async def explain(self, predict: Literal[False] = False) -> str: ...

    @overload
    async def explain(self, predict: Literal[True]) -> Prediction: ...

    async def explain(self, predict: bool = False) -> str | Prediction:
        """Return the stages that a job over this RDD would run, in order, and what they read.

        With `predict`, return a Prediction: what counting its records would take and cost, by a
        sample run over a part of each input. The sample is a job of its own, and billed.
        """
        if predict:
            return await self._runner.predict(self._node)
        return await self._runner.explain(self._node)

    # ---- actions

    async def collect(self) -> list[T]:
        """Return all records, in the order of their partitions."""
        parts = await self._run(Return(in_tasks.collect, operator.add), "collect")
        return [record for part in parts for record in part]

    async def __aiter__(self) -> AsyncIterator[T]:
        """Give the records of each partition as soon as it is finished."""
        sink = Return(in_tasks.collect, operator.add)
        async with self._runner.job(self._node, sink, named_here("collect")) as job:
            async for _, part in job.stream(range(job.partitions)):
                for record in part:
                    yield record

    async def to_local_iterator(self) -> AsyncIterator[T]:
        """Give all records in order, one partition in memory at a time."""
        sink = Return(in_tasks.collect, operator.add)
        async with self._runner.job(self._node, sink, named_here("to_local_iterator")) as job:
            # Asked for one by one within one job: what they read is computed once.
            for partition in range(job.partitions):
                for record in (await job.values([partition]))[0]:
                    yield record

    async def collect_as_map(self: RDD[tuple[K, V]]) -> dict[K, V]:
        """Return the pairs as a dict; of equal keys, the last one counts.

        Raises UnportableKeyError for a key that cannot be hashed, and InvalidArgumentError where a
        record is no pair.
        """
        # In the order of partitions, so that it is the last of equal keys that stays.
        return actions.as_map(await self.collect())

    async def count(self) -> int:
        """Return the number of records. Lines of text are counted without being made."""
        return sum(await self._run(Count(), "count"))

    async def count_by_key(self: RDD[tuple[K, V]]) -> dict[K, int]:
        """Return how many pairs each key has."""
        return actions.add_counts(await self._run(Return(in_tasks.count_keys), "count_by_key"))

    async def count_by_value(self) -> dict[T, int]:
        """Return how often each record occurs."""
        return actions.add_counts(await self._run(Return(in_tasks.count_values), "count_by_value"))

    async def take(self, num: int) -> list[T]:
        """Return the first records, reading no more partitions than it takes to find them."""
        return await actions.take(self, num)

    async def first(self) -> T:
        """Return the first record. Raises InvalidArgumentError (a ValueError) if there is none."""
        found = await self.take(1)
        if not found:
            raise InvalidArgumentError("the RDD is empty: it has no first record")
        return found[0]

    async def is_empty(self) -> bool:
        """Say whether there is no record."""
        return not await self.take(1)

    async def take_ordered(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Return the smallest records, in order."""
        _check_key(key, "take_ordered")
        return await actions.extremes(self, num, key, smallest=True)

    async def top(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Return the largest records, largest first."""
        _check_key(key, "top")
        return await actions.extremes(self, num, key, smallest=False)

    async def take_sample(
        self, with_replacement: bool, num: int, seed: int | None = None
    ) -> list[T]:
        """Return `num` records at random (all, if there are fewer and none is taken twice)."""
        return await sampling.take_sample(self, with_replacement, num, seed)

    async def reduce(self, function: Callable[[T, T], T]) -> T:
        """Merge all records by an associative, commutative function.

        Raises InvalidArgumentError (a ValueError) for an empty RDD.
        """
        check_function(function, "reduce")
        return await actions.reduce_all(self, function)

    async def fold(self, zero: T, function: Callable[[T, T], T]) -> T:
        """Merge all records by a function, each partition and the whole beginning from `zero`."""
        return await self.aggregate(zero, function, function)

    async def aggregate(
        self, zero: U, seq_op: Callable[[U, T], U], comb_op: Callable[[U, U], U]
    ) -> U:
        """Fold each partition into `zero` by one function, and merge the results by another."""
        check_function(seq_op, "aggregate")
        check_function(comb_op, "aggregate")
        return await actions.aggregate(self, zero, seq_op, comb_op)

    async def tree_reduce(self, function: Callable[[T, T], T], depth: int = 2) -> T:
        """As reduce, with the results of partitions merged in tasks, `depth` levels deep."""
        check_function(function, "tree_reduce")
        return await actions.tree_reduce(self, function, depth)

    async def tree_aggregate(
        self,
        zero: U,
        seq_op: Callable[[U, T], U],
        comb_op: Callable[[U, U], U],
        depth: int = 2,
    ) -> U:
        """As aggregate, with the results of partitions merged in tasks, `depth` levels deep."""
        check_function(seq_op, "tree_aggregate")
        check_function(comb_op, "tree_aggregate")
        return await actions.tree_aggregate(self, zero, seq_op, comb_op, depth)

    async def max(self, key: Callable[[T], Any] | None = None) -> T:
        """Return the largest record."""
        _check_key(key, "max")
        return await actions.reduce_all(self, partial(in_tasks.larger, key))

    async def min(self, key: Callable[[T], Any] | None = None) -> T:
        """Return the smallest record."""
        _check_key(key, "min")
        return await actions.reduce_all(self, partial(in_tasks.smaller, key))

    async def sum(self) -> Any:
        """Return the sum of the records; 0 if there are none."""
        return sum(await self._run(Return(in_tasks.add_up, operator.add), "sum"))

    async def stats(self) -> Stats:
        """Return count, mean, variance and extremes of the records."""
        return Stats.total(await self._run(Return(in_tasks.statistics, Stats.merge), "stats"))

    async def mean(self) -> float:
        """Return the mean of the records."""
        return (await self.stats()).mean

    async def variance(self) -> float:
        """Return the variance of the records (divided by their count)."""
        return (await self.stats()).variance

    async def stdev(self) -> float:
        """Return the standard deviation of the records."""
        return (await self.stats()).stdev

    async def sample_variance(self) -> float:
        """Return the unbiased estimate of the variance."""
        return (await self.stats()).sample_variance

    async def sample_stdev(self) -> float:
        """Return the standard deviation by the unbiased variance."""
        return (await self.stats()).sample_stdev

    async def histogram(self, buckets: int | Sequence[Any]) -> tuple[list[Any], list[int]]:
        """Count records by bucket: that many even ones, or those between the sorted borders given.

        Returns (borders, counts). Buckets are open on the right, but for the last one.
        """
        return await histograms.histogram(self, buckets)

    async def lookup(self: RDD[tuple[K, V]], key: K) -> list[V]:
        """Return the values of a key; one partition is read where pairs are placed by key."""
        return await actions.lookup(self, key)

    async def foreach(self, function: Callable[[T], Any]) -> None:
        """Call a function with each record, in tasks."""
        check_function(function, "foreach")
        await self._run(Return(partial(in_tasks.for_each, function)), "foreach")

    async def foreach_partition(self, function: Callable[[Iterator[T]], Any]) -> None:
        """Call a function with the iterator of each partition's records, in tasks."""
        check_function(function, "foreach_partition")
        await self._run(Return(partial(in_tasks.for_partition, function)), "foreach_partition")

    async def save_as_text_file(
        self, path: str, compression: Literal["gzip", "bz2", "zstd"] | None = None
    ) -> None:
        """Write str(record) line by line: one file part-NNNNN for each partition, then _SUCCESS.

        Raises OutputExistsError, before anything runs, if the path is there already.
        """
        actions.check_compression(compression)
        await self._runner.save(self._node, SaveText(str(path), compression), str(path))

    async def save_as_pickle_file(self, path: str, batch_size: int = 1024) -> None:
        """Write records so that `session.pickle_file` gives them back exactly as they are."""
        size = check_partitions(batch_size, "batch_size")
        await self._runner.save(self._node, SavePickle(str(path), size), str(path))

    async def _run(
        self, sink: Any, name: str, partitions: Sequence[int] | None = None
    ) -> list[Any]:
        async with self._runner.job(self._node, sink, named_here(name)) as job:
            # With the answer the job is over: leaving the context stops what still runs of it.
            return await job.values(range(job.partitions) if partitions is None else partitions)


def _hashed(count: int | None, function: Callable[[Any], int] | None) -> HashPartitioner:
    _check_key(function, "partition_func")
    return HashPartitioner(check_partitions(count), function)


def _in_both(pair: tuple[Hashable, tuple[Group, ...]]) -> bool:
    return all(len(group) > 0 for group in pair[1])
