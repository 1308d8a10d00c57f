"""RDD's transformations that move no record."""

from __future__ import annotations

import inspect
import operator
import reprlib
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from numbers import Real
from types import FunctionType
from typing import Any

from aflint.codec.culprit import describe_function
from aflint.driver.callsite import named_here
from aflint.executor import operators
from aflint.executor.pipe import piped
from aflint.plan.lineage import AlignedUnion
from aflint.pyspark.names import PipelinedRDD, engine_rdd, init_rdd, make_rdd, node_of
from aflint.pyspark.worker import BarrierStep
from aflint.rdd import RDD as EngineRDD
from aflint.rdd import check_function


def derived(rdd: Any, made: EngineRDD[Any], partitioner: Any = None) -> Any:
    """Return an RDD of PySpark's for one of the engine's that was made from another."""
    return make_rdd(rdd.ctx, made._node, partitioner, PipelinedRDD)


def given(function: Any, arguments: int | None = 1) -> Callable[..., Any]:
    """Return a function of the program, to be called with so many arguments; None is any number.

    What cannot be called so fails where it is called, as on Spark, with an error that names the
    line that gave it. Raises InvalidArgumentError for a function that would have to be awaited:
    Spark drops what it gives.
    """
    if not callable(function):
        shown = f"{reprlib.repr(function)}, not a function"
    else:
        # PySpark's own methods wrap the program's function in one of theirs, which is never async.
        for each in _with_captured(function):
            check_function(each, "a step")
        if arguments is None or _takes(function, arguments):
            return function  # type: ignore[no-any-return]
        named = function if isinstance(function, FunctionType) else None
        shown = describe_function(named) if named else reprlib.repr(function)
        shown = f"{shown}, which it calls with {arguments} argument{'s' * (arguments > 1)}"
    return operators.Unfit(function, f"{named_here('a step')} was given {shown}")


def _takes(function: Callable[..., Any], arguments: int) -> bool:
    try:
        # `bind` looks at numbers and defaults, and not at what the arguments are.
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except Exception:  # some functions written in C do not say what they take
        return True
    return True


def _with_captured(function: Any) -> Iterator[Any]:
    """Yield a function, and the program's where it is one that PySpark wraps around them."""
    yield function
    if getattr(function, "__globals__", {}).get("__name__", "").startswith("pyspark."):
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # a cell that is still empty
                if callable(cell.cell_contents):
                    yield from _with_captured(cell.cell_contents)


def partition_number(count: Any) -> int:
    """Return a number of partitions as a plain integer: numpy's integers and floats such as 4 / 2
    are converted.

    Raises TypeError for anything else, and ValueError for less than 1.
    """
    try:
        number = operator.index(count)
    except TypeError:
        if not isinstance(count, Real) or not float(count).is_integer():
            raise TypeError(f"Number of partitions must be an integer, not {count!r}") from None
        number = int(float(count))
    # After the conversion, which takes True for 1.
    if isinstance(count, bool):
        raise TypeError(f"Number of partitions must be an integer, not {count!r}")
    if number < 1:
        raise ValueError(f"Number of partitions must be positive, not {count!r}")
    return number


