"""Runs a program as spark-submit does."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aflint.driver.script import Script
from aflint.errors import AflintError, ConfigError
from aflint.pyspark.pyfiles import make_importable, matched

_KEYS = {
    "--master": "spark.master",
    "--name": "spark.app.name",
    "--deploy-mode": "spark.submit.deployMode",
    "--driver-memory": "spark.driver.memory",
    "--executor-memory": "spark.executor.memory",
    "--executor-cores": "spark.executor.cores",
    "--driver-cores": "spark.driver.cores",
    "--num-executors": "spark.executor.instances",
    "--total-executor-cores": "spark.cores.max",
    "--queue": "spark.yarn.queue",
    "--py-files": "spark.submit.pyFiles",
    "--files": "spark.files",
    "--archives": "spark.archives",
}
_NEEDS_JVM = ("--class", "--jars", "--packages", "--repositories", "--driver-class-path")
_UI = "spark.aflint.ui"
_SWITCHES = ("--verbose", "-v", "--supervise")

submitted: dict[str, str] = {}
"""What the command line of `aflint submit` set."""

USAGE = """\
Usage: aflint submit [OPTIONS] app.py [ARGUMENTS]

Runs a PySpark program, unchanged, on aflint. Options are those of spark-submit:
  --conf KEY=VALUE, -c KEY=VALUE   a setting of Spark's, or spark.aflint.<setting>
  --properties-file FILE           settings, one `key value` or `key=value` a line
  --master, --name                 as setMaster and setAppName
  --py-files, --files, --archives  comma-separated: modules and files for tasks
and of aflint's own:
  --ui                             serve the page of `aflint ui`; its address is sc.uiWebUrl
Settings of aflint also come from aflint.toml and AFLINT_ variables."""


@dataclass(slots=True)
class Submission:
    """What a command line asks for."""

    app: str
    arguments: list[str]
    settings: dict[str, str] = field(default_factory=dict)


def parse(words: Sequence[str]) -> Submission:
    """Read a command line. Raises ConfigError for an option that is unknown, or needs a JVM."""
    settings, rest = read_options(words)
    if not rest:
        raise ConfigError(f"no program was named.\n{USAGE}")
    return Submission(rest[0], rest[1:], settings)


def read_options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the settings that options ask for, and the words behind them. Raises as `parse`."""
    settings: dict[str, str] = {}
    waiting = list(words)
    while waiting and waiting[0].startswith("-"):
        option, equals, value = waiting.pop(0).partition("=")
        if option in _SWITCHES:
            continue
        if option == "--ui" and not equals:
            settings[_UI] = "true"
            continue
        if option in _NEEDS_JVM:
            raise ConfigError(f"{option} brings Java classes, and aflint runs without a JVM")
        if option not in (*_KEYS, "--conf", "-c", "--properties-file"):
            raise ConfigError(f"there is no option {option}.\n{USAGE}")
        if not equals:
            if not waiting:
                raise ConfigError(f"{option} needs a value")
            value = waiting.pop(0)
        if option in ("--conf", "-c"):
            key, found, text = value.partition("=")
            if not found:
                raise ConfigError(f"--conf {value}: write it as key=value")
            settings[key.strip()] = text.strip()
        elif option == "--properties-file":
            # As in Spark, what --conf says goes over the file, wherever it stands on the line.
            settings = {**properties(Path(value)), **settings}
        else:
            settings[_KEYS[option]] = value
    return matched(settings), waiting


def submitted_settings() -> dict[str, str]:
    """Return the defaults of every SparkConf: what the command line set, or for a program that
    another command runs, PYSPARK_SUBMIT_ARGS. Raises as `parse`.
    """
    return submitted or read_options(shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", "")))[0]


def properties(path: Path) -> dict[str, str]:
    """Read a file such as spark-defaults.conf. Raises ConfigError if it cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"--properties-file {path}: {error.strerror}") from error
    found = {}
    for line in map(str.strip, lines):
        if line and not line.startswith(("#", "!")):
            key, *rest = line.replace("=", " ", 1).split(None, 1)
            found[key] = rest[0].strip() if rest else ""
    return found


def main(words: Sequence[str]) -> None:
    """Run the program that a command line names, as this process's main module."""
    if words[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE + "\n")
        return
    if not words:
        sys.stderr.write(USAGE + "\n")
        raise SystemExit(2)
    try:
        submission = parse(words)
    except AflintError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    try:
        from aflint.pyspark.install import install

        install()
        script = Script(submission.app)
    except AflintError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None
    # Read by every SparkConf that the program makes.
    submitted.update(submission.settings)
    script.become_main(submission.arguments)
    make_importable(submission.settings.get("spark.submit.pyFiles", ""))
    script.run()
