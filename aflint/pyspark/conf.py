"""What Spark's settings say to aflint: `spark.aflint.*` keys, the master, and a few others."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from aflint.config import Config, cpu_count, load_config, settings
from aflint.config.setting import suggest
from aflint.errors import ConfigError
from aflint.pyspark.fallback import FALLBACK, checked
from aflint.pyspark.paths import engine_path

PREFIX = "spark.aflint."
CONFIG_FILE = "spark.aflint.config"
MASTER = "spark.master"
NAME = "spark.app.name"
PARALLELISM = "spark.default.parallelism"
TASK_CPUS = "spark.task.cpus"
DEFAULTS = {MASTER: "local[*]", NAME: "pyspark-shell", "spark.submit.deployMode": "client"}

_log = logging.getLogger(__name__)

_LOCAL = re.compile(r"local(?:\[\s*(\*|\d+)\s*(?:,\s*(\d+)\s*)?\])?")
_CLUSTER = re.compile(r"local-cluster\[.*\]|yarn(-client|-cluster)?|(spark|k8s|mesos)://.*")
_CLUSTER_FAILURES = 4
_SIZES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True)
class Tasks:
    """What the settings say of tasks: how many cores there are, and what each task has of them.

    `memory_mb` is the most address space of a task's process; None where there is no limit.
    """

    cores: int
    cpus: Decimal
    memory_mb: int | None

    @property
    def at_once(self) -> int:
        """How many tasks run at once."""
        return int(self.cores / self.cpus)


def engine_config(conf: Mapping[str, str]) -> tuple[Config, Tasks]:
    """Return the engine's configuration: aflint.toml and `AFLINT_` variables, then `spark.aflint.*`
    keys, and where none of these says, what Spark's own keys say of the same thing. Also return
    what Spark's keys say of tasks.

    Raises ConfigError for a `spark.aflint.*` key that is no setting, for a value that is wrong, and
    for what no task can have.
    """
    asked: dict[str, Any] = {}
    for key, text in conf.items():
        if key == FALLBACK:
            checked(str(text))
        elif key.startswith(PREFIX) and key != CONFIG_FILE:
            name = key.removeprefix(PREFIX)
            if name not in settings():
                raise ConfigError(f"{key}: there is no setting {name}. {suggest(name, settings())}")
            asked[name] = _parsed(key, str(text), name)
    # aflint's own settings first, whatever says them: Spark's keys fill in what is left.
    config = load_config(conf.get(CONFIG_FILE), **asked)
    implied = {
        name: value
        for name, value in _implied(conf, config).items()
        if value is not None and config.origin(name) == "default"
    }
    config = config.replace(**implied) if implied else config
    tasks = _tasks(conf, config)
    # A worker for each task that runs at once: that is how spark.task.cpus is kept here.
    if config.backend == "local" and tasks.at_once != config.workers:
        config = config.replace(workers=tasks.at_once)
    return config, tasks


def _parsed(key: str, text: str, name: str) -> Any:
    """Return a value as a setting of aflint takes it. Raises ConfigError, naming Spark's key."""
    try:
        return settings()[name].parse(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}.") from None


def _as(conf: Mapping[str, str], key: str, name: str) -> Any:
    """Return the value of one of Spark's keys as that of a setting of aflint; None if not set."""
    return _parsed(key, conf[key], name) if key in conf else None


def _implied(conf: Mapping[str, str], config: Config) -> dict[str, Any]:
    memory = _size(conf, "spark.python.worker.memory") or _size(conf, "spark.executor.memory")
    most = _task_memory(conf)
    if most is not None:  # or aggregation would meet the limit before it spills
        memory = min(memory or config.worker_memory_mb, most)
    local_dir = conf.get("spark.local.dir") or os.environ.get("SPARK_LOCAL_DIRS")
    master = conf.get(MASTER, "")
    failures = _failures(conf, _local(master), config.backend)
    return {
        "workers": workers(master),
        "scratch_dir": local_dir.split(",")[0] if local_dir else None,
        "worker_memory_mb": max(64, memory) if memory else None,
        "checkpoint_dir": conf.get("spark.checkpoint.dir"),
        "speculation": _as(conf, "spark.speculation", "speculation"),
        "speculation_quantile": _as(conf, "spark.speculation.quantile", "speculation_quantile"),
        "speculation_multiplier": _as(
            conf, "spark.speculation.multiplier", "speculation_multiplier"
        ),
        "retry_user_errors": failures > 1 if failures is not None else None,
        "max_attempts": failures if failures is not None and failures > 1 else None,
        # None shows it on terminals; Spark's true says no more
        "progress": _as(conf, "spark.ui.showConsoleProgress", "progress") and None,
        "event_log": _event_log(conf),
        "event_log_part_mb": _part_mb(conf),
        "task_logs": True if config.backend == "local" else None,
    }


