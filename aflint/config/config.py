"""The configuration: one frozen Config, checked once, that knows where each value came from.

Later sources win: the defaults below, then the file (the one named; else the one that
`AFLINT_CONFIG` names; else `aflint.toml` in the working directory, if there is one), then the
environment (`AFLINT_` and the setting's name in capitals), then keywords.
"""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from aflint import limits
from aflint.config.setting import Auto, Setting, suggest
from aflint.config.sources import Found, find_file, read_environment, read_file
from aflint.errors import ConfigError


def cpu_count() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _setting(default: Any, help: str, **rules: Any) -> Any:
    """Declare a setting: its default (or factory), what it means, and the rules of `Setting`."""
    metadata = {"help": help, **rules}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a session, each one checked.

    `origins` says where each value came from; it plays no part in comparing. Units stand in the
    names: `_s` seconds, `_mb` 1024 * 1024 bytes, `_kib` 1024 bytes, `_usd` US dollars.

    Raises:
        ConfigError: a value is of the wrong type or out of range, or two do not go together.
    """

    backend: Literal["local", "aws", "localcloud"] = _setting(
        "local",
        "Where tasks run: worker processes on this machine, AWS Lambda, or Lambda's emulator here.",
    )
    workers: int = _setting(
        cpu_count,
        "Worker processes of the local backend.",
        default_text="the number of CPUs",
        minimum=1,
    )
    worker_memory_mb: int = _setting(
        1024,
        "Memory that aggregation and sorting keep a local worker under, by spilling to disk. "
        "What user code holds is counted, but not bounded.",
        minimum=64,
    )
    worker_memory_limit_mb: int | None = _setting(
        None,
        "Memory at which a local worker is killed and its task tried again, as Lambda does; "
        "looked at ten times a second. It counts what the process itself holds: neither the files "
        "that it maps nor the processes that it starts. None: no limit.",
        minimum=64,
    )
    worker_stopped_s: float = _setting(
        30.0,
        "How long a local worker may be stopped (SIGSTOP, a suspended job) before it is killed "
        "and its task is run again.",
        above=0,
    )
    default_parallelism: int | None = _setting(
        None,
        "Partitions of an RDD or a shuffle where the program names no number. "
        "None: the workers, or the parents' partitions. auto: for a shuffle, as many as its input "
        "needs.",
        minimum=1,
        auto=0,
    )
    split_mb: int = _setting(32, "Size of the pieces into which input files are split.", minimum=1)
    sql_one_task_mb: int | None = _setting(
        None,
        "A query of SQL that reads no more than this runs as one task, without exchanges. "
        "None: half of a task's memory; of functions no more than 128 for each virtual CPU. "
        "0: no query does.",
        minimum=0,
    )
    scratch_dir: str | None = _setting(
        None,
        "Folder for temporary files. None: the system's.",
        path=True,
        example="/var/tmp",
    )
    checkpoint_dir: str | None = _setting(
        None,
        "Folder or s3:// prefix that checkpoint() writes to.",
        path=True,
        example="s3://my-bucket/checkpoints",
    )
    transport: Literal["auto", "file", "sqs", "s3", "hybrid"] = _setting(
        "auto",
        "What carries shuffles. auto: file on local, else hybrid (small blocks through SQS, "
        "large ones through S3).",
    )
    shuffle_levels: Literal["auto", "one", "two"] = _setting(
        "auto",
        "Levels of an exchange between map and reduce tasks. Two ask for about 2 M √R blocks in "
        "place of M R, through a stage in between. auto: two where the price table says so, over "
        "`s3` and `hybrid`.",
    )
    skewed_partition_mb: int = _setting(
        32,
        "Bytes from which a reduce partition of combined values counts as skewed, if it is also 5 "
        "times the median: where four tasks or more run at once, they combine it in shares, and "
        "one merges these. 0: none does.",
        minimum=0,
    )
    message_limit_kib: int = _setting(
        limits.SQS_OLD_MESSAGE_BYTES // limits.KIB,
        "Largest SQS message and batch. AWS takes 1024 since August 2025, emulators often less.",
        minimum=1,
        maximum=limits.SQS_MESSAGE_BYTES // limits.KIB,
    )
    kept_shuffle_mb: int = _setting(
        8192,
        "How much of the output of map stages is kept for later jobs that read it; what was used "
        "least recently goes first. 0: nothing.",
        minimum=0,
    )
    fetch_timeout_s: float = _setting(
        60.0,
        "How long a reduce task waits for a frame before the map task is run again.",
        above=0,
    )
    max_attempts: int = _setting(4, "Attempts of one task before its job fails.", minimum=1)
    retry_user_errors: bool = _setting(
        False,
        "Whether a task is tried again after an exception in user code, as after a lost worker.",
    )
    speculation: bool = _setting(False, "Whether a straggling task is started a second time.")
    speculation_quantile: float = _setting(
        0.75,
        "Part of a stage's tasks that must be done before any counts as straggling.",
        minimum=0,
        maximum=1,
    )
    speculation_multiplier: float = _setting(
        1.5, "How many times slower than the median a straggling task is.", minimum=1
    )
    budget_usd: float | None = _setting(
        None,
        "Dollars that a job may cost; it is stopped before it passes them, also while a task runs.",
        above=0,
    )
    deadline_s: float | None = _setting(
        None, "Seconds that a job may take; it is stopped at their end.", above=0
    )
    run_id: str | None = _setting(
        None,
        "Name of this run: a program that is started again under it goes on where its driver was "
        "killed. None: a random one.",
        pattern=r"[A-Za-z0-9_]{1,20}",
        hint="1 to 20 letters, digits and _",
        example="nightly",
    )
    journal: bool | None = _setting(
        None,
        "Whether a journal is kept of what a run has computed, for another driver to resume it. "
        "None: on AWS; on `local`, where `run_id` is set or once the run has lasted 10 seconds.",
    )
    task_logs: bool = _setting(
        False, "Whether prints and logging of user code are forwarded to the driver."
    )
    keep_failed: bool = _setting(
        False,
        "Whether a task that user code fails is kept with all that it reads, for a week, in the "
        "user's state folder: `aflint replay` runs it again here, under a debugger.",
    )
    progress: bool | None = _setting(
        None,
        "Whether running stages, and a line of each job that ended, are shown on standard error. "
        "None: on a terminal and in a notebook. true: elsewhere, too, as lines for a log.",
    )
    event_log: str | None = _setting(
        None,
        "Folder or s3:// prefix for an event log that Spark's History Server reads. To S3 it goes "
        "in parts, as a rolling event log of Spark's.",
        path=True,
    )
    event_log_part_mb: int = _setting(
        0,
        "Size of the parts of a rolling event log, which are written at least every minute. 0: one "
        "file, and in S3 parts of 8 MB.",
        minimum=0,
    )
    history_mb: int = _setting(
        256,
        "How much of the logs of the latest runs is kept for `aflint jobs` and the page, in the "
        "user's state folder, and of runs on aws in their bucket, too. 0: this run is not kept.",
        minimum=0,
    )
    otel: bool = _setting(
        False,
        "Whether jobs, stages and tasks are OpenTelemetry spans, of the tracer provider that the "
        "program has set up.",
    )
    openlineage: bool = _setting(
        False,
        "Whether OpenLineage events are sent of what jobs read and write; where to, its own "
        "settings say (OPENLINEAGE_URL, openlineage.yml).",
    )
    ui: bool = _setting(
        False,
        "Whether the session serves the page of `aflint ui`, for this machine alone. Its address "
        "is `session.ui`, and is written to standard error.",
    )
    ui_port: int | None = _setting(
        None,
        "Port of the page; 0: any that is free. None: 4040, or the next one that is free.",
        minimum=0,
        maximum=65535,
    )
    region: str | None = _setting(
        None,
        "AWS region. None: what AWS's own settings say.",
        pattern=r"[a-z]{2}(-[a-z0-9]+)+",
        hint="a region such as us-east-1",
        example="us-east-1",
    )
    price_region: str | None = _setting(
        None,
        "Region at whose list prices dollars are told. None: the one that jobs run in, and of jobs "
        "on this machine `region`, or else us-east-1.",
        pattern=r"[a-z]{2}(-[a-z0-9]+)+",
        hint="a region such as us-east-1",
        example="us-east-1",
    )
    profile: str | None = _setting(None, "Profile in AWS's own settings.", example="default")
    endpoint_url: str | None = _setting(
        None,
        "URL of an emulator of AWS's services.",
        pattern=r"https?://[^@\s/]+(/\S*)?",
        hint="a URL with http or https and no user or password",
        example="http://127.0.0.1:4566",
    )
    client: Literal["auto", "aiobotocore"] = _setting(
        "auto",
        "What functions call SQS and S3 with. auto: a client that starts fast and is told by the "
        "driver where they are; aiobotocore: that, by the function's own environment (a proxy, or "
        "other endpoints than the driver's).",
    )
    function: str = _setting(
        "aflint",
        "Lambda function that runs the tasks.",
        pattern=r"[A-Za-z0-9_:$-]{1,170}",
        hint="a function's name or ARN",
    )
    requirements: str | None = _setting(
        None,
        "Requirements file of the packages that functions need beyond aflint's own.",
        path=True,
        example="requirements.txt",
    )
    function_timeout_s: int = _setting(
        limits.LAMBDA_TIMEOUT_S,
        "Time limit of a function that localcloud runs; `aflint deploy --timeout-s` sets AWS's.",
        minimum=1,
        maximum=limits.LAMBDA_TIMEOUT_S,
    )
    memory_mb: int = _setting(
        limits.LAMBDA_MEMORY_PER_VCPU_MB,
        "Memory of the Lambda function; 1769 brings one whole vCPU. auto: for each job one of 885, "
        "1770 and 3540, by what earlier jobs of the session computed, waited and held.",
        auto=limits.LAMBDA_MEMORY_PER_VCPU_MB,
        minimum=limits.LAMBDA_MEMORY_MIN_MB,
        maximum=limits.LAMBDA_MEMORY_MAX_MB,
    )
    concurrency: int = _setting(
        limits.LAMBDA_CONCURRENCY,
        "Lambda invocations in flight at once, at most. auto: for each job as many, up to 1000, as "
        "its tasks are worth.",
        minimum=1,
        auto=limits.LAMBDA_CONCURRENCY,
    )
    bucket: str | None = _setting(
        None,
        "S3 bucket for what is too large for a message or a request.",
        pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        hint="a bucket's name, without s3://",
        example="my-bucket",
    )
    prefix: str = _setting(
        "aflint",
        "Beginning of the name of every queue and object that aflint makes.",
        pattern=r"[A-Za-z0-9_-]{1,32}",
        hint="1 to 32 letters, digits, - and _",
    )
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, setting in settings().items():
            try:  # by `object`, as the dataclass is frozen for everyone else
                object.__setattr__(self, name, setting.check(getattr(self, name)))
            except ValueError as error:
                raise ConfigError(f"{self.origin(name)}: {error}.") from None
        if problem := _conflict(self.backend, self.transport):
            raise ConfigError(f"{self.origin('transport')}: {problem}.")

    @property
    def effective_transport(self) -> Literal["file", "sqs", "s3", "hybrid"]:
        """The transport, with `auto` decided by the backend."""
        if self.transport == "auto":
            return "file" if self.backend == "local" else "hybrid"
        return self.transport

    @property
    def smallest_memory_mb(self) -> int:
        """The memory of the smallest function: less than one vCPU where it is left to aflint."""
        # Half a vCPU, rounded up, so that twice as much brings a whole one.
        return -(-self.memory_mb // 2) if isinstance(self.memory_mb, Auto) else self.memory_mb

    def origin(self, name: str) -> str:
        """Return where the value of a setting came from, such as `aflint.toml, line 3`."""
        return self.origins.get(name, "default")

    def replace(self, **overrides: Any) -> Config:
        """Return a Config that differs in `overrides`.

        Raises:
            ConfigError: a setting is unknown, or its value is wrong.
        """
        found: Found = {name: (getattr(self, name), self.origin(name)) for name in settings()}
        return _build(found | _keywords(overrides))


def load_config(path: str | os.PathLike[str] | None = None, **overrides: Any) -> Config:
    """Resolve the configuration from its file, the environment and keywords.

    Raises:
        ConfigError: the file is named but absent, or cannot be read; or a setting is unknown, of
            the wrong type or out of range. Names the source, the line, and what is allowed.
    """
    return resolve_config(path, _keywords(overrides))


def resolve_config(path: str | os.PathLike[str] | None, last: Found) -> Config:
    """Resolve the configuration from its file, the environment, and what goes over both.

    Raises as `load_config`.
    """
    file = find_file(path, os.environ)
    # Each source over the one before.
    found: Found = read_file(file, settings()) if file else {}
    return _build(found | read_environment(os.environ, settings()) | last)


@cache
def settings() -> dict[str, Setting]:
    """Return every setting by name, in the order of `Config`."""
    hints = get_type_hints(Config)
    return {
        entry.name: _describe(entry, hints[entry.name])
        for entry in fields(Config)
        if entry.metadata
    }


def _describe(entry: Field[Any], hint: Any) -> Setting:
    rules = dict(entry.metadata)
    choices: tuple[str, ...] = ()
    if optional := get_origin(hint) is types.UnionType:
        hint = get_args(hint)[0]
    # The types of the fields are the rules: choices, and whether None is one.
    if get_origin(hint) is Literal:
        choices, hint = get_args(hint), str
    default = rules.pop("default_text", None) or _default_text(entry.default)
    return Setting(
        entry.name, hint, default, rules.pop("help"), optional=optional, choices=choices, **rules
    )


def _default_text(default: Any) -> str:
    if default is None or default is MISSING:
        return "none"
    return str(default).lower() if isinstance(default, bool) else f"{default}"


def _keywords(overrides: Mapping[str, Any]) -> Found:
    return {name: (value, f"keyword {name}") for name, value in overrides.items()}


def _build(found: Found) -> Config:
    for name, (_, origin) in found.items():
        if name not in settings():
            raise ConfigError(f"{origin}: there is no setting {name}. {suggest(name, settings())}")
    values = {name: value for name, (value, _) in found.items()}
    return Config(**values, origins={name: origin for name, (_, origin) in found.items()})


def _conflict(backend: str, transport: str) -> str | None:
    # Files are for one machine, and queues and objects for the cloud.
    if transport == "auto" or (transport == "file") == (backend == "local"):
        return None
    fitting = "auto or file" if backend == "local" else "auto, sqs, s3 or hybrid"
    return f'transport = "{transport}" does not go with backend = "{backend}"; use {fitting}'
