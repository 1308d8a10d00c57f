"""The program that PySpark runs, `bench.peers.pyspark_taxi`, on aflint and with no JVM.

As a program it is given to `python -m aflint.pyspark`.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from bench.peers import pyspark_taxi
from bench.peers.pyspark_client import PysparkTaxi


class PysparkOnAflint(PysparkTaxi):
    """The same program of PySpark's, on aflint's local backend with two workers."""

    name = "PySpark program on aflint"
    command = ("-m", "aflint.pyspark", os.path.abspath(__file__))

    @staticmethod
    def available() -> bool:
        """Tell whether PySpark's Python part is there; no Java is needed."""
        return find_spec("pyspark") is not None

    def python(self) -> str:
        """Return this Python: aflint is installed there."""
        return sys.executable


if __name__ == "__main__":
    os.environ.setdefault("JAVA_HOME", "none")  # so that none is looked for
    pyspark_taxi.main()
