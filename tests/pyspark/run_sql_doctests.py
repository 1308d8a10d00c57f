"""Runs PySpark's own examples of DataFrames and SQL on aflint: `run_sql_doctests.py MODULE ...`.

Prints JSON: for each module how many examples there are, and each one that does not give what its
authors say, with the reason.
"""

from __future__ import annotations

import doctest
import importlib
import json
import re
import signal
import sys
import tempfile
import time
import warnings
from typing import Any

import aflint.pyspark  # noqa: F401 - before pyspark, which it puts on aflint
from tests.pyspark.run_doctests import Finder

MOST_SECONDS = 300
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Runner(doctest.DocTestRunner):
    """Takes down why examples fail, in place of printing it."""

    def __init__(self) -> None:
        super().__init__(optionflags=FLAGS, verbose=False)
        self.wrong: list[dict[str, str]] = []

    def report_failure(self, out: Any, test: Any, example: Any, got: str) -> None:
        same = sorted(got.split("\n")) == sorted(example.want.split("\n"))
        self._note(test, example, "other order of rows" if same else "differs", got)

    def report_unexpected_exception(self, out: Any, test: Any, example: Any, error: Any) -> None:
        kind, raised, _ = error
        if kind is TimeoutError:
            signal.alarm(MOST_SECONDS)
        text = str(raised)
        refused = re.match(r"aflint does not run (.*?) yet\.", text, re.DOTALL)
        reason = f"refused: {refused[1]}" if refused else f"{kind.__name__}: {text[:300]}"
        if kind is NameError:
            reason = "follows another"
        self._note(test, example, reason, "")

    def _note(self, test: Any, example: Any, reason: str, got: str) -> None:
        noted = {"test": test.name, "source": example.source, "reason": reason}
        self.wrong.append(noted | ({"want": example.want, "got": got} if got else {}))


def _hangs(number: int, frame: Any) -> None:
    raise TimeoutError(f"no end after {MOST_SECONDS} s")


def main(names: list[str]) -> None:
    from pyspark.sql import SparkSession

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        builder = SparkSession.builder.master("local[4]").appName("PythonTest")
        spark = builder.config("spark.sql.warehouse.dir", folder).getOrCreate()
        spark.sparkContext.setCheckpointDir(folder)
        signal.signal(signal.SIGALRM, _hangs)
        reports = {name: run_module(name, spark) for name in names}
        spark.stop()
    print(json.dumps(reports))


def run_module(name: str, spark: Any) -> dict[str, Any]:
    module = importlib.import_module(name)
    runner, examples = Runner(), 0
    for test in Finder().find(module, name, globs={**vars(module)}):
        test.globs |= {"spark": spark, "sc": spark.sparkContext}
        start = time.monotonic()
        signal.alarm(MOST_SECONDS)  # what hangs raises in the example that does, and the next runs
        examples += runner.run(test, out=lambda text: None).attempted
        if "-v" in sys.argv:
            print(f"{time.monotonic() - start:.1f}", test.name, file=sys.stderr)
    return {"examples": examples, "wrong": runner.wrong}


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if word != "-v"])
