"""connect() and Session: what programs make RDDs, shared variables and jobs with."""

from __future__ import annotations

import builtins
import itertools
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from aflint.backend import Backend, open_backend
from aflint.codec import closure, frame
from aflint.config import Config, load_config
from aflint.cost import Cost
from aflint.driver import splits
from aflint.driver.callsite import named_here
from aflint.driver.explaining import explained_to
from aflint.driver.keeper import Keeper
from aflint.driver.report import JobReport
from aflint.driver.splits import Paths
from aflint.driver.tracebacks import hide_inside, hide_inside_in_cells
from aflint.errors import (
    AflintError,
    ClosureError,
    ConfigError,
    InvalidArgumentError,
    JobCancelledError,
    SessionError,
)
from aflint.events import Listener
from aflint.executor import in_tasks
from aflint.executor.blockfile import pack_block
from aflint.plan.lineage import Node, Source, Unresolved
from aflint.plan.program import Return
from aflint.rdd import RDD, check_function, check_partitions, no_attribute
from aflint.session.resources import Resources
from aflint.task import DataSplit, RangeSplit
from aflint.variables import Accumulator, Broadcast

if TYPE_CHECKING:
    from aflint.cost.prediction import Prediction
    from aflint.localcloud import LocalCloud
    from aflint.sql.batches import Batches
    from aflint.sql.native import DataFrame, Planner

T = TypeVar("T")
U = TypeVar("U")

_log = logging.getLogger(__name__)

_BLOCK_RECORDS = 4096
_INLINE_BYTES = 256 * 1024


def connect(config: str | Path | Config | None = None, **overrides: Any) -> Session:
    """Return a session, to be entered with `async with`.

    `config` is a file to read settings from, or a Config; keywords override single settings: see
    docs/configuration.md. Nothing starts before the session is entered.

    Raises ConfigError for a setting that is unknown, of the wrong type or out of range.
    """
    if isinstance(config, Config):
        return Session(config.replace(**overrides) if overrides else config)
    return Session(load_config(config, **overrides))


async def open(config: str | Path | Config | None = None, **overrides: Any) -> Session:
    """Start a session that lasts until `await session.aclose()`: for notebooks and web servers.

    It takes what `connect` takes; prefer that where an `async with` can enclose all of the work.
    Any asyncio task of the same event loop may close the session. One that is not closed is closed
    when its loop or the interpreter ends, with a ResourceWarning.
    """
    session = connect(config, **overrides)
    hide_inside_in_cells()
    # Entered and left by a task of its own: a notebook runs each cell in another one.
    session._keeper = Keeper(f"session {session.id}", session)
    await session._keeper.open()
    return session


