"""Runs PySpark's own doctests on aflint: `run_doctests.py MODULE ...`. Prints JSON by module."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import json
import sys
import tempfile
from typing import Any

import aflint.pyspark  # noqa: F401 - before pyspark, which it puts on aflint

HADOOP = (
    "sequenceFile",
    "newAPIHadoopFile",
    "newAPIHadoopRDD",
    "hadoopFile",
    "hadoopRDD",
    "saveAsNewAPIHadoopDataset",
    "saveAsNewAPIHadoopFile",
    "saveAsHadoopDataset",
    "saveAsHadoopFile",
    "saveAsSequenceFile",
)


class Finder(doctest.DocTestFinder):
    """Finds the examples of what aflint has put in place of PySpark's own, too."""

    def _from_module(self, module: Any, object: Any) -> bool:
        target = getattr(object, "fget", object)
        if str(getattr(target, "__module__", "")).startswith("aflint.pyspark"):
            return True
        return bool(super()._from_module(module, object))  # type: ignore[misc]


def main(names: list[str]) -> None:
    from pyspark.sql import SparkSession

    with contextlib.suppress(ImportError):
        import numpy

        numpy.set_printoptions(legacy="1.25")
    spark = SparkSession.builder.master("local[4]").appName("PythonTest").getOrCreate()
    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        spark.sparkContext.setCheckpointDir(folder)
        for name in names:
            reports[name] = run_module(name, {"spark": spark, "sc": spark.sparkContext})
    spark.stop()
    print(json.dumps(reports))


def run_module(name: str, values: dict[str, Any]) -> dict[str, Any]:
    report: dict[str, Any] = {"passed": 0, "failed": {}, "hadoop": []}
    module = importlib.import_module(name)
    for test in Finder().find(module, name, globs={**vars(module), **values}):
        if test.examples:
            run(test, report)
    return report


def run(test: doctest.DocTest, report: dict[str, Any]) -> None:
    text = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    result = runner.run(test, out=text.write)
    report["passed"] += result.attempted - result.failed
    if result.failed:
        if test.name.rpartition(".")[2] in HADOOP:
            report["hadoop"].append(test.name.rpartition(".")[2])
        else:
            report["failed"][test.name] = text.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
