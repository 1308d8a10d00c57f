"""Reads what of a deployment is there."""

from __future__ import annotations

import re
from typing import Any

from aflint.aws.clients import Aws
from aflint.codec.secret import SECRET_VARIABLE, Secret
from aflint.deploy.errors import NameTakenError
from aflint.deploy.names import Names
from aflint.deploy.state import (
    DATA_POLICY,
    ROLE_POLICY,
    BucketState,
    Code,
    Deployed,
    FunctionState,
    RoleState,
    Settings,
)
from aflint.deploy.together import together
from aflint.errors import AccessDeniedError, BackendError, WrongRegionError

NO_FUNCTION = ("ResourceNotFoundException",)
NO_ROLE = ("NoSuchEntity",)
NO_BUCKET = ("404", "NoSuchBucket")
_NO_RULES = ("NoSuchLifecycleConfiguration", "NoSuchLifecycleConfigurationException")
_NO_ENCRYPTION = ("ServerSideEncryptionConfigurationNotFoundError",)
_NO_BLOCK = ("NoSuchPublicAccessBlockConfiguration",)
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


async def find_account(clients: Aws) -> str:
    """Return the number of the account. Raises CredentialsError where there are no valid ones."""
    caller = await clients.call("sts", "GetCallerIdentity", "your credentials")
    return str(caller["Account"])


async def read_deployed(clients: Aws, names: Names, functions: list[str]) -> Deployed:
    """Return the bucket, the role and those of `functions` that are there.

    Raises:
        NameTakenError: the bucket belongs to another account.
        WrongRegionError: the bucket is in another region.
    """
    bucket, role, *found = await together(
        [
            read_bucket(clients, names),
            read_role(clients, names),
            *(read_function(clients, name) for name in functions),
        ]
    )
    assert bucket is None or isinstance(bucket, BucketState)
    assert role is None or isinstance(role, RoleState)
    states = {state.name: state for state in found if isinstance(state, FunctionState)}
    return Deployed(bucket, role, states)


async def read_bucket(clients: Aws, names: Names) -> BucketState | None:
    """Return the bucket, if there is one. Raises NameTakenError or WrongRegionError."""
    if not await _bucket_is_there(clients, names):
        return None
    subject = f"bucket {names.bucket}"

    async def ask(action: str, absent: tuple[str, ...]) -> dict[str, Any]:
        answer = await clients.find("s3", action, subject, absent, Bucket=names.bucket)
        return answer or {}

    tags, rules, encryption, block = await together(
        [
            ask("GetBucketTagging", ("NoSuchTagSet",)),
            ask("GetBucketLifecycleConfiguration", _NO_RULES),
            ask("GetBucketEncryption", _NO_ENCRYPTION),
            ask("GetPublicAccessBlock", _NO_BLOCK),
        ]
    )
    blocks = block.get("PublicAccessBlockConfiguration", {})
    return BucketState(
        names.bucket,
        tags={tag["Key"]: tag["Value"] for tag in tags.get("TagSet", [])},
        rules=tuple(rules.get("Rules", [])),
        encrypted="ServerSideEncryptionConfiguration" in encryption,
        closed=all(blocks.get(name) for name in _BLOCKS),
    )


async def _bucket_is_there(clients: Aws, names: Names) -> bool:
    bucket, account = names.bucket, names.account
    try:
        found = await clients.find(
            "s3", "HeadBucket", f"bucket {bucket}", NO_BUCKET,
            Bucket=bucket, ExpectedBucketOwner=account,
        )  # fmt: skip
    except AccessDeniedError as error:
        raise NameTakenError(
            f"The bucket {bucket} belongs to another account, or you may not look at it. Bucket "
            "names are worldwide: set `bucket` to another name, or ask for s3:ListBucket on it."
        ) from error
    except BackendError as error:
        if error.code != "400":
            raise
        # A HEAD has no body to say it in, and the credentials were good a moment ago.
        raise WrongRegionError(
            f"S3 does not take calls for bucket {bucket} that are signed for {clients.region}: set "
            "`region` to where it is."
        ) from error
    if found is None:
        return False
    region = found.get("BucketRegion")
    if region and region != clients.region:
        raise WrongRegionError(
            f"The bucket {bucket} is in {region}, and the functions are to run in "
            f"{clients.region}: set `region` or `bucket` so that they are in one."
        )
    return True


