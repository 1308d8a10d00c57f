"""Spark's planner for a SparkContext of aflint's: a JVM that starts when SQL is first used."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aflint.pyspark import names
from aflint.pyspark.errors import translated
from aflint.sql.catalyst import Catalyst, missing, python_settings
from aflint.sql.objects import Objects

if TYPE_CHECKING:
    from aflint.sql.stages import Settings

_PARTITIONS = "spark.sql.shuffle.partitions"
_TIME_ZONE = "spark.sql.session.timeZone"


def available() -> bool:
    """Say whether what SQL needs is installed."""
    return not missing()


def missing_pyspark() -> bool:
    """Say whether this PySpark is older than what SQL runs on."""
    return names.RELEASE < (4, 0)


def planner_of(context: Any) -> Catalyst:
    """Return the planning session of a context, started at the first call.

    Raises ConfigError where there is no Java, and PySparkRuntimeError once the context is stopped.
    """
    context._engine_running()
    # Two threads may come to SQL at once, and one JVM is enough.
    with names.SparkContext._lock:
        if context._planner is None:
            with translated():
                context._planner = _started(context)
        planner: Catalyst = context._planner
    return planner


def _started(context: Any) -> Catalyst:
    from pyspark.errors.exceptions.captured import install_exception_handler

    settings = {key: value for key, value in context._conf.getAll() if _is_for_sql(key)}
    # Spark's default of 200 is for clusters; its adaptive plans would merge most of them.
    settings.setdefault(_PARTITIONS, str(2 * context.defaultParallelism))
    install_exception_handler()
    engine = context._engine_running()
    made = Catalyst(settings, Objects(engine.jobs.storage, engine.run))
    made.forbid_commands()
    return made


def _is_for_sql(key: str) -> bool:
    return key.startswith(("spark.sql.", "spark.hadoop."))


def settings_of(session: Any) -> Settings:
    """Return what a query of a SparkSession's is run with."""
    from aflint.sql.one_task import room  # these import what may not be installed
    from aflint.sql.stages import Settings

    conf, context = session._jsparkSession.conf(), session._sc
    engine, slots = context._engine_running(), context.defaultParallelism
    split_bytes = _bytes(conf.get("spark.sql.files.maxPartitionBytes"))
    return Settings(
        time_zone=conf.get(_TIME_ZONE),
        partitions=slots,
        split_bytes=split_bytes,
        memory_mb=engine.jobs.settings.memory_mb,
        room=room(engine.config, engine.jobs.settings.memory_mb, slots, split_bytes),
        tables=context._tables,
        cached=context._cached,
        functions=context._functions,
        python=partial(python_settings, conf),
    )


def _bytes(text: str) -> int:
    from aflint.pyspark.conf import byte_size

    return byte_size(text, "spark.sql.files.maxPartitionBytes", "b")
