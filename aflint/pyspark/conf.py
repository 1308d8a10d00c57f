"""What Spark's settings say to aflint: `spark.aflint.*` keys, the master, and a few others."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from aflint.config import Config, cpu_count, load_config, settings
from aflint.errors import ConfigError
from aflint.settings import suggest

PREFIX = "spark.aflint."
CONFIG_FILE = "spark.aflint.config"
MASTER = "spark.master"
NAME = "spark.app.name"
PARALLELISM = "spark.default.parallelism"
DEFAULTS = {MASTER: "local[*]", NAME: "pyspark-shell", "spark.submit.deployMode": "client"}

submitted: dict[str, str] = {}
"""What the command line of `aflint submit` set: defaults of every SparkConf."""

_LOCAL = re.compile(r"local(?:\[\s*(\*|\d+)\s*(?:,\s*\d+\s*)?\])?")
_SIZES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def engine_config(conf: Mapping[str, str]) -> Config:
    """Return the engine's configuration: aflint.toml and `AFLINT_` variables, then `spark.aflint.*`
    keys, and where none of these says, what Spark's own keys say of the same thing.

    Raises ConfigError for a `spark.aflint.*` key that is no setting, or has a wrong value.
    """
    asked: dict[str, Any] = {}
    for key, text in conf.items():
        if key.startswith(PREFIX) and key != CONFIG_FILE:
            asked[key.removeprefix(PREFIX)] = _parsed(key, str(text))
    config = load_config(conf.get(CONFIG_FILE), **asked)
    implied = {
        name: value
        for name, value in _implied(conf, config).items()
        if value is not None and config.origin(name) == "default"
    }
    return config.replace(**implied) if implied else config


def _parsed(key: str, text: str) -> Any:
    name = key.removeprefix(PREFIX)
    if name not in settings():
        raise ConfigError(f"{key}: there is no setting {name}. {suggest(name, settings())}")
    try:
        return settings()[name].parse(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}.") from None


def _implied(conf: Mapping[str, str], config: Config) -> dict[str, Any]:
    memory = conf.get("spark.executor.memory")
    local_dir = conf.get("spark.local.dir") or os.environ.get("SPARK_LOCAL_DIRS")
    return {
        "workers": workers(conf.get(MASTER, "")),
        "scratch_dir": local_dir.split(",")[0] if local_dir else None,
        "worker_memory_mb": max(64, megabytes(memory)) if memory else None,
        "speculation": True if conf.get("spark.speculation", "").lower() == "true" else None,
        "task_logs": True if config.backend == "local" else None,
    }


def workers(master: str) -> int | None:
    """Return how many workers `local[N]` asks for; None where the master does not say."""
    found = _LOCAL.fullmatch(master.strip())
    if found is None or found[1] == "0":
        return None
    return cpu_count() if found[1] == "*" else int(found[1] or 1)


def megabytes(text: str) -> int:
    """Return a size such as 512m or 2g, in MiB. Raises ConfigError for anything else."""
    found = re.fullmatch(r"\s*(\d+)\s*([bkmgt]?)b?\s*", text.lower())
    if found is None:
        raise ConfigError(f"{text!r} is not a size such as 512m or 2g")
    return int(found[1]) * _SIZES[found[2] or "m"] >> 20
