"""The functions of the account: their settings, their code, and how both are changed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import calendar
import hashlib
import io
import itertools
import os
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aflint import limits
from aflint.localcloud.clock import Clock
from aflint.localcloud.household import remove_tree
from aflint.localcloud.lambda_.errors import conflict, invalid, no_function
from aflint.localcloud.roles import Roles
from aflint.localcloud.s3.buckets import Buckets
from aflint.localcloud.wire import ServiceError

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
_ARN = re.compile(r"(?:arn:aws:lambda:[^:]*:)?(?:\d{12}:)?(?:function:)?([^:]+)(?::([^:]+))?")
Members = dict[str, Any]


class Functions:
    """Functions by name. `on_revision` is called with each new revision, or None on deletion."""

    def __init__(
        self,
        *,
        clock: Clock,
        code: CodeStore,
        roles: Roles,
        buckets: Buckets,
        arn_prefix: str,
        settle_seconds: float,
        on_revision: Callable[[str, int | None], None],
    ) -> None:
        self.by_name: dict[str, Function] = {}
        self._clock = clock
        self._code = code
        self._roles = roles
        self._buckets = buckets
        self._arn_prefix = arn_prefix
        self._settle_seconds = settle_seconds
        self._on_revision = on_revision

    def get(self, reference: str) -> Function:
        """By name or ARN, `$LATEST` only; raises ResourceNotFoundException."""
        found = _ARN.fullmatch(reference)
        name, qualifier = (found[1], found[2]) if found else (reference, None)
        function = self.by_name.get(name)
        if function is None or qualifier not in (None, "$LATEST"):
            suffix = f":{qualifier}" if qualifier else ""
            raise no_function(self.arn(name) + suffix)
        return function

    def arn(self, name: str) -> str:
        """The ARN of a function of that name, whether it is there or not."""
        return self._arn_prefix + name

    async def create(self, members: Members) -> Function:
        """CreateFunction."""
        name = check_name(str(members.get("FunctionName", "")))
        if members.get("PackageType", "Zip") != "Zip":
            raise invalid("localcloud runs functions from zip bundles, not from images.")
        settings = Settings(role="", handler="").updated(members)
        self._check_role(settings.role)
        self._check_absent(name)
        code = await self._read_code(members.get("Code") or {})
        self._check_absent(name)  # again: another call may have made it while the code was unpacked
        now = self._clock.now()
        function = Function(
            name,
            self.arn(name),
            settings,
            code,
            now,
            now + self._settle_seconds,
            architecture=(members.get("Architectures") or ["x86_64"])[0],
            tags=dict(members.get("Tags") or {}),
        )
        self.by_name[name] = function
        self._on_revision(name, function.revision)
        return function

    async def update_code(self, function: Function, members: Members) -> None:
        """UpdateFunctionCode."""
        self.check_settled(function)  # as Lambda does, before it looks at the code
        code = await self._read_code(members)
        if not members.get("DryRun"):
            function.code = code
            self._revised(function)

    def update_settings(self, function: Function, members: Members) -> None:
        """UpdateFunctionConfiguration."""
        self.check_settled(function)
        settings = function.settings.updated(members)
        self._check_role(settings.role)
        function.settings = settings
        self._revised(function)

    def delete(self, function: Function) -> None:
        """DeleteFunction."""
        del self.by_name[function.name]
        self._on_revision(function.name, None)

    def check_settled(self, function: Function) -> None:
        """Raise ResourceConflictException while the function is Pending or being updated."""
        if self._clock.now() < function.settled_at:
            raise conflict(
                "The operation cannot be performed at this time. An update is in progress for "
                f"resource: {function.arn}"
            )

    def _revised(self, function: Function) -> None:
        function.revision += 1
        function.modified = self._clock.now()
        function.settled_at = function.modified + self._settle_seconds
        self._on_revision(function.name, function.revision)

    def _check_absent(self, name: str) -> None:
        if name in self.by_name:
            raise conflict(f"Function already exist: {name}")

    def _check_role(self, arn: str) -> None:
        role = self._roles.by_arn(arn)
        if role is None or not role.trusts("lambda.amazonaws.com"):
            raise invalid("The role defined for the function cannot be assumed by Lambda.")

    async def _read_code(self, members: Mapping[str, Any]) -> Code:
        if members.get("ZipFile"):
            try:
                content = base64.b64decode(members["ZipFile"], validate=True)
            except binascii.Error:
                raise invalid("Could not unzip uploaded file. It is not base64.") from None
            return await self._code.add(content, direct=True)
        if members.get("S3Bucket") and members.get("S3Key"):
            blob = self._object(members["S3Bucket"], members["S3Key"])
            return await self._code.add(blob, direct=False)
        raise invalid("Please provide a source for function code.")

    def _object(self, bucket: str, key: str) -> bytes:
        try:
            blob = self._buckets.get(bucket).get(key).blob
        except ServiceError as error:
            raise invalid(
                "Error occurred while GetObject. S3 Error Code: "
                f"{error.code}. S3 Error Message: {error.message}"
            ) from None
        return blob.read(0, blob.size)


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


@dataclass(frozen=True)
class Code:
    """An unpacked bundle. `sha256` is base64, `size` that of the zip in bytes."""

    sha256: str
    size: int
    root: Path


def check_name(name: str) -> str:
    """Return a function's name; raises InvalidParameterValueException when it is not valid."""
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Value '{name}' at 'functionName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z0-9-_]{1,64}"
        )
    return name


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


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


