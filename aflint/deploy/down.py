"""Takes a deployment down: functions, role, log groups, and the bucket if aflint made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aflint.aws.clients import Aws
from aflint.config import Config
from aflint.deploy.clients import open_clients
from aflint.deploy.leftovers import find_leftovers, remove, remove_objects
from aflint.deploy.names import OWNER_TAG, Names, names_of
from aflint.deploy.plan import RULE_START
from aflint.deploy.reading import (
    NO_BUCKET,
    NO_FUNCTION,
    NO_ROLE,
    find_account,
    list_functions,
    read_bucket,
    read_role,
)
from aflint.deploy.state import BucketState, RoleState
from aflint.deploy.together import together

OnRemoved = Callable[[str], object]


@dataclass(frozen=True)
class Remains:
    """What of a deployment is there and is aflint's to remove. `bucket` is emptied in any case and
    itself removed only where `owns_bucket`; `foreign` was left alone because aflint did not make
    it.
    """

    names: Names
    functions: tuple[str, ...]
    role: RoleState | None
    bucket: BucketState | None
    owns_bucket: bool
    queues: tuple[str, ...]
    objects: int
    foreign: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is anything to remove."""
        ruled = self.bucket is not None and any(map(_is_ours, self.bucket.rules))
        return bool(
            self.functions or self.role or self.owns_bucket or self.queues or self.objects or ruled
        )

    def lines(self) -> list[str]:
        """Return what is to be removed, a line each, for people."""
        lines = [f"function {name}" for name in self.functions]
        if self.role:
            lines.append(f"role {self.role.name} with its policies")
        if self.queues:
            lines.append(f"{len(self.queues)} queues {self.names.queues}*")
        if self.owns_bucket:
            lines.append(f"bucket {self.names.bucket} with all that is in it")
        elif self.bucket and self.objects:
            lines.append(f"the objects s3://{self.names.bucket}/{self.names.prefix}/*")
        return lines


async def find_remains(config: Config) -> Remains:
    """Return what `destroy` would remove. Raises BackendError, ConfigError or DeployError."""
    async with open_clients(config) as clients:
        return await _find(clients, config)


async def destroy(
    config: Config, *, logs: bool = False, on_removed: OnRemoved = lambda label: None
) -> Remains:
    """Remove a deployment and what jobs left in its bucket and queues; return what was there.

    A second call finds nothing and does nothing. A bucket that aflint did not make keeps all but
    aflint's own objects and rule. With `logs`, the functions' log groups go as well.

    Raises:
        BackendError: AWS refused; what was removed until then is gone, and a further call goes on.
    """
    async with open_clients(config) as clients:
        remains = await _find(clients, config)
        await _remove(clients, remains, logs, on_removed)
        return remains


async def _find(clients: Aws, config: Config) -> Remains:
    names = names_of(config, await find_account(clients), clients.region)
    functions = await list_functions(clients, names)
    role = await read_role(clients, names)
    bucket = await read_bucket(clients, names)
    leftovers = await find_leftovers(clients, names)
    ours = [each for each in functions if _owned(each.tags, names)]
    foreign = [f"function {each.name}" for each in functions if not _owned(each.tags, names)]
    if role and not _owned(role.tags, names):
        foreign.append(f"role {role.name}")
        role = None
    owns_bucket = bucket is not None and _owned(bucket.tags, names)
    if bucket and not owns_bucket:
        foreign.append(f"bucket {bucket.name}")
    return Remains(
        names,
        functions=tuple(each.name for each in ours),
        role=role,
        bucket=bucket,
        owns_bucket=owns_bucket,
        queues=tuple(each.name for each in leftovers if each.kind == "queue"),
        objects=sum(each.count for each in leftovers if each.kind != "queue"),
        foreign=tuple(foreign),
    )


def _owned(tags: Mapping[str, str], names: Names) -> bool:
    return tags.get(OWNER_TAG) == names.base


async def _remove(clients: Aws, remains: Remains, logs: bool, on_removed: OnRemoved) -> None:
    names = remains.names

    async def function(name: str) -> None:
        await clients.find(
            "lambda", "DeleteFunction", f"function {name}", NO_FUNCTION, FunctionName=name
        )
        on_removed(f"function {name}")
        if logs:
            group = names.log_group(name)
            await clients.find(
                "logs", "DeleteLogGroup", f"log group {group}", NO_FUNCTION, logGroupName=group
            )
            on_removed(f"log group {group}")

    await together(function(name) for name in remains.functions)
    if remains.role:
        await _remove_role(clients, remains.role.name)
        on_removed(f"role {remains.role.name}")
    await together(
        remove(clients, names, each)
        for each in await find_leftovers(clients, names)
        if each.kind != "objects"
    )
    if remains.queues:
        on_removed(f"{len(remains.queues)} queues {names.queues}*")
    if remains.bucket:
        await _remove_bucket(clients, remains, remains.bucket, on_removed)


async def _remove_role(clients: Aws, role: str) -> None:
    subject = f"role {role}"
    shown = await clients.find("iam", "ListRolePolicies", subject, NO_ROLE, RoleName=role) or {}
    for policy in shown.get("PolicyNames", []):
        await clients.find(
            "iam", "DeleteRolePolicy", subject, NO_ROLE, RoleName=role, PolicyName=policy
        )
    attached = await clients.find(
        "iam", "ListAttachedRolePolicies", subject, NO_ROLE, RoleName=role
    ) or {}  # fmt: skip
    for policy in attached.get("AttachedPolicies", []):
        await clients.find(
            "iam", "DetachRolePolicy", subject, NO_ROLE,
            RoleName=role, PolicyArn=policy["PolicyArn"],
        )  # fmt: skip
    await clients.find("iam", "DeleteRole", subject, NO_ROLE, RoleName=role)


async def _remove_bucket(
    clients: Aws, remains: Remains, bucket: BucketState, on_removed: OnRemoved
) -> None:
    name = bucket.name
    if remains.owns_bucket:
        await remove_objects(clients, name, "")
        await clients.find("s3", "DeleteBucket", f"bucket {name}", NO_BUCKET, Bucket=name)
        on_removed(f"bucket {name}")
        return
    await remove_objects(clients, name, f"{remains.names.prefix}/")
    others = [rule for rule in bucket.rules if not _is_ours(rule)]
    if len(others) == len(bucket.rules):
        return
    if others:
        await clients.call(
            "s3", "PutBucketLifecycleConfiguration", f"bucket {name}",
            Bucket=name, LifecycleConfiguration={"Rules": others},
        )  # fmt: skip
    else:
        await clients.call("s3", "DeleteBucketLifecycle", f"bucket {name}", Bucket=name)
    on_removed(f"aflint's rule and objects in bucket {name}")


def _is_ours(rule: Mapping[str, object]) -> bool:
    return str(rule.get("ID", "")).startswith(RULE_START)
