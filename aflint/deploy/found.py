"""What a session needs to know of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aflint.aws.clients import Aws
from aflint.codec.secret import Secret
from aflint.config import Config
from aflint.deploy.names import function_name, memory_sizes, names_of
from aflint.deploy.reading import find_account, read_function
from aflint.deploy.together import together
from aflint.errors import BundleMismatchError, FunctionNotFoundError


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
    names = names_of(config, await find_account(clients), clients.region)
    wanted = [function_name(config.function, size) for size in memory_sizes(config.memory_mb)]
    states = await together([read_function(clients, name) for name in wanted])
    there = [state for state in states if state is not None]
    functions = {state.settings.memory_mb: state.name for state in there}
    if not functions:
        raise FunctionNotFoundError(
            f"There is no function {wanted[0]} in {names.region}, account {names.account}. Run "
            "`aflint deploy` with the same configuration, or set `region`, `function` or "
            "`memory_mb` to what was deployed."
        )
    secrets = {state.settings.secret for state in states if state is not None}
    secret = secrets.pop()
    if secret is None or secrets:
        raise BundleMismatchError(
            f"The functions {', '.join(functions.values())} have no secret in common by which they "
            "know their drivers: they were deployed by another aflint, or not all at once. Run "
            f"`aflint deploy --sizes {len(functions)}`."
        )
    timeout_s = max(state.settings.timeout_s for state in there)
    return Found(names.region, names.bucket, functions, secret, timeout_s)