async def read_role(clients: Aws, names: Names) -> RoleState | None:
    """Return the role with aflint's policies in it, if there is one."""
    subject = f"role {names.role}"
    found = await clients.find("iam", "GetRole", subject, NO_ROLE, RoleName=names.role)
    if found is None:
        return None
    policies = await together(
        clients.find(
            "iam", "GetRolePolicy", f"policy {policy} of {subject}", NO_ROLE,
            RoleName=names.role, PolicyName=policy,
        )
        for policy in (ROLE_POLICY, DATA_POLICY)
    )  # fmt: skip
    role = found["Role"]
    return RoleState(
        names.role,
        str(role["Arn"]),
        trust=role["AssumeRolePolicyDocument"],
        policies={each["PolicyName"]: each["PolicyDocument"] for each in policies if each},
        tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
    )


async def read_function(clients: Aws, name: str) -> FunctionState | None:
    """Return one function, if it is there."""
    found = await clients.find(
        "lambda", "GetFunction", f"function {name}", NO_FUNCTION, FunctionName=name
    )
    return None if found is None else _function(found)


def _function(found: dict[str, Any]) -> FunctionState:
    shown = found["Configuration"]
    image = found.get("Code", {}).get("ImageUri", "")
    variables = dict(shown.get("Environment", {}).get("Variables", {}))
    secret = _secret(variables.pop(SECRET_VARIABLE, ""))
    return FunctionState(
        name=shown["FunctionName"],
        arn=re.sub(r":\$LATEST$", "", shown["FunctionArn"]),
        architecture=next(iter(shown.get("Architectures") or ["x86_64"])),
        code=Code("", image) if image else Code(shown.get("CodeSha256", "")),
        settings=Settings(
            role_arn=shown.get("Role", ""),
            runtime=shown.get("Runtime", ""),
            handler=shown.get("Handler", ""),
            memory_mb=int(shown.get("MemorySize", 0)),
            tmp_mb=int(shown.get("EphemeralStorage", {}).get("Size", 512)),
            timeout_s=int(shown.get("Timeout", 0)),
            variables=variables,
            secret=secret,
        ),
        tags=found.get("Tags", {}),
        concurrency=found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        size=int(shown.get("CodeSize", 0)),
        status=status_of(shown),
        modified=str(shown.get("LastModified", "")),
    )


def _secret(text: str) -> Secret | None:
    """Return a function's secret; None, too, where it is malformed: deploying replaces it."""
    try:
        return Secret.from_text(text)
    except ValueError:
        return None


def status_of(shown: dict[str, Any]) -> str:
    """Return a function's state in a word: `Active`, `Pending`, `Updating`, `Failed`. Pure."""
    state: str = shown.get("State") or "Active"
    update = shown.get("LastUpdateStatus")
    if state in ("Active", "Inactive") and update == "InProgress":
        return "Updating"
    return "Failed" if update == "Failed" else state


async def list_functions(clients: Aws, names: Names) -> list[FunctionState]:
    """Return every function of this deployment, by memory, whatever sizes are configured now."""
    found = []
    async for page in clients.pages("lambda", "ListFunctions", f"functions {names.base}-*"):
        found += [each["FunctionName"] for each in page["Functions"]]
    states = await together(
        read_function(clients, name) for name in found if names.owns_function(name)
    )
    return sorted((each for each in states if each), key=lambda each: each.settings.memory_mb)
