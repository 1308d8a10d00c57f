"""What a task of a PySpark program finds around it: TaskContext, SparkFiles, environment, modules.

Nothing here imports PySpark: a program whose tasks do not use it need not wait for it.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import io
import logging
import math
import os
import resource
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from aflint.errors import VersionMismatchError
from aflint.executor.context import task_context
from aflint.plan.lineage import PerPartition
from aflint.plan.program import Program
from aflint.task import Blob

_log = logging.getLogger(__name__)

_ARCHIVED = ("pyspark", "py4j")
_CONTEXT = "pyspark.taskcontext"
_FILES = ("pyspark.core.files", "pyspark.files")


@dataclass(frozen=True)
class Environment:
    """What every task of a stage needs to know.

    `files` are those of addFile: name, content, whether it is a package; they lie in `root` on the
    driver's machine. `pyspark` is the archive of PySpark, for a task that imports it where it is
    not installed. `barrier_tasks`: how many tasks a barrier stage has; 0 in any other. `memory_mb`:
    the most address space of a task's process.
    """

    stage: int
    properties: dict[str, str]
    variables: dict[str, str]
    version: str
    root: str
    files: tuple[tuple[str, Blob], ...] = ()
    packages: tuple[str, ...] = ()
    pyspark: Blob | None = None
    barrier_tasks: int = 0
    cpus: Decimal = Decimal(1)
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class BarrierStep(PerPartition):
    """A step of `RDD.barrier()`: its whole stage is a barrier stage."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pickles a program so that the environment is there before its functions are unpickled."""

    environment: Environment
    program: Program

    def __reduce__(self) -> tuple[Any, ...]:
        return (_program, (_Entering(self.environment), self.program))


@dataclass(frozen=True, slots=True)
class _Entering:
    environment: Environment

    def __reduce__(self) -> tuple[Any, ...]:
        return (enter, (self.environment,))


def _program(_: None, program: Program) -> Program:
    return program


_entered: Environment | None = None
_root: Path | None = None
_archive: bytes | None = None


def enter(environment: Environment) -> None:
    """Make an environment the current one of this process."""
    global _archive, _entered
    before, _entered = _entered, environment
    os.environ.update(environment.variables)
    if before is None:  # the first task of this process: what is done once is done now
        if environment.pyspark is not None and importlib.util.find_spec("pyspark") is None:
            # Not while it is imported: that locks all imports, also the one that fetching may need.
            _archive = task_context().fetch(environment.pyspark)
        sys.meta_path.insert(0, _Finder())
        if environment.memory_mb is not None:
            _limit_memory(environment.memory_mb << 20)
    if before is None or before.root != environment.root or before.files != environment.files:
        _place_files(environment)
    # Modules that are there already adopt the task now; others do as they are imported.
    for name in (_CONTEXT, *_FILES):
        if name in sys.modules:
            adopt(sys.modules[name])