class Narrow:
    """Members of RDD."""

    ctx: Any
    partitioner: Any

    def map(self, f: Callable[[Any], Any], preservesPartitioning: bool = False) -> Any:
        return self._narrow(engine_rdd(self).map(given(f), bool(preservesPartitioning)))

    def flatMap(self, f: Callable[[Any], Any], preservesPartitioning: bool = False) -> Any:
        return self._narrow(engine_rdd(self).flat_map(given(f), bool(preservesPartitioning)))

    def filter(self, f: Callable[[Any], Any]) -> Any:
        return self._narrow(engine_rdd(self).filter(given(f)))

    def mapValues(self, f: Callable[[Any], Any]) -> Any:
        return self._narrow(engine_rdd(self).map_values(given(f)))

    def flatMapValues(self, f: Callable[[Any], Any]) -> Any:
        return self._narrow(engine_rdd(self).flat_map_values(given(f)))

    def keyBy(self, f: Callable[[Any], Any]) -> Any:
        return self._narrow(engine_rdd(self).key_by(given(f)))

    def keys(self) -> Any:
        return self._narrow(engine_rdd(self).keys())

    def values(self) -> Any:
        return self._narrow(engine_rdd(self).values())

    def glom(self) -> Any:
        return self._narrow(engine_rdd(self).glom())

    def mapPartitions(
        self, f: Callable[[Iterable[Any]], Iterable[Any]], preservesPartitioning: bool = False
    ) -> Any:
        return self._narrow(engine_rdd(self).map_partitions(given(f), bool(preservesPartitioning)))

    def _narrow(self, made: EngineRDD[Any]) -> Any:
        """Return what a narrow step made, placed as this RDD is where the step keeps that."""
        keeps = made._node.preserves_partitioning  # type: ignore[attr-defined]
        rdd = derived(self, made, self.partitioner if keeps else None)
        rdd.is_barrier = self._is_barrier()  # type: ignore[attr-defined]
        return rdd

    def pipe(self, command: str, env: dict[str, str] | None = None, checkCode: bool = False) -> Any:
        step = partial(_piped, command, dict(env or {}), checkCode)
        return self._narrow(engine_rdd(self).map_partitions(step))

    def union(self, other: Any) -> Any:
        return union_of(self.ctx, [self, other])

    def cartesian(self, other: Any) -> Any:
        return make_rdd(self.ctx, engine_rdd(self).cartesian(engine_rdd(other))._node)

    def zip(self, other: Any) -> Any:
        if self.getNumPartitions() != other.getNumPartitions():  # type: ignore[attr-defined]
            raise ValueError("Can only zip with RDD which has the same number of partitions")
        return make_rdd(self.ctx, engine_rdd(self).zip(engine_rdd(other))._node)

    def coalesce(self, numPartitions: int, shuffle: bool = False) -> Any:
        made = engine_rdd(self).coalesce(partition_number(numPartitions), bool(shuffle))
        return make_rdd(self.ctx, made._node)

    def _reserialize(self, serializer: Any = None) -> Any:
        return self

    def _pickled(self) -> Any:
        return self

    def _to_java_object_rdd(self) -> Any:
        return self


class Pipelined:
    """Members of PipelinedRDD: PySpark's own code makes one from any function over partitions."""

    def __init__(
        self, prev: Any, func: Any, preservesPartitioning: bool = False, isFromBarrier: bool = False
    ) -> None:
        keeps = bool(preservesPartitioning)
        node: Any = engine_rdd(prev).map_partitions_with_index(given(func, 2), keeps)._node
        if isFromBarrier:  # the step says so to its stage, in the driver and in tasks
            node.operator = BarrierStep(node.operator.function)
        init_rdd(self, prev.ctx, node, prev.partitioner if keeps else None)
        self.is_barrier = isFromBarrier or prev._is_barrier()
        self.prev = prev
        self.func = func
        self.preservesPartitioning = preservesPartitioning


def _piped(command: str, env: dict[str, str], check: bool, records: Iterator[Any]) -> Iterator[str]:
    """Give what a command prints, which sees no other environment than `env`, as on Spark."""
    for line in piped(shlex.split(command), env, check, records):
        yield line.rstrip(b"\n").decode()


def union_of(context: Any, rdds: list[Any]) -> Any:
    """Return a union; partition by partition where all are placed alike, as Spark does."""
    placed = rdds[0].partitioner
    if placed is not None and all(rdd.partitioner == placed for rdd in rdds):
        aligned = AlignedUnion(name=named_here("union"), members=tuple(map(node_of, rdds)))
        return make_rdd(context, aligned, placed)
    first, *others = map(engine_rdd, rdds)
    return make_rdd(context, first.union(*others)._node)
