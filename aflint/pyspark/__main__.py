"""`python -m aflint.pyspark app.py [arguments]`: runs a PySpark program, unchanged, on aflint."""

from __future__ import annotations

import os
import sys

if "PYTHONHASHSEED" not in os.environ:  # as spark-submit does: the driver hashes as tasks do
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)

from aflint.pyspark.launch import main

main(sys.argv[1:])
