"""A PySpark program whose driver is killed outright, and the command that goes on with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyspark")

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, signal, sys
from pyspark import SparkContext

sc = SparkContext(appName="resumed")
driver, folder = os.getpid(), sys.argv[1]
seen = sc.accumulator(0)
stop = sc.broadcast({"a", "b", "stop"})

class Pair:
    def __init__(self, number):
        self.key = str(number % 5)

def paired(number):
    seen.add(1)
    with open(f"{folder}/ran/{number}.{os.urandom(4).hex()}", "w"):
        pass
    if number == 30 and os.path.exists(f"{folder}/kill"):
        os.unlink(f"{folder}/kill")
        with open(f"{folder}/driver") as file:
            os.kill(int(file.read()), signal.SIGKILL)
    return None if str(number) in stop.value else (Pair(number).key, number)

with open(f"{folder}/driver", "w") as file:
    file.write(str(driver))
del driver
pairs = sc.parallelize(range(40), 20).map(paired).filter(bool)
sums = pairs.reduceByKey(lambda a, b: a + b, 4)
print(sorted(sums.collect()), seen.value)
print(sums.sortByKey().keys().collect())
sc.stop()
"""


def start(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    scratch = {"AFLINT_SCRATCH_DIR": str(folder / "scratch"), "AFLINT_WORKERS": "2"}
    return subprocess.run(
        [sys.executable, "-m", *words],
        env={**os.environ, "PYTHONPATH": path, "AFLINT_JOURNAL": "true", **scratch},
        capture_output=True,
        text=True,
    )


def test_a_program_that_named_no_run_is_resumed(tmp_path: Path) -> None:
    for name in ("ran", "scratch"):
        (tmp_path / name).mkdir()
    (tmp_path / "kill").touch()
    (tmp_path / "program.py").write_text(PROGRAM)
    words = ["aflint.pyspark", str(tmp_path / "program.py"), str(tmp_path)]
    assert start(words, tmp_path).returncode == -signal.SIGKILL
    before = len(list((tmp_path / "ran").iterdir()))
    locks = (path.read_text() for path in tmp_path.glob("scratch/*/owner.lock"))
    (job,) = (name for name in locks if not name.endswith(".files"))
    resumed = start(["aflint", "resume", job], tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    sums = [(str(key), sum(range(key, 40, 5))) for key in range(5)]
    assert resumed.stdout.splitlines() == [f"{sums} 40", f"{[key for key, _ in sums]}"]
    again = len(list((tmp_path / "ran").iterdir())) - before
    assert again - 120 < 40 - 20  # the jobs of the sort compute all; the first one, what was left
    assert list((tmp_path / "scratch").iterdir()) == []
