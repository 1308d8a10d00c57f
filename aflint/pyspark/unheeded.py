"""Settings of Spark's that would change what a program does, and cannot here: warned of."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from aflint.pyspark.paths import RECURSIVE

_log = logging.getLogger(__name__)

UNHEEDED: Final[Mapping[str, str]] = {
    "spark.python.worker.reuse=false": "a worker process is kept for further tasks",
    "spark.python.profile=true": "no profiles are made",
    "spark.python.profile.memory=true": "no profiles are made",
    "spark.executor.resource.*": "there are no resources to hand out",
    "spark.driver.resource.*": "there are no resources to hand out",
    "spark.driver.maxResultSize": "results of any size are collected",
    "spark.files.ignoreMissingFiles=true": "a missing file is an error",
    "spark.files.ignoreCorruptFiles=true": "a corrupt file is an error",
    "spark.jars*": "Java classes are not loaded",
    "spark.plugins": "Java classes are not loaded",
    "spark.extraListeners": "Java classes are not loaded",
    "spark.driver.extraClassPath": "Java classes are not loaded",
    "spark.executor.extraClassPath": "Java classes are not loaded",
    "spark.hadoop.*": (
        "Hadoop's settings are not read; for S3, credentials come from AWS's own settings, and "
        "`profile`, `region` and `endpoint_url` are settings of aflint"
    ),
    "spark.io.encryption.enabled=true": "files of shuffles and spills are not encrypted",
    "spark.pyspark.python": f"tasks run on the driver's Python, {sys.executable}, or on Lambda's",
    "PYSPARK_PYTHON": f"tasks run on the driver's Python, {sys.executable}, or on Lambda's",
}
"""What happens instead, by the key, or key and value. A * at the end stands for any ending."""

_PYTHON: Final = ("spark.pyspark.python", "PYSPARK_PYTHON")


def warn_of_unheeded(conf: Mapping[str, str]) -> None:
    """Warn of each setting that changes what a program does on Spark, and does not here."""
    python = os.environ.get("PYSPARK_PYTHON")
    for key, instead in _unheeded({**conf, "PYSPARK_PYTHON": python} if python else conf):
        _log.warning("%s has no effect on aflint: %s", key, instead)


def _unheeded(conf: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in sorted(conf.items()):
        if (instead := unheeded_reason(key, value)) is not None:
            yield key, instead


def unheeded_reason(key: str, value: str) -> str | None:
    """Return what happens instead of what a setting asks for; None where it is heeded, or only
    tunes Spark.
    """
    if key in RECURSIVE or (key in _PYTHON and _runs_this(value)):
        return None
    for pattern, instead in UNHEEDED.items():
        wanted, _, only = pattern.partition("=")
        named = re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), key)
        if named and only in ("", value.lower()):
            return instead
    return None


def _runs_this(command: str) -> bool:
    """Say whether a command starts the interpreter that runs this: in the same folder, as those of
    several virtual environments may be links to one.
    """
    path, here = os.path.abspath(shutil.which(command) or command), os.path.abspath(sys.executable)
    alike = os.path.realpath(path) == os.path.realpath(here)
    return alike and os.path.dirname(path) == os.path.dirname(here)
