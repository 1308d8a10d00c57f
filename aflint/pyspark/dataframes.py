"""DataFrames of PySpark's own classes: Spark plans them, and the engine runs their actions."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from aflint.cost.prediction import Prediction
from aflint.driver.callsite import named_here
from aflint.plan.lineage import Mapped, PerPartition
from aflint.pyspark import names
from aflint.pyspark.eager import install_eager
from aflint.pyspark.errors import translated
from aflint.pyspark.fallback import on_spark, wanted
from aflint.pyspark.keeping import Keeping
from aflint.pyspark.planner import planner_of, settings_of
from aflint.pyspark.writing import EngineWriter
from aflint.sql.arrow_types import batches_of
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.queries import Query, batches, compiled, whole
from aflint.sql.results import Named, as_rows, named
from aflint.sql.types import stored_type


class Actions:
    """Members of DataFrame: what needs its rows."""

    sparkSession: Any
    schema: Any

    def collect(self) -> list[Any]:
        query, found = _run(self, "collect")
        return as_rows(found, query.names, query.limit, query.offset)

    def count(self: Any) -> int:
        count: int = self.groupBy().count().collect()[0][0]
        return count

    def isEmpty(self: Any) -> bool:
        return not self.limit(1).collect()

    def explain(self, extended: bool | str | None = None, mode: str | None = None) -> None:
        """As PySpark's; the mode "cost" says, too, what its rows will cost, by a sampled run."""
        _ORIGINAL["explain"](self, extended, mode)
        if "cost" in (extended, mode):
            print(_predicted(self))

    def tail(self: Any, num: int) -> list[Any]:
        rows: list[Any] = self.collect()
        return rows[max(0, len(rows) - num) :] if num > 0 else []

    def toJSON(self: Any, use_unicode: bool = True) -> Any:
        from pyspark.sql import functions as F

        texts = self.select(F.to_json(F.struct("*"))).rdd.map(itemgetter(0))
        return texts if use_unicode else texts.map(str.encode)

    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[Any]:
        engine = self.sparkSession._sc._engine_running()
        query = query_of(self, rooted=False)
        name = named_here("toLocalIterator")
        with translated():
            made = engine.iterate(
                lambda: batches(query, engine.jobs, name, width=1), 1 + prefetchPartitions
            )
            for batch in made:
                yield from as_rows([batch], query.names)

    def _show_string(
        self: Any, n: int = 20, truncate: bool | int = True, vertical: bool = False
    ) -> str:
        """Spark's own text of a few rows, which the JVM is given."""
        shown = type(self)(in_jvm(self.limit(n + 1) if n >= 0 else self), self.sparkSession)
        text: str = _ORIGINAL["_show_string"](shown, n, truncate, vertical)
        return text

    def __repr__(self: Any) -> str:
        text: str = _ORIGINAL["__repr__"](_evaluated(self))
        return text

    def _repr_html_(self: Any) -> str | None:
        shown = _evaluated(self)
        self._support_repr_html = True
        html: str | None = _ORIGINAL["_repr_html_"](shown)
        return html

    def _collect_as_arrow(
        self,
        split_batches: bool = False,
        empty_list_if_zero_records: bool = True,
        prefers_large_var_types: bool = False,
    ) -> list[Any]:
        import pyarrow
        from pyspark.sql.pandas.types import to_arrow_schema

        schema = to_arrow_schema(
            self.schema, timezone="UTC", prefers_large_types=prefers_large_var_types
        )
        query, found = _run(self, "toArrow")
        if not found and empty_list_if_zero_records:
            return []
        stream = named(found, query.names, query.limit, query.offset)
        read = pyarrow.RecordBatchReader.from_stream(stream).read_all()
        # By their places: names of columns need not be unique in Spark.
        made = batches_of(read.rename_columns(schema.names), schema)
        empty = [pyarrow.array([], type=field.type) for field in schema]
        return made or [pyarrow.RecordBatch.from_arrays(empty, schema=schema)]

    @property
    def rdd(self) -> Any:
        """The rows, as an RDD of the engine's."""
        found = vars(self).get("_rows_rdd")
        if found is None:
            query = query_of(self, rooted=False)
            to_rows = PerPartition(partial(_rows, query.names))
            node = Mapped(name=named_here("rdd"), parent=query.node, operator=to_rows)
            # Kept, as PySpark keeps it: `df.rdd` is one RDD, with one shuffle below.
            found = names.make_rdd(self.sparkSession._sc, node)
            self._rows_rdd = found
        return found

    @property
    def write(self: Any) -> Any:
        from pyspark.sql.readwriter import DataFrameWriter

        writer = DataFrameWriter(self)
        writer._jwrite = EngineWriter(writer._jwrite, self._jdf.write(), self)
        return writer

    @property
    def writeStream(self) -> Any:
        raise _refused("DataFrame.writeStream", "Run a job for each batch of new files.")

    def writeTo(self, table: str) -> Any:
        raise _refused("DataFrame.writeTo", "Use df.write.")


