"""Queries that aflint refuses, run by Spark's own engine in the planner's JVM, where a program asks
for it by `spark.aflint.fallback=spark`.

Spark's rows become those of a DataFrame made from rows, so that what comes after is as ever.
"""

from __future__ import annotations

import logging
from typing import Any

from aflint.errors import ConfigError
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.plan import PlanNode

FALLBACK = "spark.aflint.fallback"
_log = logging.getLogger(__name__)
_said: set[str] = set()
"""What this process has been told runs on Spark: it is told once of each."""


def checked(value: str) -> bool:
    """Say whether a value of the setting asks for Spark. Raises ConfigError for an unknown one."""
    if value not in ("none", "spark"):
        raise ConfigError(f"{FALLBACK} is {value!r}; it can be 'none' or 'spark'")
    return value == "spark"


def wanted(session: Any) -> bool:
    """Say whether queries of a session that aflint refuses are to run on Spark."""
    return checked(session.conf.get(FALLBACK, "none"))


def say(refusal: UnsupportedPlanError, *, of_python: bool) -> None:
    """Tell the user that what was refused runs on Spark, once of each.

    Raises UnsupportedPlanError where its rows are `of_python`, which the JVM has not.
    """
    if of_python:
        raise UnsupportedPlanError(
            refusal.what,
            refusal.node,
            f"{FALLBACK} does not help, as its rows are of Python's: write them to a file first.",
        )
    if refusal.what not in _said:
        _said.add(refusal.what)
        _log.warning("This runs on Spark's own engine, in the driver: %s", refusal.what)


def on_spark(frame: Any, plan: PlanNode, refusal: UnsupportedPlanError) -> Any:
    """Return a DataFrame of the rows that Spark's own engine gives for one that was refused.

    Raises UnsupportedPlanError where these are made of rows of Python's, which the JVM has not.
    """
    say(refusal, of_python=any(node.kind == "RDDScanExec" for node in plan.walk()))
    from pyspark.serializers import BatchedSerializer, CPickleSerializer
    from pyspark.util import _load_from_socket

    answer = frame._jdf.collectToPython()
    with _load_from_socket(answer, BatchedSerializer(CPickleSerializer())) as found:
        rows = [tuple(row) for row in found]
    return frame.sparkSession.createDataFrame(rows, frame.schema, verifySchema=False)
