"""Where PySpark keeps what is not public: the only module that knows.

Everything else says `lineage_of(rdd)`, `make_rdd(...)` and so on, and PySpark may move things as
it did between 3.5 and 4.0.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import pyspark
from pyspark import accumulators as accumulators_module
from pyspark import util as util_module
from pyspark.conf import SparkConf as SparkConf
from pyspark.serializers import AutoBatchedSerializer, CPickleSerializer

from aflint.plan.lineage import Node
from aflint.pyspark.refusals import NoJvm
from aflint.rdd import RDD as EngineRDD


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"pyspark.core.{name}")
    except ModuleNotFoundError:  # before 4.0
        return importlib.import_module(f"pyspark.{name}")


VERSION: str = pyspark.__version__
RELEASE = tuple(map(int, re.findall(r"\d+", VERSION)[:2]))
rdd_module = _module("rdd")
context_module = _module("context")
status_module = _module("status")
RDD = rdd_module.RDD
PipelinedRDD = rdd_module.PipelinedRDD
RDDBarrier = rdd_module.RDDBarrier
Partitioner = rdd_module.Partitioner
BoundedFloat = rdd_module.BoundedFloat
portable_hash = rdd_module.portable_hash
SparkContext = context_module.SparkContext
Broadcast = _module("broadcast").Broadcast
SparkFiles = _module("files").SparkFiles
StatusTracker = status_module.StatusTracker
SparkJobInfo = status_module.SparkJobInfo
SparkStageInfo = status_module.SparkStageInfo
Accumulator = accumulators_module.Accumulator
InheritableThread = util_module.InheritableThread


class Lineage:
    """Stands where an RDD of PySpark's keeps its Java RDD."""

    __slots__ = ("is_local", "level", "name", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name: str | None = None
        self.level: Any = None
        self.is_local = False

    def id(self) -> int:
        """Return the number of the RDD."""
        return self.node.id

    def __getattr__(self, name: str) -> NoJvm:
        """Return what refuses a call of the Java RDD's own methods."""
        return getattr(NoJvm("rdd._jrdd"), name)  # type: ignore[no-any-return]


def make_rdd(context: Any, node: Node, partitioner: Any = None, cls: Any = RDD) -> Any:
    """Return an RDD of PySpark's for a lineage."""
    rdd = cls.__new__(cls)
    init_rdd(rdd, context, node, partitioner)
    return rdd


def init_rdd(rdd: Any, context: Any, node: Node, partitioner: Any = None) -> None:
    """Give a new RDD all that PySpark's own code asks of it."""
    rdd._jrdd = Lineage(node)
    rdd._jrdd_deserializer = AutoBatchedSerializer(CPickleSerializer())
    rdd._id = node.id
    rdd._bypass_serializer = False
    rdd.is_cached = False
    rdd.is_checkpointed = False
    rdd.has_resource_profile = False
    rdd.is_barrier = False
    rdd.ctx = context
    rdd.partitioner = partitioner


def lineage_of(rdd: Any) -> Lineage:
    """Return what stands for the Java RDD."""
    lineage: Lineage = rdd._jrdd
    return lineage


def node_of(rdd: Any) -> Node:
    """Return the node that computes an RDD."""
    node: Node = rdd._jrdd.node
    return node


def engine_rdd(rdd: Any) -> EngineRDD[Any]:
    """Return an RDD as the engine's own. Raises PySparkRuntimeError once its context is stopped."""
    return EngineRDD(node_of(rdd), rdd.ctx._engine_running().jobs)


def replace_members(cls: Any, source: type) -> None:
    """Have a class of PySpark's do what `source` says, name by name."""
    for name, member in vars(source).items():
        # A class has many names that are its own: its module, its dict, its doc.
        if not name.startswith("__") or name in ("__init__", "__repr__"):
            setattr(cls, name, _documented(member, getattr(cls, name, None)))


def _documented(member: Any, original: Any) -> Any:
    """Keep PySpark's own documentation, and with it its examples."""
    doc = getattr(original, "__doc__", None)
    # A class method is not to be written to, but its function is.
    target = getattr(member, "__func__", member)
    if doc and hasattr(target, "__doc__") and not isinstance(target, property):
        target.__doc__ = doc
    elif doc and isinstance(member, property):
        return property(member.fget, member.fset, member.fdel, doc)
    return member


def remove_members(cls: Any, *names: str) -> None:
    """Have a class inherit what it has overridden."""
    for name in names:
        if name in vars(cls):
            delattr(cls, name)


def replace_in_modules(name: str, value: Any) -> None:
    """Replace a function where programs import it from."""
    # Where it is defined, and where `from pyspark import ...` finds it.
    setattr(util_module, name, value)
    setattr(pyspark, name, value)


def active_context() -> Any:
    """Return the SparkContext that is not stopped, or None."""
    return SparkContext._active_spark_context


def set_active_context(context: Any) -> None:
    """Make a context the one of this process."""
    SparkContext._active_spark_context = context


def pending_accumulator(aid: int) -> Any:
    """Return the driver's accumulator of a number, or None."""
    return accumulators_module._accumulatorRegistry.get(aid)