def _event_log(conf: Mapping[str, str]) -> str | None:
    """Return where Spark's keys have the event log go."""
    if conf.get("spark.eventLog.enabled", "false").strip().lower() != "true":
        return None
    return engine_path(conf.get("spark.eventLog.dir", "file:///tmp/spark-events"))


def _part_mb(conf: Mapping[str, str]) -> int | None:
    """Return the size of the event log's parts where Spark's keys ask for a rolling one."""
    if conf.get("spark.eventLog.rolling.enabled", "false").strip().lower() != "true":
        return None
    key = "spark.eventLog.rolling.maxFileSize"
    return max(1, byte_size(conf.get(key, "128m"), key, "m") >> 20)


# ---- the master


def _local(master: str) -> re.Match[str] | None:
    """Return the parts of `local[N,F]`; None for a cluster's master.

    Raises ConfigError for what Spark cannot parse either.
    """
    found = _LOCAL.fullmatch(master.strip())
    if found is None and master and not _CLUSTER.fullmatch(master.strip()):
        raise ConfigError(f"Could not parse Master URL: {master!r}")
    if found is not None and found[1] == "0":
        raise ConfigError(f"{master}: Asked to run locally with 0 threads")
    return found


def workers(master: str) -> int | None:
    """Return how many workers `local[N]` asks for; None where the master does not say."""
    found = _local(master)
    if found is None:
        return None
    return cpu_count() if found[1] == "*" else int(found[1] or 1)


def _failures(conf: Mapping[str, str], local: re.Match[str] | None, backend: str) -> int | None:
    """Return how often Spark lets a task fail before its job fails; None where it does not say.

    A local master says it itself, and spark.task.maxFailures is for clusters: on Lambda, too.
    """
    if local is not None and backend == "local":
        return max(1, int(local[2] or 1))
    asked: int | None = _as(conf, "spark.task.maxFailures", "max_attempts")
    if asked is None and local is None and conf.get(MASTER):
        return _CLUSTER_FAILURES
    return asked


# ---- tasks


def _tasks(conf: Mapping[str, str], config: Config) -> Tasks:
    for key in conf:
        if key.startswith("spark.task.resource."):
            raise ConfigError(f"{key}: aflint's tasks have no resources but CPUs and memory")
    tasks = Tasks(config.workers, _cpus(conf), _task_memory(conf))
    if tasks.cpus > 1 and config.backend != "local":
        _log.warning(
            "%s has no effect on %s: each task has a function of its own, whose CPUs come with its "
            "memory; see memory_mb",
            TASK_CPUS,
            config.backend,
        )
    elif tasks.at_once < 1:
        raise ConfigError(
            f"The number of cores (={tasks.cores}) has to be >= the number of cpus per task "
            f"({TASK_CPUS}={tasks.cpus}): raise it by the master, as local[{tasks.cpus}], or by "
            "the setting workers"
        )
    return tasks


def _cpus(conf: Mapping[str, str]) -> Decimal:
    text = conf.get(TASK_CPUS, "1")
    try:
        cpus = Decimal(text)
        if not cpus > 0:  # nan, too
            raise InvalidOperation
    except InvalidOperation:
        raise ConfigError(f"{TASK_CPUS}: {text!r} is no number above 0") from None
    return cpus


def _task_memory(conf: Mapping[str, str]) -> int | None:
    """Return the share of spark.executor.pyspark.memory that each task has: as Spark's, that of a
    core, or of a part of a core.
    """
    whole = _size(conf, "spark.executor.pyspark.memory")
    if not whole:
        return None
    cores = _as(conf, "spark.executor.cores", "workers") or 1
    return max(1, whole // math.floor(cores / min(_cpus(conf), Decimal(1))))


# ---- values


def _size(conf: Mapping[str, str], key: str) -> int | None:
    """Return a size in MiB."""
    text = conf.get(key)
    return byte_size(text, key, "m") >> 20 if text else None


def byte_size(text: str, key: str, unit: str) -> int:
    """Return a size such as 512m or 2g in bytes; without a letter, it is in units of `unit`.

    Raises ConfigError for anything else.
    """
    found = re.fullmatch(r"\s*(\d+)\s*([bkmgt]?)b?\s*", text.lower())
    if found is None:
        raise ConfigError(f"{key}: {text!r} is not a size such as 512m or 2g")
    return int(found[1]) * _SIZES[found[2] or unit]
