"""Carries out the steps of a deployment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aflint.aws.clients import Answer, Aws
from aflint.codec.secret import SECRET_VARIABLE
from aflint.deploy.errors import NameTakenError
from aflint.deploy.names import Names
from aflint.deploy.policies import canonical
from aflint.deploy.settling import Waiting
from aflint.deploy.state import Code, FunctionState, Settings
from aflint.deploy.steps import (
    CloseBucket,
    CreateBucket,
    CreateFunction,
    CreateRole,
    EncryptBucket,
    PutPolicy,
    ReserveConcurrency,
    SetLifecycle,
    SetTrust,
    Step,
    TagBucket,
    TagFunction,
    UpdateCode,
    UpdateSettings,
)
from aflint.deploy.together import together
from aflint.deploy.upload import Upload
from aflint.errors import BackendError

OnStep = Callable[[Step], object]

_FUNCTION_STEPS = (CreateFunction, UpdateCode, UpdateSettings, TagFunction, ReserveConcurrency)

_OURS: Final = ("BucketAlreadyOwnedByYou", "EntityAlreadyExists", "ResourceConflictException")
"""What was not there a moment ago: made by a first try whose answer was lost, or by somebody who
deploys at the same time."""


class Applier:
    """Carries out steps in one account and region; `upload` brings the zip, if there is one."""

    def __init__(self, clients: Aws, names: Names, upload: Upload | None, waiting: Waiting) -> None:
        self._clients = clients
        self._names = names
        self._upload = upload
        self._waiting = waiting

    async def apply(self, steps: Sequence[Step], on_step: OnStep) -> None:
        """Carry out all steps; those of different functions side by side, after all others.

        `on_step` hears of each step when it is done. What was done stays done where a later step
        fails: deploying again goes on from there. Raises a BackendError or DeployError.
        """
        chains: dict[str, list[Step]] = {}
        for step in steps:
            if isinstance(step, _FUNCTION_STEPS):
                chains.setdefault(_function_of(step), []).append(step)
            else:
                await self._one(step)
                on_step(step)
        await together(self._chain(chain, on_step) for chain in chains.values())

    async def _chain(self, steps: Sequence[Step], on_step: OnStep) -> None:
        for step in steps:
            await self._one(step)
            on_step(step)

    async def _one(self, step: Step) -> None:
        match step:
            case CreateBucket(name):
                await self._create_bucket(name)
            case CreateRole() | SetTrust() | PutPolicy():
                await self._role(step)
            case CreateFunction(function):
                await self._create_function(function)
            case UpdateCode() | UpdateSettings():
                await self._update(step)
            case TagFunction(name, arn, tags):
                await self._lambda("TagResource", name, Resource=arn, Tags=dict(tags))
            case ReserveConcurrency(name, concurrency):
                await self._lambda(
                    "PutFunctionConcurrency", name,
                    FunctionName=name, ReservedConcurrentExecutions=concurrency,
                )  # fmt: skip
            case _:
                await self._bucket(step)

    async def _create_bucket(self, name: str) -> None:
        place: dict[str, Any] = {}
        if self._clients.region != "us-east-1":  # Which S3 wants to be left out.
            constraint = {"LocationConstraint": self._clients.region}
            place = {"CreateBucketConfiguration": constraint}
        try:
            await self._clients.find(
                "s3", "CreateBucket", f"bucket {name}", _OURS, Bucket=name, **place
            )
        except BackendError as error:
            if error.code != "BucketAlreadyExists":
                raise
            raise NameTakenError(
                f"The bucket {name} belongs to another account: bucket names are unique worldwide. "
                "Set `bucket` to another name."
            ) from error

    async def _bucket(self, step: Step) -> None:
        call = self._clients.call
        match step:
            case TagBucket(name, tags):
                await call(
                    "s3", "PutBucketTagging", f"bucket {name}",
                    Bucket=name, Tagging={"TagSet": _pairs(tags)},
                )  # fmt: skip
            case CloseBucket(name):
                await call(
                    "s3", "PutPublicAccessBlock", f"bucket {name}",
                    Bucket=name,
                    PublicAccessBlockConfiguration={
                        "BlockPublicAcls": True, "IgnorePublicAcls": True,
                        "BlockPublicPolicy": True, "RestrictPublicBuckets": True,
                    },
                )  # fmt: skip
            case EncryptBucket(name):
                rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                await call(
                    "s3", "PutBucketEncryption", f"bucket {name}",
                    Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]},
                )  # fmt: skip
            case SetLifecycle(name, rules):
                await call(
                    "s3", "PutBucketLifecycleConfiguration", f"bucket {name}",
                    Bucket=name, LifecycleConfiguration={"Rules": list(rules)},
                )  # fmt: skip

    async def _role(self, step: Step) -> None:
        call = self._clients.call
        match step:
            case CreateRole(name, trust, tags):
                await self._clients.find(
                    "iam", "CreateRole", f"role {name}", _OURS,
                    RoleName=name, AssumeRolePolicyDocument=canonical(dict(trust)),
                    Description="What aflint's functions may do", Tags=_pairs(tags),
                )  # fmt: skip
            case SetTrust(name, trust):
                await call(
                    "iam", "UpdateAssumeRolePolicy", f"role {name}",
                    RoleName=name, PolicyDocument=canonical(dict(trust)),
                )  # fmt: skip
            case PutPolicy(role, name, policy):
                await call(
                    "iam", "PutRolePolicy", f"role {role}",
                    RoleName=role, PolicyName=name, PolicyDocument=canonical(dict(policy)),
                )  # fmt: skip

    async def _create_function(self, function: FunctionState) -> None:
        code = await self._code(function.code)
        more: dict[str, Any] = {"PackageType": "Image"}
        if not function.code.image_uri:
            settings = function.settings
            more = {"PackageType": "Zip", "Runtime": settings.runtime, "Handler": settings.handler}

        async def create() -> Answer:
            made = await self._clients.find(
                "lambda", "CreateFunction", f"function {function.name}", _OURS,
                Code=code, Architectures=[function.architecture], Tags=dict(function.tags),
                Description="Runs aflint's tasks", Publish=False,
                **_settings(function.name, function.settings), **more,
            )  # fmt: skip
            return made or {}

        await self._waiting.for_role(create)
        await self._waiting.for_function(self._clients, function.name)

    async def _update(self, step: UpdateCode | UpdateSettings) -> None:
        await self._waiting.for_function(self._clients, step.function)
        if isinstance(step, UpdateCode):
            await self._lambda(
                "UpdateFunctionCode", step.function,
                FunctionName=step.function, Architectures=[step.architecture],
                **await self._code(step.code),
            )  # fmt: skip
        else:
            settings = step.settings
            more = {"Runtime": settings.runtime, "Handler": settings.handler}
            values = _settings(step.function, settings) | (more if settings.runtime else {})

            async def update() -> Answer:
                return await self._lambda("UpdateFunctionConfiguration", step.function, **values)

            await self._waiting.for_role(update)
        await self._waiting.for_function(self._clients, step.function)

    async def _code(self, code: Code) -> dict[str, Any]:
        """Return where Lambda finds the code."""
        if code.image_uri:
            return {"ImageUri": code.image_uri}
        assert self._upload is not None
        return {**await self._upload.place()}

    def _lambda(self, action: str, name: str, **parameters: Any) -> Awaitable[Answer]:
        return self._clients.call("lambda", action, f"function {name}", **parameters)


def _function_of(step: Step) -> str:
    if isinstance(step, CreateFunction):
        return step.function.name
    assert isinstance(step, UpdateCode | UpdateSettings | TagFunction | ReserveConcurrency)
    return step.function


def _settings(name: str, settings: Settings) -> dict[str, Any]:
    variables = dict(settings.variables)
    if settings.secret is not None:
        variables[SECRET_VARIABLE] = settings.secret.to_text()
    return {
        "FunctionName": name,
        "Role": settings.role_arn,
        "Timeout": settings.timeout_s,
        "MemorySize": settings.memory_mb,
        "EphemeralStorage": {"Size": settings.tmp_mb},
        "Environment": {"Variables": variables},
    }


def _pairs(tags: Any) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
