"""The JVM that plans DataFrames: it dies, starts again, and is ended while it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pyspark.conftest import RunProgram

pytest.importorskip("duckdb", reason="needs aflint[sql]")
if int(pytest.importorskip("pyspark").__version__.split(".")[0]) < 4:
    pytest.skip("DataFrames need PySpark 4", allow_module_level=True)

PROGRAM = """
import os, signal
from pyspark.sql import SparkSession
from aflint.sql import catalyst
spark = SparkSession.builder.appName("first").getOrCreate()
print(spark.sql("select 1 as one").collect())
os.kill(catalyst._java.process.pid, signal.SIGKILL)
for _ in range(2):
    try:
        spark.sql("select 2").collect()
    except catalyst.JavaEndedError as error:
        print(str(error).split(",")[0])
print(spark.sparkContext.parallelize([1, 2]).sum())
spark.stop()
again = SparkSession.builder.appName("again").getOrCreate()
other = again.newSession()
other.sql("create temp view only_there as select 4 as n")
print(other.table("only_there").collect(), again.catalog.tableExists("only_there"))
print(SparkSession.builder.getOrCreate() is again, catalyst._java.process.pid)
raise ValueError("of the program")
"""


@pytest.mark.slow  # two JVMs start
def test_after_the_jvm_died_a_session_says_so_and_a_new_one_starts_another(
    run_program: RunProgram, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "tmp").mkdir()
    done = run_program(
        tmp_path / "program.py", check=False, timeout=300, TMPDIR=str(tmp_path / "tmp")
    )
    *said, last = done.stdout.splitlines()
    killed = "the JVM that plans DataFrames and SQL was killed by signal 9"
    assert said == ["[Row(one=1)]", killed, killed, "3", "[Row(n=4)] False"], done.stderr[-3000:]
    same, process = last.split()
    assert same == "True"
    assert done.stderr.strip().endswith("ValueError: of the program")  # and nothing after it
    assert not Path("/proc", process).exists()
    assert not list((tmp_path / "tmp").glob("aflint-jvm-*"))


def test_ctrl_c_while_the_jvm_starts_leaves_nothing(tmp_path: Path) -> None:
    """The `java` of this test is a program that starts for ever."""
    java, started = tmp_path / "home" / "bin" / "java", tmp_path / "started"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho $$ > {started}.new\nmv {started}.new {started}\ncat\n")
    java.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "program.py").write_text(
        "from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().sql('select 1')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "aflint.pyspark", tmp_path / "program.py"],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "JAVA_HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "tmp"),
        },
    )
    while not started.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT or process.returncode == 130, said
    assert "KeyboardInterrupt" in said
    assert not Path("/proc", started.read_text().strip()).exists()
    assert not list((tmp_path / "tmp").glob("aflint-*"))