class Session:
    """Where RDDs are made and their jobs run. An async context manager, entered once.

    Leaving it stops what still runs and removes everything the session left behind, whether it is
    left normally, by an exception or by a cancellation.
    """

    def __init__(self, config: Config, id: str | None = None) -> None:
        """`id`: what the session is called where no `run_id` is set; chosen at random if None."""
        if explained_to() is not None:
            # A program that is explained leaves nothing: it has not run.
            config = config.replace(
                journal=False, run_id=None, history_mb=0, event_log=None, keep_failed=False,
                otel=False, openlineage=False, ui=False, progress=False,
            )  # fmt: skip
        self.config = config
        self.id = config.run_id or id or secrets.token_hex(4)
        self.name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "aflint"
        """What listeners are told that this run is: its program. To be set before it is entered."""
        self._listeners: list[Listener] = []
        self._accumulators = itertools.count(1)
        self._resources: Resources | None = None
        self._keeper: Keeper | None = None
        self._planner: Planner | None = None
        self.names: Callable[[], Mapping[str, Any]] = lambda: {"session": self}
        """Returns what code that is typed into the page finds, when that is first needed."""

    def __reduce__(self) -> NoReturn:
        raise ClosureError(
            "a session cannot be used inside a function that runs in tasks: only the driver can "
            "run jobs"
        )

    if not TYPE_CHECKING:  # which would take every attribute to be there

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute(self, name)

    # ---- life

    async def __aenter__(self) -> Self:
        if self._resources is not None:
            raise SessionError("a session can be entered only once; connect() again")
        try:
            self._resources = await self._new_resources().__aenter__()
        except AflintError as error:
            hide_inside(error)
            raise
        if self.config.ui:
            try:
                self._resources.open_page(self)
            except BaseException as error:
                await self.__aexit__(type(error), error, error.__traceback__)
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._resources is not None
        await self._resources.__aexit__(kind, error, traceback)

    async def aclose(self) -> None:
        """End a session that `aflint.open` returned, as the end of an `async with` ends others.

        Jobs that still run raise JobCancelledError. Does nothing where the session has ended.
        """
        if self._keeper is None:
            raise SessionError(
                "a session from connect() is closed by leaving its `async with`; only one from "
                "aflint.open() is closed with aclose()"
            )
        await self._keeper.aclose()

    def _new_resources(self) -> Resources:
        return Resources(self.config, self.id, self.name, self._listeners, self._open_backend)

    async def _open_backend(self, scratch: Path, stack: AsyncExitStack) -> Backend:
        return await open_backend(self.config, scratch, self.id, stack)

    def _opened(self) -> Resources:
        if self._resources is None:
            raise SessionError("enter the session first: async with aflint.connect() as session")
        if self._resources.closed:
            raise SessionError("the session is closed; connect() again")
        # Each time: modules may have been imported since.
        self._resources.user_modules.look()
        return self._resources

    def _rdd(self, node: Node) -> RDD[Any]:
        return RDD(node, self._opened().jobs)

    # ---- input

    def parallelize(self, data: Iterable[T], num_slices: int | None = None) -> RDD[T]:
        """Make an RDD of records that the driver has, in `num_slices` even partitions.

        The records are copied when this is called. A `range` is not copied, but counted where it
        is used. Raises SerializationError for records that cannot be pickled.
        """
        if isinstance(data, builtins.range):
            numbers: RDD[Any] = self.range(data.start, data.stop, data.step, num_slices)
            return numbers
        if not isinstance(data, Iterable):
            raise InvalidArgumentError(
                f"parallelize needs something to iterate over, not {type(data).__name__}"
            )
        # Copied, so that what the program does to its list later is not seen by tasks.
        records = list(data)
        slices = _cuts(len(records), check_partitions(num_slices, "num_slices") or self._slices())
        splits = tuple(self._data_split(records[start:end]) for start, end in slices)
        return self._rdd(Source(name=named_here("parallelize"), splits=splits))

    def _data_split(self, records: list[Any]) -> DataSplit:
        blocks = (
            records[start : start + _BLOCK_RECORDS]
            for start in builtins.range(0, len(records), _BLOCK_RECORDS)
        )
        return DataSplit(
            tuple(self._opened().jobs.programs.blob(pack_block(block)) for block in blocks)
        )

    def empty_rdd(self) -> RDD[Any]:
        """Make an RDD of no partitions."""
        return self._rdd(Source(name=named_here("empty_rdd"), splits=()))

    def range(
        self, start: int, end: int | None = None, step: int = 1, num_slices: int | None = None
    ) -> RDD[int]:
        """Make an RDD of integers, as Python's `range` gives them; with `end` None, from 0."""
        if end is None:
            start, end = 0, start
        try:
            numbers = builtins.range(start, end, step)
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(f"range({start!r}, {end!r}, {step!r}): {error}") from None
        count = check_partitions(num_slices, "num_slices") or self._slices()
        parts = (numbers[a:b] for a, b in _cuts(len(numbers), count))
        splits = tuple(RangeSplit(part.start, part.stop, part.step) for part in parts)
        return self._rdd(Source(name=named_here("range"), splits=splits))

    def text_file(
        self,
        path: Paths,
        min_partitions: int | None = None,
        *,
        encoding: str = "utf-8",
        errors: str = "strict",
        recursive: bool = False,
    ) -> RDD[str]:
        r"""Make an RDD of the lines of text files, without their ends (\n, \r\n or \r).

        `path` is a path, a glob, a folder, a comma-separated list of these, or a list. Folders
        within a folder raise SubfolderError, unless `recursive` has them read, too. Files are
        cut into partitions as Spark cuts them: at least about `min_partitions`. Those ending in
        .gz, .bz2, .zst, .deflate, .lz4 or .xz are decompressed; other compressed ones raise
        UnsupportedCompressionError. Bytes that are not text in `encoding` raise TextDecodingError,
        unless `errors` says otherwise ("replace", "ignore": as bytes.decode). A file that changes
        after it was listed, which is with the first action, raises InputChangedError.
        """
        least = check_partitions(min_partitions, "min_partitions") or min(self._slices(), 2)
        splits.check_encoding(encoding, errors)
        storage = self._opened().backend.storage
        return self._listed(
            "text_file",
            partial(
                splits.text_splits,
                storage,
                path,
                min_partitions=least,
                split_bytes=self.config.split_mb << 20,
                encoding=encoding,
                errors=errors,
                subfolders=splits.read_if(recursive),
            ),
        )

    def whole_text_files(
        self,
        path: Paths,
        min_partitions: int | None = None,
        *,
        encoding: str = "utf-8",
        errors: str = "strict",
        recursive: bool = False,
    ) -> RDD[tuple[str, str]]:
        """Make an RDD of (path, content as text) of whole files, named as for `text_file`."""
        splits.check_encoding(encoding, errors)
        below = splits.read_if(recursive)
        return self._whole_files("text", path, min_partitions, below, encoding, errors)

    def binary_files(
        self, path: Paths, min_partitions: int | None = None, *, recursive: bool = False
    ) -> RDD[tuple[str, bytes]]:
        """Make an RDD of (path, content as bytes) of whole files, named as for `text_file`."""
        return self._whole_files("binary", path, min_partitions, splits.read_if(recursive))

    def pickle_file(
        self, path: Paths, min_partitions: int | None = None, *, recursive: bool = False
    ) -> RDD[Any]:
        """Make an RDD of the records that `save_as_pickle_file` wrote."""
        return self._whole_files("pickle", path, min_partitions, splits.read_if(recursive))

    def _whole_files(
        self,
        kind: str,
        path: Paths,
        min_partitions: int | None,
        subfolders: splits.Subfolders,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> RDD[Any]:
        least = check_partitions(min_partitions, "min_partitions") or min(self._slices(), 2)
        storage = self._opened().backend.storage
        return self._listed(
            {"text": "whole_text_files", "binary": "binary_files", "pickle": "pickle_file"}[kind],
            partial(
                splits.whole_file_splits,
                storage,
                path,
                kind=kind,
                min_partitions=least,
                split_bytes=self.config.split_mb << 20,
                encoding=encoding,
                errors=errors,
                subfolders=subfolders,
            ),
        )

    def _listed(self, method: str, list_splits: Callable[[], Any]) -> RDD[Any]:
        name = named_here(method)

        # Listed with the first job and not now: making an RDD does no I/O.
        async def listed() -> Node:
            return Source(name=name, splits=await list_splits())

        return self._rdd(Unresolved(name=name, resolve=listed))

    def union(self, rdds: Sequence[RDD[T]]) -> RDD[T]:
        """Give the records of all RDDs, one after the other."""
        rdds = list(rdds)
        if not rdds:
            return self.empty_rdd()
        return rdds[0].union(*rdds[1:])

    def _slices(self) -> int:
        backend = self._opened().backend
        return self.config.default_parallelism or backend.parallelism

    # ---- shared variables

    def broadcast(self, value: T) -> Broadcast[T]:
        """Make a value available to tasks as `.value`, sent to each executor once.

        It is copied when this is called: later changes to the original are not seen.
        """
        programs = self._opened().jobs.programs
        data = frame.compress(closure.dumps(value, "the broadcast value"))
        blob = programs.stored_blob(data)
        return Broadcast(blob, data, programs.fingerprint(value, blob))

    def accumulator(self, initial: T, add: Callable[[T, Any], T] | None = None) -> Accumulator[T]:
        """Make a variable that tasks add to and the driver reads; added up by `add`, by default
        the + of its values.
        """
        id = f"{self.id}-{next(self._accumulators)}"
        if add is None:
            return Accumulator(initial, id=id)
        check_function(add, "accumulator")
        return Accumulator(initial, add, id)

    # ---- SQL

    async def sql(self, query: str) -> Batches:
        """Run a query of Spark SQL, and return its rows as a table of Arrow's: pandas, Polars,
        DuckDB and whatever else speaks the Arrow PyCapsule interface read it without a copy.

        Spark's planner starts with the first query, in a JVM beside this process: see
        docs/dataframes.md. Raises ConfigError where `aflint[sql]` is not installed or there is no
        Java, InvalidArgumentError for a query that Spark refuses, and UnsupportedPlanError, before
        anything runs, for one that aflint does not run.
        """
        return await self._sql().run(query)

    def dataframe(self, frame: Any) -> DataFrame:
        """Return a DataFrame of PySpark's so that this session computes it: `collect()` of it is
        awaited, and gives a table of Arrow's as `sql` does.

        It may be of a SparkSession of Spark's own or of aflint's; its SparkSession plans it, and
        runs nothing.
        """
        planner = self._sql()
        from aflint.sql.native import DataFrame

        return DataFrame(planner, frame)

    def _sql(self) -> Planner:
        resources = self._opened()
        if self._planner is None:
            try:
                from aflint.sql.native import Planner
            except ModuleNotFoundError as error:
                raise ConfigError(f"SQL needs {error.name}: pip install 'aflint[sql]'") from None
            self._planner = Planner(resources.jobs, self.config, self._slices())
            resources.at_end(self._planner.close)
        return self._planner

    # ---- plain functions

    async def map(self, function: Callable[[T], U], items: Iterable[T]) -> list[U]:
        """Run a function on each item, each in a task of its own; return the results in order.

        Raises TaskError as soon as one of them fails; its `partition` is the item's place.
        """
        rdd, sink = self._calls(function, items)
        async with self._opened().jobs.job(rdd._node, sink, named_here("map")) as job:
            values: list[U] = await job.values(builtins.range(job.partitions))
            return values

    async def as_completed(
        self, function: Callable[[T], U], items: Iterable[T]
    ) -> AsyncIterator[U]:
        """Run a function on each item, each in a task of its own; give results as they come."""
        rdd, sink = self._calls(function, items)
        async with self._opened().jobs.job(rdd._node, sink, named_here("as_completed")) as job:
            async for _, value in job.stream(builtins.range(job.partitions)):
                yield value

    def _calls(self, function: Callable[[T], Any], items: Iterable[T]) -> tuple[RDD[T], Return]:
        check_function(function, "map")
        arguments = list(items)
        # A task for each item, and none where there are no items.
        rdd = self.parallelize(arguments, max(1, len(arguments)))
        if not arguments:
            rdd = self.empty_rdd()
        return rdd, Return(partial(in_tasks.call, function))

    # ---- jobs

    async def predict(self, program: Callable[[], Awaitable[Any]]) -> Prediction:
        """Return what a coroutine function that runs actions would cost and take.

        It is called once, and its actions run over one split of each input, as jobs of their own:
        what it makes of their answers is made of a sample, and what it saves is removed.
        """
        return await self._opened().jobs.sample(program)

    def cancel(self, job: str | None = None, reason: AflintError | None = None) -> bool:
        """Cancel one job, or all; say whether there was any to cancel. Its action raises `reason`,
        by default a JobCancelledError; its attempts are stopped and its shuffles removed.
        """
        reason = reason or JobCancelledError("cancelled by session.cancel()")
        return self._opened().cancel(job, reason)

    @property
    def jobs(self) -> list[JobReport]:
        """The jobs of this session, oldest first: the latest thousand."""
        return list(self._resources.reporter.jobs.values()) if self._resources else []

    @property
    def last_job(self) -> JobReport | None:
        """The job that started last."""
        return next(reversed(self.jobs), None)

    @property
    def cost(self) -> Cost:
        """What this session cost so far: its jobs, and what the driver asked of AWS beside them.

        On `local`: what it would have cost. Raises UnpricedRegionError where there are no prices
        for the region.
        """
        return self._opened().reporter.cost

    @property
    def ui(self) -> str | None:
        """The address of this session's page, with its token; None without the setting `ui`."""
        page = self._opened().page
        return None if page is None else page.url

    def add_listener(self, listener: Listener) -> None:
        """Have a function called with every event from now on; it must not block."""
        self._listeners.append(listener)

    async def warm(self, count: int) -> int:
        """Have `count` executors ready before they are needed; return how many were started for it.

        On `local` the workers are ready when the session is entered: nothing is started.
        """
        return await self._opened().backend.invoker.warm(count)

    @property
    def localcloud(self) -> LocalCloud:
        """The emulator of a session with backend="localcloud". Raises SessionError on others."""
        emulator = self._opened().backend.localcloud
        if emulator is None:
            raise SessionError('this session has no emulator: connect(backend="localcloud")')
        return emulator

    @property
    def default_parallelism(self) -> int:
        """How many partitions an RDD gets by default."""
        return self._slices()


def _cuts(length: int, parts: int) -> list[tuple[int, int]]:
    """Return the borders of even parts, as Spark cuts them."""
    return [(length * i // parts, length * (i + 1) // parts) for i in range(parts)]
