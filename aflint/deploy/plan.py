"""The parts of a deployment: what is wanted of each, what is there, and the one list of steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aflint.aio import first_error
from aflint.aws.clients import Aws
from aflint.codec.secret import Secret
from aflint.config import Config
from aflint.deploy.bucket import BucketState, bucket_steps, read_bucket, wanted_bucket
from aflint.deploy.functions import (
    Code,
    FunctionState,
    function_steps,
    read_functions,
    wanted_functions,
)
from aflint.deploy.names import Names, names_of
from aflint.deploy.options import DeployOptions
from aflint.deploy.role import RoleState, read_role, role_steps, wanted_role
from aflint.deploy.steps import Step
from aflint.deploy.target import Target


@dataclass(frozen=True)
class Parts:
    """The parts of a deployment, wanted or there. A wanted `role` None: an admin makes it."""

    bucket: BucketState | None = None
    role: RoleState | None = None
    functions: Mapping[str, FunctionState] = field(default_factory=dict)


def wanted_parts(
    config: Config,
    options: DeployOptions,
    names: Names,
    target: Target,
    code: Code,
    secret: Secret,
) -> Parts:
    """Return what a configuration and its options ask for. Pure.

    Raises:
        InvalidArgumentError: a prefix to be read or written is no s3:// address.
    """
    functions = wanted_functions(config, options, names, target, code, secret)
    by_name = {each.name: each for each in functions}
    return Parts(wanted_bucket(options, names), wanted_role(options, names), by_name)


async def read_parts(clients: Aws, names: Names, functions: Iterable[str]) -> Parts:
    """Return the bucket, the role and those of `functions` that are there.

    Raises:
        NameTakenError: the bucket belongs to another account.
        WrongRegionError: the bucket is in another region.
    """
    # Each asks AWS several times: side by side, that takes a third of the time.
    with first_error():
        async with asyncio.TaskGroup() as group:
            bucket = group.create_task(read_bucket(clients, names))
            role = group.create_task(read_role(clients, names))
            states = group.create_task(read_functions(clients, functions))
    return Parts(bucket.result(), role.result(), {each.name: each for each in states.result()})


def plan(wanted: Parts, there: Parts, names: Names) -> list[Step]:
    """Return the steps from what is there to what is wanted, in order; none where they agree. Pure.

    Raises:
        NameTakenError: a role or function of a wanted name is there and is not aflint's.
    """
    # The order of what needs what: functions name the role, and their code lies in the bucket.
    steps: list[Step] = []
    if wanted.bucket is not None:
        steps += bucket_steps(wanted.bucket, there.bucket, names)
    if wanted.role is not None:
        steps += role_steps(wanted.role, there.role, names)
    for name, function in wanted.functions.items():
        steps += function_steps(function, there.functions.get(name), names)
    return steps


async def find_names(clients: Aws, config: Config) -> Names:
    """Return the names of a deployment in the account that the credentials are of.

    Raises:
        CredentialsError: there are no valid credentials.
        ConfigError: `function` is no plain name.
    """
    caller = await clients.call("sts", "GetCallerIdentity", "your credentials")
    return names_of(config, str(caller["Account"]), clients.region)