def _limit_memory(size: int) -> None:
    """Have allocations past a size raise MemoryError in this process, as Spark's workers do."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or size < soft:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        except (OSError, ValueError) as error:  # macOS has no such limit
            _log.warning("spark.executor.pyspark.memory has no effect here: %s", error)


def _place_files(environment: Environment) -> None:
    """Have the files of addFile in a folder, and what is Python among them importable."""
    global _root
    root = Path(environment.root)
    if not root.is_dir():
        root = Path(tempfile.gettempdir(), f"aflint-files-{root.name}")
        root.mkdir(exist_ok=True)
        for name, blob in environment.files:
            if not (root / name).exists():
                unpack(task_context().fetch(blob), root / name)
    for entry in (str(root), *(str(root / package) for package in environment.packages)):
        if entry not in sys.path:  # behind the program's own
            sys.path.insert(1, entry)
    importlib.invalidate_caches()
    _root = root


def unpack(data: bytes, target: Path) -> None:
    """Write a file of addFile; a folder travels as a zip behind a mark."""
    if data.startswith(FOLDER_MARK):
        with zipfile.ZipFile(io.BytesIO(data[len(FOLDER_MARK) :])) as archive:
            archive.extractall(target)
    else:
        target.write_bytes(data)


FOLDER_MARK = b"aflint folder\0"


def adopt(module: ModuleType) -> None:
    """Have a module of PySpark give the current task."""
    assert _entered is not None
    if module.__name__ in _FILES:
        module.SparkFiles._root_directory = str(_root)
        module.SparkFiles._is_running_on_worker = True
        return
    check_version(_entered.version)
    task, stage = task_context().id, _entered.stage
    context = object.__new__(
        module.BarrierTaskContext if _entered.barrier_tasks else module.TaskContext
    )
    context._stageId = stage
    context._partitionId = task.partition
    context._attemptNumber = task.attempt
    # Unique in the program, as Spark's is, without a count that tasks would have to share.
    context._taskAttemptId = (stage << 28) + (task.partition << 8) + task.attempt
    context._localProperties = _entered.properties
    context._cpus = math.ceil(_entered.cpus)
    context._cpuAmount = _entered.cpus
    context._resources = {}
    if _entered.barrier_tasks:
        _enter_barrier(context, _entered)
    module.TaskContext._taskContext = context


def _enter_barrier(context: Any, environment: Environment) -> None:
    """Have a BarrierTaskContext name all tasks of its stage, and refuse to wait for them."""
    # Spark's own getTaskInfos reads a local property, once there is a connection to wait by.
    addresses = ",".join([_NOWHERE] * environment.barrier_tasks)
    context._localProperties = {**environment.properties, "addresses": addresses}
    context._conn_info = context._port = context._secret = ""  # by release
    # On the instance: a context that a task returns must unpickle as Spark's own class.
    context.barrier = partial(_cannot_wait, "barrier")
    context.allGather = partial(_cannot_wait, "allGather")


_NOWHERE = "localhost:0"
"""The address of every task: none can be reached while it runs."""


def _cannot_wait(name: str, *_: object) -> None:
    from pyspark.errors import PySparkRuntimeError

    raise PySparkRuntimeError(
        f"BarrierTaskContext.{name}() waits for all tasks of its stage, which must run at once for "
        "that. On aflint they need not: a task starts when a worker or function is free, and may "
        "run again alone. Cut the stage in two where its tasks meet, and pass what they exchange "
        "through collect() and broadcast(). See docs/pyspark.md"
    )


def check_version(wanted: str) -> None:
    """Raise VersionMismatchError where this process has another PySpark than the driver."""
    found = importlib.import_module("pyspark.version").__version__
    if found != wanted:
        raise VersionMismatchError(
            f"the driver runs PySpark {wanted}, the task PySpark {found}: install "
            f"pyspark=={wanted} where tasks run"
        )


class _Finder(importlib.abc.MetaPathFinder):
    """Has the modules that give the current task adopt it as they are imported."""

    def __init__(self) -> None:
        self._looking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self._looking or name not in (*_ARCHIVED, _CONTEXT, *_FILES):
            return None
        self._looking = True
        try:
            # Asks all finders, this one too: `_looking` has it answer None.
            spec = importlib.util.find_spec(name)
            if name in _ARCHIVED:
                return spec or _from_archive(name)
        finally:
            self._looking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Adopting(spec.loader)
        return spec


def _from_archive(name: str) -> ModuleSpec | None:
    """Unpack what the driver sent of PySpark, and find a package there."""
    if _archive is None or _entered is None or _entered.pyspark is None:
        return None
    folder = Path(tempfile.gettempdir(), f"aflint-pyspark-{_entered.pyspark.digest}")
    if not folder.is_dir():
        # Beside its name, which it takes when it is whole: processes of one machine share it.
        unpacked = tempfile.mkdtemp(prefix="aflint-pyspark-")
        with zipfile.ZipFile(io.BytesIO(_archive)) as archive:
            archive.extractall(unpacked)
        try:
            os.rename(unpacked, folder)
        except OSError:  # another process was first
            shutil.rmtree(unpacked)
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    return importlib.util.find_spec(name)


class _Adopting(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        adopt(module)
