"""A function's configuration, checked as CreateFunction and its kin check it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aflint import limits
from aflint.localcloud.lambda_.errors import invalid

_NAME = re.compile(r"[A-Za-z0-9_\-]{1,64}")
_ENVIRONMENT_BYTES = 4096
_RESERVED_NAMES = frozenset(
    {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    }
)  # fmt: skip
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The one runtime served: this interpreter's."""


@dataclass(frozen=True)
class Settings:
    """What UpdateFunctionConfiguration can change. Sizes in MB, `timeout` in seconds."""

    role: str
    handler: str
    runtime: str = RUNTIME
    timeout: int = 3
    memory: int = limits.LAMBDA_MEMORY_MIN_MB
    tmp: int = limits.LAMBDA_TMP_MIN_MB
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    description: str = ""

    def updated(self, members: Mapping[str, Any]) -> Settings:
        """These settings with what `members` names set; raises InvalidParameterValueException."""
        changes: dict[str, Any] = {}
        for name, key in (("Role", "role"), ("Handler", "handler"), ("Runtime", "runtime"),
                          ("Timeout", "timeout"), ("MemorySize", "memory"),
                          ("Description", "description")):  # fmt: skip
            if members.get(name) is not None:
                changes[key] = members[name]
        if members.get("EphemeralStorage") is not None:
            changes["tmp"] = members["EphemeralStorage"].get("Size")
        if members.get("Environment") is not None:
            changes["variables"] = members["Environment"].get("Variables") or {}
        return _checked(replace(self, **changes))


def _checked(settings: Settings) -> Settings:
    _check_range("Timeout", settings.timeout, 1, limits.LAMBDA_TIMEOUT_S)
    _check_range(
        "MemorySize", settings.memory, limits.LAMBDA_MEMORY_MIN_MB, limits.LAMBDA_MEMORY_MAX_MB
    )
    _check_range(
        "EphemeralStorage.Size", settings.tmp, limits.LAMBDA_TMP_MIN_MB, limits.LAMBDA_TMP_MAX_MB
    )
    if settings.runtime != RUNTIME:
        raise invalid(
            f"Value {settings.runtime} at 'runtime' cannot be run here: localcloud runs functions "
            f"with its own interpreter, {RUNTIME}."
        )
    if not settings.handler:
        raise invalid("Handler must not be empty.")
    _check_variables(settings.variables)
    return settings


def _check_range(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or not least <= value <= most:
        raise invalid(
            f"'{name}' value {value!r} failed to satisfy constraint: Member must have value from "
            f"{least} to {most}"
        )


def _check_variables(variables: Mapping[str, str]) -> None:
    reserved = sorted(_RESERVED_NAMES & variables.keys())
    if reserved:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > _ENVIRONMENT_BYTES:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit."
        )


@dataclass(frozen=True)
class Code:
    """An unpacked bundle. `sha256` is base64, `size` that of the zip in bytes."""

    sha256: str
    size: int
    root: Path


@dataclass
class Function:
    """One function; `revision` grows with every change of code or settings."""

    name: str
    arn: str
    settings: Settings
    code: Code
    modified: float
    settled_at: float
    """Until then it is Pending, or its last update is in progress."""
    architecture: str = "x86_64"
    revision: int = 1
    tags: dict[str, str] = field(default_factory=dict)
    event_config: dict[str, Any] | None = None

    def shown(self, now: float) -> dict[str, Any]:
        """As GetFunctionConfiguration shows it."""
        settled = now >= self.settled_at
        settings = self.settings
        shown: dict[str, Any] = {
            "FunctionName": self.name,
            "FunctionArn": self.arn,
            "Runtime": settings.runtime,
            "Role": settings.role,
            "Handler": settings.handler,
            "CodeSize": self.code.size,
            "CodeSha256": self.code.sha256,
            "Description": settings.description,
            "Timeout": settings.timeout,
            "MemorySize": settings.memory,
            "LastModified": _stamp(self.modified),
            "Version": "$LATEST",
            "TracingConfig": {"Mode": "PassThrough"},
            "RevisionId": f"{self.name}-{self.revision}",
            "State": "Active" if settled or self.revision > 1 else "Pending",
            "LastUpdateStatus": "Successful" if settled else "InProgress",
            "PackageType": "Zip",
            "Architectures": [self.architecture],
            "EphemeralStorage": {"Size": settings.tmp},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.name}"},
        }
        if settings.variables:
            shown["Environment"] = {"Variables": dict(settings.variables)}
        return shown


def check_name(name: str) -> str:
    """The name; raises InvalidParameterValueException when it is none."""
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Value '{name}' at 'functionName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z0-9-_]{1,64}"
        )
    return name


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
