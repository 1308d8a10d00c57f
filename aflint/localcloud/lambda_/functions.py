"""All functions of the account: created, changed, looked up, deleted."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from aflint.localcloud.clock import Clock
from aflint.localcloud.iam.roles import Roles
from aflint.localcloud.lambda_.code import CodeStore
from aflint.localcloud.lambda_.errors import conflict, invalid, no_function
from aflint.localcloud.lambda_.function import Code, Function, Settings, check_name
from aflint.localcloud.s3.bucket import Buckets
from aflint.localcloud.wire import ServiceError

_ARN = re.compile(r"(?:arn:aws:lambda:[^:]*:)?(?:\d{12}:)?(?:function:)?([^:]+)(?::([^:]+))?")

Members = dict[str, Any]


class Functions:
    """Functions by name. `on_revision` hears of each new revision, None for a deleted function."""

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
            raise no_function(self._arn_prefix + name + suffix)
        return function

    async def create(self, members: Members) -> Function:
        """CreateFunction."""
        name = check_name(str(members.get("FunctionName", "")))
        if members.get("PackageType", "Zip") != "Zip":
            raise invalid("localcloud runs functions from zip bundles, not from images.")
        settings = Settings(role="", handler="").updated(members)
        self._check_role(settings.role)
        self._check_absent(name)
        code = await self._read_code(members.get("Code") or {})
        self._check_absent(name)
        now = self._clock.now()
        function = Function(
            name,
            self._arn_prefix + name,
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
        self.check_settled(function)
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
        """Raises ResourceConflictException while it is Pending or being updated."""
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