def _refused(what: str, instead: str) -> Exception:
    from aflint.pyspark.errors import as_spark

    return as_spark(UnsupportedPlanError(what, "", instead))


def _rows(columns: tuple[Named, ...], partition: int, found: Iterator[bytes]) -> Iterator[Any]:
    for batch in found:
        yield from as_rows([batch], columns)


def query_of(frame: Any, *, rooted: bool = True) -> Query:
    """Return the query of a DataFrame: the same one for each action over it, with the shuffles that
    it has left, until something else is cached.
    """
    context = frame.sparkSession._sc
    known: dict[bool, tuple[int, Query]] = vars(frame).setdefault("_queries", {})
    version, query = known.get(rooted, (-1, None))
    if query is None or version != context._caching:
        query = _query(frame, rooted=rooted)
        known[rooted] = context._caching, query
    return query


def _query(frame: Any, *, rooted: bool = True, fallen: bool = False) -> Query:
    """Plan a DataFrame and make lineage of its plan. A limit at its root is an action's to heed,
    or, where it is not `rooted`, a step like others. One that has `fallen` is rows of Spark's own.
    """
    context = frame.sparkSession._sc
    engine = context._engine_running()
    plan = planner_of(context).plan(frame._jdf)
    settings = settings_of(frame.sparkSession)

    async def make() -> Query | UnsupportedPlanError:
        try:
            return (compiled if rooted else whole)(plan, engine.jobs, settings)
        except UnsupportedPlanError as error:
            if not fallen and wanted(frame.sparkSession):
                return error
            raise

    with translated():
        made: Query | UnsupportedPlanError = engine.run(make)
        if not isinstance(made, UnsupportedPlanError):
            return made
        rows = on_spark(frame, plan, made)
    return _query(rows, rooted=rooted, fallen=True)


def _run(frame: Any, name: str) -> tuple[Query, list[bytes]]:
    query = query_of(frame)
    context = frame.sparkSession._sc
    jobs, named_job = context._engine_running().jobs, named_here(name)

    async def run() -> list[bytes]:
        return [batch async for batch in batches(query, jobs, named_job)]

    found: list[bytes] = context._act(run)
    return query, found


def _predicted(frame: Any) -> Prediction:
    query = _query(frame)
    context = frame.sparkSession._sc
    jobs, name = context._engine_running().jobs, named_here("explain")

    async def run() -> None:
        async for _ in batches(query, jobs, name):
            pass

    found: Prediction = context._act(lambda: jobs.sample(run))
    return found


def in_jvm(frame: Any) -> Any:
    """Return a DataFrame of the JVM's that holds the rows of a small one."""
    query, found = _run(frame, "show")
    table = named(found, query.names, query.limit, query.offset)
    session = frame.sparkSession
    jvm, java_session = session._jvm, session._jsparkSession
    # A column without a type is one of integers to DuckDB, all NULL
    schema = _VOID.sub(r'\1:"integer"', json.dumps(stored_type(frame.schema.jsonValue())))
    with tempfile.NamedTemporaryFile(prefix="aflint-", suffix=".arrows") as file:
        Path(file.name).write_bytes(table.joined())
        # By a file, which the JVM reads at once: a row each through py4j would take long.
        rows = jvm.PythonSQLUtils.readArrowStreamFromFile(file.name)
        return jvm.PythonSQLUtils.toDataFrame(rows, schema, java_session)


def _evaluated(frame: Any) -> Any:
    """Return what is shown of a DataFrame that is only named: itself, or where the program asks for
    rows, those, in the JVM.
    """
    conf = frame.sparkSession._jconf
    if not conf.isReplEagerEvalEnabled():
        return frame
    shown = type(frame)(in_jvm(frame.limit(conf.replEagerEvalMaxNumRows() + 1)), frame.sparkSession)
    shown._support_repr_html = frame._support_repr_html
    return shown


_VOID = re.compile(r'("(?:type|elementType|keyType|valueType)"):"void"')
_ORIGINAL: dict[str, Any] = {}


def install_dataframes() -> None:
    """Have the actions of PySpark's own DataFrames run on the engine."""
    from pyspark.sql.classic.dataframe import DataFrame

    for name in ("_show_string", "explain", "__repr__", "_repr_html_"):
        _ORIGINAL[name] = getattr(DataFrame, name)
    names.replace_members(DataFrame, Actions)
    names.replace_members(DataFrame, Keeping)
    install_eager(names.replace_members)
    if "rdd" in vars(DataFrame):
        DataFrame.rdd = Actions.rdd
