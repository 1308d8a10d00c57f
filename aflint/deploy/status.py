"""What is deployed: for people, with what jobs have in the cloud, and for a session that opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aflint.aws.clients import Aws
from aflint.codec.secret import Secret
from aflint.config import Config
from aflint.deploy.bucket import BucketState, read_bucket
from aflint.deploy.clients import open_clients
from aflint.deploy.functions import FunctionState, list_functions, read_functions
from aflint.deploy.leftovers import Leftover, find_leftovers
from aflint.deploy.names import OWNER_TAG, PYTHON_TAG, VERSION_TAG, function_name, memory_sizes
from aflint.deploy.plan import find_names
from aflint.deploy.role import RoleState, read_role
from aflint.errors import BundleMismatchError, FunctionNotFoundError


@dataclass(frozen=True)
class Status:
    """A deployment as it is; None and empty where something is not there."""

    account: str
    region: str
    bucket_name: str
    bucket: BucketState | None
    role_name: str
    role: RoleState | None
    functions: tuple[FunctionState, ...]
    leftovers: tuple[Leftover, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "account": self.account,
            "region": self.region,
            "bucket": self._bucket(),
            "role": None if self.role is None else {"name": self.role.name, "arn": self.role.arn},
            "functions": [function_dict(each) for each in self.functions],
            "leftovers": [
                {
                    "kind": each.kind, "name": each.label, "since": each.since,
                    "count": each.count, "size": each.size,
                }
                for each in self.leftovers
            ],
        }  # fmt: skip

    def _bucket(self) -> dict[str, Any] | None:
        if self.bucket is None:
            return None
        return {
            "name": self.bucket.name,
            "made_by_aflint": OWNER_TAG in self.bucket.tags,
            "encrypted": self.bucket.encrypted,
            "public_access_blocked": self.bucket.closed,
            "expire_days": self.bucket.expire_days,
        }


def function_dict(function: FunctionState) -> dict[str, Any]:
    """Return a function as JSON can hold it."""
    return {
        "name": function.name,
        "arn": function.arn,
        "state": function.status,
        "memory_mb": function.settings.memory_mb,
        "tmp_mb": function.settings.tmp_mb,
        "timeout_s": function.settings.timeout_s,
        "runtime": function.settings.runtime or "image",
        "architecture": function.architecture,
        "aflint": function.tags.get(VERSION_TAG),
        "python": function.tags.get(PYTHON_TAG),
        "code_sha256": function.code.sha256 or function.code.image_uri,
        "code_size": function.size,
        "reserved_concurrency": function.concurrency,
        "modified": function.modified,
    }


async def read_status(config: Config) -> Status:
    """Return what is there. Raises BackendError, ConfigError or NameTakenError."""
    async with open_clients(config) as clients:
        names = await find_names(clients, config)
        return Status(
            account=names.account,
            region=names.region,
            bucket_name=names.bucket,
            bucket=await read_bucket(clients, names),
            role_name=names.role,
            role=await read_role(clients, names),
            functions=tuple(await list_functions(clients, names)),
            leftovers=tuple(await find_leftovers(clients, names)),
        )


@dataclass(frozen=True)
class Found:
    """Where a deployment is.

    `functions`: names by memory in MB, all of which have `secret`; `timeout_s`: their time limit.
    """

    region: str
    bucket: str
    functions: Mapping[int, str]
    secret: Secret
    timeout_s: int


async def find_deployment(config: Config, clients: Aws) -> Found:
    """Return the deployment that a configuration names.

    Raises FunctionNotFoundError where there is none, BundleMismatchError where its functions have
    no secret in common, and CredentialsError, AccessDeniedError, WrongRegionError or
    EndpointUnreachableError as its calls meet them.
    """
    names = await find_names(clients, config)
    wanted = [
        function_name(config.function, size) for size in memory_sizes(config.smallest_memory_mb)
    ]
    there = await read_functions(clients, wanted)
    functions = {state.settings.memory_mb: state.name for state in there}
    if not functions:
        raise FunctionNotFoundError(
            f"There is no function {wanted[0]} in {names.region}, account {names.account}. Run "
            "`aflint deploy` with the same configuration, or set `region`, `function` or "
            "`memory_mb` to what was deployed."
        )
    # A task may go to any of the sizes, sealed with one secret.
    secrets = {state.settings.secret for state in there}
    secret = secrets.pop()
    if secret is None or secrets:
        raise BundleMismatchError(
            f"The functions {', '.join(functions.values())} have no secret in common by which they "
            "know their drivers: they were deployed by another aflint, or not all at once. Run "
            f"`aflint deploy --sizes {len(functions)}`."
        )
    # How long a task of a dead driver may run on, at most.
    timeout_s = max(state.settings.timeout_s for state in there)
    return Found(names.region, names.bucket, functions, secret, timeout_s)
