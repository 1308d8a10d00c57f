"""SparkContext over an engine: its life, its settings, what its jobs share."""

from __future__ import annotations

import atexit
import getpass
import logging
import math
import os
import pickle
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, cast

from pyspark.serializers import AutoBatchedSerializer, BatchedSerializer

from aflint.config import Config
from aflint.driver.scratch import ScratchFolder
from aflint.driver.signals import exit_on_signals
from aflint.plan.program import Program
from aflint.pyspark import names
from aflint.pyspark.added import AddedFiles
from aflint.pyspark.conf import DEFAULTS, NAME, PARALLELISM, Tasks, engine_config
from aflint.pyspark.engine import Engine
from aflint.pyspark.errors import AflintSparkError, RefusedError, translated
from aflint.pyspark.package import packed_pyspark
from aflint.pyspark.paths import absolute, engine_path, spark_path
from aflint.pyspark.shared import SharedBroadcast, next_broadcast_id
from aflint.pyspark.status import AflintStatusTracker
from aflint.pyspark.tracking import DESCRIPTION, GROUP, TAGS, is_barrier
from aflint.pyspark.unheeded import warn_of_unheeded
from aflint.pyspark.worker import Environment, Prepared
from aflint.task import Blob

_system_properties: dict[str, str] = {"SPARK_SUBMIT": "true"}