class CodeStore:
    """Unpacked bundles by content, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unpacked: dict[str, Code] = {}
        self._lock = asyncio.Lock()
        self._partial = itertools.count()

    async def add(self, content: bytes, *, direct: bool) -> Code:
        """Unpack a zip, or find it unpacked.

        Raises RequestEntityTooLargeException for more than 50 MB sent `direct`ly, and
        InvalidParameterValueException for what is no zip or holds more than 250 MB.
        """
        if direct and len(content) > limits.LAMBDA_ZIP_BYTES:
            raise ServiceError(
                "RequestEntityTooLargeException",
                f"Zip file of {len(content)} bytes is larger than the {limits.LAMBDA_ZIP_BYTES} "
                "that may be uploaded directly; upload it to S3 and name it there",
                413,
            )
        digest = hashlib.sha256(content)
        name = digest.hexdigest()
        async with self._lock:  # two deployments of one bundle unpack it once
            if name not in self._unpacked:
                root = self._folder / name
                partial = self._folder / f"{name}.{next(self._partial)}"
                await asyncio.to_thread(_unpack, content, partial, root)
                sha256 = base64.b64encode(digest.digest()).decode()
                self._unpacked[name] = Code(sha256, len(content), root)
        return self._unpacked[name]


def _unpack(content: bytes, partial: Path, root: Path) -> None:
    """Unpack beside `root`, and move it there once it is complete."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            _check_unzipped(bundle)
            bundle.extractall(partial)
            _protect(bundle, partial)
        if not root.exists():
            partial.rename(root)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        ) from error
    finally:
        remove_tree(str(partial))


def _check_unzipped(bundle: zipfile.ZipFile) -> None:
    if not bundle.infolist():
        raise invalid("Uploaded file must be a non-empty zip")
    # By what the zip declares, before a byte is written: a zip bomb is refused, too.
    if sum(entry.file_size for entry in bundle.infolist()) > limits.LAMBDA_UNZIPPED_BYTES:
        raise invalid(f"Unzipped size must be smaller than {limits.LAMBDA_UNZIPPED_BYTES} bytes")


def _protect(bundle: zipfile.ZipFile, root: Path) -> None:
    """As on Lambda: nothing may be written, programs stay executable, times are the zip's."""
    for entry in bundle.infolist():
        path = root / entry.filename
        if path.is_file():
            executable = (entry.external_attr >> 16) & 0o111
            path.chmod(0o555 if executable else 0o444)
            modified = calendar.timegm((*entry.date_time, 0, 0, 0))
            os.utime(path, (modified, modified))
    for path in root.rglob("*"):  # folders last: nothing can be changed inside them afterwards
        if path.is_dir():
            path.chmod(0o555)
    root.chmod(0o555)
