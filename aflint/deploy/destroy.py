"""Takes a deployment down: functions, role, log groups, and the bucket if aflint made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.config import Config
from aflint.deploy.bucket import BucketState, read_bucket, remove_bucket
from aflint.deploy.clients import open_clients
from aflint.deploy.functions import list_functions, remove_function, remove_logs
from aflint.deploy.leftovers import find_leftovers, remove
from aflint.deploy.names import Names
from aflint.deploy.plan import find_names
from aflint.deploy.role import RoleState, read_role, remove_role

OnRemoved = Callable[[str], object]


@dataclass(frozen=True)
class Remains:
    """What of a deployment is there, and is aflint's to remove.

    aflint's objects in `bucket` are removed in any case, the bucket itself only if `owns_bucket`.
    `foreign` is left alone, because aflint did not make it.
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
        ruled = self.bucket is not None and self.bucket.has_our_rule
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
    names = await find_names(clients, config)
    functions = await list_functions(clients, names)
    role = await read_role(clients, names)
    bucket = await read_bucket(clients, names)
    leftovers = await find_leftovers(clients, names)
    foreign = [f"function {each.name}" for each in functions if not names.owns(each.tags)]
    if role and not names.owns(role.tags):
        # Noted, and from here on as if it were not there.
        foreign.append(f"role {role.name}")
        role = None
    owns_bucket = bucket is not None and names.owns(bucket.tags)
    if bucket and not owns_bucket:
        foreign.append(f"bucket {bucket.name}")
    return Remains(
        names,
        functions=tuple(each.name for each in functions if names.owns(each.tags)),
        role=role,
        bucket=bucket,
        owns_bucket=owns_bucket,
        queues=tuple(each.name for each in leftovers if each.kind == "queue"),
        objects=sum(each.count for each in leftovers if each.kind != "queue"),
        foreign=tuple(foreign),
    )


async def _remove(clients: Aws, remains: Remains, logs: bool, on_removed: OnRemoved) -> None:
    names = remains.names

    async def function(name: str) -> None:
        await remove_function(clients, name)
        on_removed(f"function {name}")
        if logs:
            group = names.log_group(name)
            await remove_logs(clients, group)
            on_removed(f"log group {group}")

    # Functions first: while they run, they make queues and objects. Then the role that they need.
    await together(function(name) for name in remains.functions)
    if remains.role:
        await remove_role(clients, remains.role.name)
        on_removed(f"role {remains.role.name}")
    await together(
        remove(clients, names, each)
        for each in await find_leftovers(clients, names)
        if each.kind != "objects"  # these go with the bucket
    )
    if remains.queues:
        on_removed(f"{len(remains.queues)} queues {names.queues}*")
    if remains.bucket and (label := await remove_bucket(clients, remains.bucket, names)):
        on_removed(label)