class Life:
    """Members of SparkContext: from start to stop."""

    @classmethod
    def _ensure_initialized(
        cls: Any, instance: Any = None, gateway: Any = None, conf: Any = None
    ) -> None:
        with cls._lock:
            active = names.active_context()
            if instance is None or active is instance:
                return
            if active is not None:
                site = active._callsite
                raise ValueError(
                    "Cannot run multiple SparkContexts at once; existing "
                    f"SparkContext(app={active.appName}, master={active.master}) created by "
                    f"{site.function} at {site.file}:{site.linenum} "
                )
            names.set_active_context(instance)

    def _do_init(
        self: Any,
        master: str | None,
        appName: str | None,
        sparkHome: str | None,
        pyFiles: list[str] | None,
        environment: dict[str, Any] | None,
        batchSize: int,
        serializer: Any,
        conf: Any,
        *unused: Any,
    ) -> None:
        # A copy: what is set here must not show in a conf that the program goes on using.
        settings = names.SparkConf()
        if conf is not None:
            settings.setAll(conf.getAll())
        for setter, value in (
            (settings.setMaster, master),
            (settings.setAppName, appName),
            (settings.setSparkHome, sparkHome),
        ):
            if value:
                setter(value)
        for key, value in (environment or {}).items():
            settings.setExecutorEnv(key, value)
        for key, value in DEFAULTS.items():
            settings.setIfMissing(key, value)
        self._conf = settings
        self._batchSize = batchSize
        self._unbatched_serializer = serializer
        self.serializer = (
            BatchedSerializer(serializer, batchSize)
            if batchSize
            else AutoBatchedSerializer(serializer)
        )
        self.master = settings.get("spark.master")
        self.appName = settings.get(NAME)
        self.sparkHome = settings.get("spark.home", None)
        self.pythonExec, self.pythonVer = sys.executable, "{}.{}".format(*sys.version_info[:2])
        self.profiler_collector = None
        self._started = int(time.time() * 1000)
        settings.setIfMissing("spark.app.id", f"local-{self._started}")
        settings.setIfMissing("spark.app.startTime", str(self._started))
        self._start_engine()
        for path in [*(pyFiles or []), *_listed(settings, "spark.submit.pyFiles")]:
            self.addPyFile(path)
        for path in _listed(settings, "spark.files"):
            self.addFile(path)
        for path in _listed(settings, "spark.archives"):
            self.addArchive(path)

    def _start_engine(self: Any) -> None:
        config, self._tasks = engine_config(conf := dict(self._conf.getAll()))
        warn_of_unheeded(conf)
        if level := conf.get("spark.log.level"):
            self.setLogLevel(level)
        # The folder of files shares the session's name: a resumed run finds both.
        run = config.run_id or secrets.token_hex(4)
        exit_on_signals()  # so that the context is stopped, as Spark's JVM stops by itself
        self._folder = ScratchFolder(config.scratch_dir, f"{run}.files", named=True)
        with translated():
            self._folder.__enter__()
        self._folder.own()  # what a driver that was killed had in it is added again
        root = self._folder.path / f"files-{uuid.uuid4()}"
        root.mkdir()
        self._added = AddedFiles(root)
        self._temp_dir = str(self._folder.path)
        self._encryption_enabled = False  # of files between PySpark's code and the JVM
        names.SparkFiles._sc = self
        names.SparkFiles._root_directory = str(root)
        with translated():
            self._engine = Engine(config, self.appName, run)
        self._engine.session.names = partial(_typed_names, self)
        self.environment = _executor_environment(self._conf, config, self._tasks)
        if config.backend != "local":
            packed_pyspark()  # now, rather than on the loop that runs the first job
        self._checkpoint_dir = None
        self._planner = None
        self._tables: dict[str, Any] = {}
        self._cached: dict[int, Any] = {}
        # How often something was cached, or was no longer.
        self._caching = 0
        self._functions: dict[str, bytes] = {}
        self._engine.jobs.programs.wrap = self._prepared
        atexit.register(self._stop_at_exit)
        if config.checkpoint_dir is not None:
            self.setCheckpointDir(config.checkpoint_dir)

    def stop(self: Any) -> None:
        """Stop what runs, and remove what the context left behind. May be called again."""
        atexit.unregister(self._stop_at_exit)
        # Each part is taken away before it is closed, so that a second call, or one from a handler
        # in the middle of the first, finds nothing to do. One whose start failed may lack any.
        engine, self._engine = getattr(self, "_engine", None), None
        planner, self._planner = getattr(self, "_planner", None), None
        try:
            if engine is not None:
                with translated():
                    engine.close()
        finally:
            if planner is not None:
                planner.close()
            added, self._added = getattr(self, "_added", None), None
            if added is not None:
                added.forget()
            folder, self._folder = getattr(self, "_folder", None), None
            if folder is not None:
                folder.__exit__(None, None, None)
            with names.SparkContext._lock:
                if names.active_context() is self:
                    names.set_active_context(None)

    def _stop_at_exit(self: Any) -> None:
        """Stop what the program has not stopped. A signal that came meanwhile asked for an end that
        is there already: raised here, it would only print a traceback.
        """
        with suppress(KeyboardInterrupt, SystemExit):
            self.stop()

    def _engine_running(self: Any) -> Engine:
        engine: Engine | None = getattr(self, "_engine", None)
        if engine is None:
            raise AflintSparkError(
                "Cannot call methods on a stopped SparkContext: make another with "
                "SparkContext.getOrCreate()"
            )
        return engine

    def _act(self: Any, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run an action and wait for it."""
        engine = self._engine_running()
        with translated():
            return engine.act(function)

    def _prepared(self: Any, program: Program, packed: Program, tasks: int) -> Any:
        """Return what travels of a program: with it, the surroundings of its tasks."""
        # Called on the loop while a job is planned: in the context of the action that asked for it.
        stage, properties = self._engine.tracker.next_stage(program)
        environment = Environment(
            stage=stage,
            properties=properties,
            variables=self.environment,
            version=names.VERSION,
            root=str(self._added.root),
            files=self._file_blobs(),
            packages=tuple(self._added.packages),
            pyspark=self._archive(),
            barrier_tasks=tasks if is_barrier(program) else 0,
            cpus=self._tasks.cpus,
            memory_mb=self._tasks.memory_mb,
        )
        return Prepared(environment, packed)

    def _archive(self: Any) -> Blob | None:
        if self._engine.config.backend == "local":
            return None
        return cast(Blob, self._engine.jobs.programs.stored_blob(packed_pyspark()))

    def _file_blobs(self: Any) -> tuple[tuple[str, Blob], ...]:
        if self._engine.config.backend == "local":  # the workers see the folder
            return tuple((name, Blob("", 0)) for name in self._added.sources)
        programs = self._engine.jobs.programs
        return tuple((n, programs.stored_blob(data)) for n, data in self._added.contents().items())


class Sharing:
    """Members of SparkContext: files, broadcasts, checkpoints."""

    def broadcast(self: Any, value: Any) -> Any:
        engine = self._engine_running()
        try:
            with translated():
                return SharedBroadcast(engine.broadcast(value), next_broadcast_id())
        except pickle.PicklingError as error:
            said = str(error).removeprefix("Could not serialize object: ")
            raise type(error)(f"Could not serialize broadcast: {said}") from None

    def addFile(self: Any, path: str, recursive: bool = False) -> None:
        self._engine_running()
        with translated():
            self._added.add(path, recursive)

    def addPyFile(self: Any, path: str) -> None:
        self._engine_running()
        with translated():
            self._added.add_package(path)
        # Tasks import it, as they do on Spark: by its copy, or as it was imported here before.
        modules = self._engine.session._opened().user_modules
        modules.ship(str(self._added.root), os.path.abspath(path.removeprefix("file:")))

    def addArchive(self: Any, path: str) -> None:
        self._engine_running()
        with translated():
            self._added.add_archive(path)

    @property
    def listFiles(self: Any) -> list[str]:
        return [f"file:{os.path.abspath(path)}" for path in self._added.sources.values()]

    @property
    def listArchives(self: Any) -> list[str]:
        return list(self._added.archives)

    def setCheckpointDir(self: Any, dirName: str) -> None:
        engine = self._engine_running()
        folder = absolute(engine_path(dirName))
        if "://" not in folder:  # S3 has no folders to make
            try:
                os.makedirs(f"{folder}/{engine.session.id}", exist_ok=True)
            except OSError as error:
                raise RefusedError(
                    f"setCheckpointDir: the folder {folder} cannot be made: {error.strerror}"
                ) from error
        self._checkpoint_dir = folder
        engine.jobs.checkpoint_dir = folder

    def getCheckpointDir(self: Any) -> str | None:
        if self._checkpoint_dir is None:
            return None
        return spark_path(f"{self._checkpoint_dir}/{self._engine_running().session.id}")

    def _check_checkpoint_dir(self: Any) -> None:
        if self._checkpoint_dir is None:
            raise AflintSparkError(
                "Checkpoint directory has not been set in the SparkContext: call "
                "sc.setCheckpointDir(path) first"
            )

    def _checkpoint_path(self: Any, node: Any) -> str:
        return f"{self.getCheckpointDir()}/{self._engine_running().kept_id(node)}"


class Grouping:
    """Members of SparkContext: job groups, tags, local properties, cancelling."""

    def setLocalProperty(self: Any, key: str, value: str | None) -> None:
        properties = self._engine_running().tracker.properties
        if value is None:
            properties.pop(key, None)
        else:
            properties[key] = str(value)

    def getLocalProperty(self: Any, key: str) -> str | None:
        found: str | None = self._engine_running().tracker.properties.get(key)
        return found

    def setJobGroup(
        self: Any, groupId: str, description: str, interruptOnCancel: bool = False
    ) -> None:
        self.setLocalProperty(GROUP, groupId)
        self.setLocalProperty(DESCRIPTION, description)
        self.setInterruptOnCancel(interruptOnCancel)

    def setInterruptOnCancel(self: Any, interruptOnCancel: bool) -> None:
        self.setLocalProperty("spark.job.interruptOnCancel", str(interruptOnCancel).lower())

    def setJobDescription(self: Any, value: str) -> None:
        self.setLocalProperty(DESCRIPTION, value)

    def getJobTags(self: Any) -> set[str]:
        return set(filter(None, (self.getLocalProperty(TAGS) or "").split(",")))

    def addJobTag(self: Any, tag: str) -> None:
        if not tag or "," in tag:
            raise ValueError("a job tag cannot be empty, and cannot contain ','")
        self.setLocalProperty(TAGS, ",".join(sorted({*self.getJobTags(), tag})))

    def removeJobTag(self: Any, tag: str) -> None:
        self.setLocalProperty(TAGS, ",".join(sorted(self.getJobTags() - {tag})) or None)

    def clearJobTags(self: Any) -> None:
        self.setLocalProperty(TAGS, None)

    def cancelJobGroup(self: Any, groupId: str) -> None:
        for action in self._engine_running().tracker.running():
            if action.properties.get(GROUP) == groupId:
                action.cancel(f": Job {action.id} cancelled part of cancelled job group {groupId}")

    def cancelJobsWithTag(self: Any, tag: str) -> None:
        for action in self._engine_running().tracker.running():
            if tag in action.tags:
                action.cancel(f": Job {action.id} cancelled part of cancelled job tags {tag}")

    def cancelAllJobs(self: Any) -> None:
        for action in self._engine_running().tracker.running():
            action.cancel(f": Job {action.id} cancelled as part of cancellation of all jobs")

    def statusTracker(self: Any) -> Any:
        return AflintStatusTracker(self._engine_running().tracker)

    def runJob(
        self: Any, rdd: Any, partitionFunc: Any, partitions: Any = None, allowLocal: bool = False
    ) -> list[Any]:
        from aflint.pyspark.acting import run_partitions

        return run_partitions(rdd, partitionFunc, partitions, "runJob")


def _typed_names(context: Any) -> dict[str, Any]:
    """Return what code that is typed into the page finds."""
    from pyspark.sql import SparkSession

    return {"sc": context, "spark": SparkSession.builder.getOrCreate()}


class Asking:
    """Members of SparkContext: what it says of itself."""

    @property
    def version(self: Any) -> str:
        return names.VERSION

    @property
    def applicationId(self: Any) -> str:
        found: str = self._conf.get("spark.app.id")
        return found

    @property
    def uiWebUrl(self: Any) -> str | None:
        url: str | None = self._engine.session.ui
        return url

    @property
    def startTime(self: Any) -> int:
        started: int = self._started
        return started

    @property
    def defaultParallelism(self: Any) -> int:
        engine = self._engine_running()
        asked = self._conf.get(PARALLELISM)
        # Not the session's: with more than one CPU for a task, it has fewer workers than cores.
        parallelism: int = (
            self._tasks.cores
            if engine.config.backend == "local" and engine.config.default_parallelism is None
            else engine.session.default_parallelism
        )
        return int(asked) if asked else parallelism

    @property
    def defaultMinPartitions(self: Any) -> int:
        parallelism: int = self.defaultParallelism
        return min(parallelism, 2)

    @property
    def resources(self: Any) -> dict[str, Any]:
        return {}

    def sparkUser(self: Any) -> str:
        return os.environ.get("SPARK_USER") or getpass.getuser()

    def setLogLevel(self: Any, logLevel: str) -> None:
        level = {"ALL": 1, "TRACE": 5, "OFF": 100}.get(logLevel.upper())
        if level is None:
            level = logging.getLevelNamesMapping().get(logLevel.upper())
        if level is None:
            raise ValueError(f"{logLevel} is no log level")
        logging.getLogger("aflint").setLevel(level)

    @classmethod
    def setSystemProperty(cls, key: str, value: str) -> None:
        _system_properties[key] = value

    @classmethod
    def getSystemProperty(cls, key: str) -> str | None:
        return _system_properties.get(key)


def system_properties() -> dict[str, str]:
    """Return the settings among the system properties that a program has set."""
    return {k: v for k, v in _system_properties.items() if k.startswith("spark.")}


def _executor_environment(settings: Any, config: Config, tasks: Tasks) -> dict[str, str]:
    """Return the environment variables of tasks.

    As on Spark, numpy's threads are a task's CPUs; a function has all of its CPUs for one task.
    """
    prefix = "spark.executorEnv."
    found = {k.removeprefix(prefix): v for k, v in settings.getAll() if k.startswith(prefix)}
    threads = {"OMP_NUM_THREADS": str(math.ceil(tasks.cpus))} if config.backend == "local" else {}
    return {**threads, **found, "PYTHONHASHSEED": "0"}


def _listed(settings: Any, key: str) -> list[str]:
    return [path.strip() for path in (settings.get(key) or "").split(",") if path.strip()]
