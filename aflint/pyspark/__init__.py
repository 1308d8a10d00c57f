"""PySpark programs on aflint's engine, with no JVM.

Importing this package makes the installed PySpark run on aflint, in this process: import it before
a program makes its first SparkContext. `aflint submit app.py` and `python -m aflint.pyspark app.py`
do that for a program that is left as it is. What differs from Spark is written in docs/pyspark.md.

Raises ConfigError where PySpark is not installed.
"""

from __future__ import annotations

import sys

from aflint.executor.context import in_task


def _is_command() -> bool:
    """Say whether this is `python -m aflint.pyspark`, which installs by itself."""
    return sys.argv[:1] == ["-m"] and "aflint.pyspark" in sys.orig_argv


if not in_task() and not _is_command():  # tasks import PySpark only if the program needs it
    from aflint.pyspark.install import install

    install()
