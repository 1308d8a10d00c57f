"""What a configuration and its options ask for, as the state that is to be reached. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aflint import __version__
from aflint.codec.secret import Secret
from aflint.config import Config
from aflint.deploy.names import (
    BUCKET_TAG,
    OWNER_TAG,
    PYTHON_TAG,
    VERSION_TAG,
    Names,
    function_name,
    memory_sizes,
)
from aflint.deploy.options import DeployOptions
from aflint.deploy.plan import lifecycle_rule
from aflint.deploy.policies import TRUST, data_policy, function_policy
from aflint.deploy.state import (
    DATA_POLICY,
    HANDLER,
    ROLE_POLICY,
    BucketState,
    Code,
    Deployed,
    FunctionState,
    RoleState,
    Settings,
)
from aflint.deploy.target import Target

TMP_VARIABLE: Final = "AFLINT__TMP_MB"
"""How `aflint.executor.handler` is told the size of /tmp."""

VARIABLES: Final[Mapping[str, str]] = {"PYTHONHASHSEED": "0"}
"""So that what depends on the order of a set is the same in every function."""


def wanted_of(
    config: Config,
    options: DeployOptions,
    names: Names,
    target: Target,
    code: Code,
    secret: Secret,
) -> Deployed:
    """Return the state to reach: `secret` is that of all functions.

    Raises:
        InvalidArgumentError: a prefix to be read or written is no s3:// address.
    """
    return Deployed(
        bucket=BucketState(
            names.bucket,
            tags={OWNER_TAG: names.base},
            rules=(lifecycle_rule(names.prefix, options.expire_days),),
            encrypted=True,
            closed=True,
        ),
        role=None if options.role_arn else _role(options, names),
        functions={
            function.name: function
            for memory in memory_sizes(config.memory_mb, options.sizes)
            for function in [_function(config, options, names, target, code, memory, secret)]
        },
    )


def _role(options: DeployOptions, names: Names) -> RoleState:
    policies = {ROLE_POLICY: function_policy(names)}
    if options.reads or options.writes:
        policies[DATA_POLICY] = data_policy(names.region, options.reads, options.writes)
    return RoleState(
        names.role, names.role_arn, trust=TRUST, policies=policies, tags={OWNER_TAG: names.base}
    )


def _function(
    config: Config,
    options: DeployOptions,
    names: Names,
    target: Target,
    code: Code,
    memory_mb: int,
    secret: Secret,
) -> FunctionState:
    zipped = not code.image_uri
    smallest = memory_mb == config.memory_mb
    return FunctionState(
        name=function_name(names.base, memory_mb),
        architecture=target.architecture,
        code=code,
        settings=Settings(
            role_arn=options.role_arn or names.role_arn,
            runtime=target.runtime if zipped else "",
            handler=HANDLER if zipped else "",
            memory_mb=memory_mb,
            tmp_mb=options.tmp_mb,
            timeout_s=options.timeout_s,
            variables={**VARIABLES, TMP_VARIABLE: str(options.tmp_mb)},
            secret=secret,
        ),
        tags={
            OWNER_TAG: names.base,
            VERSION_TAG: __version__,
            PYTHON_TAG: target.python,
            BUCKET_TAG: names.bucket,
        },
        concurrency=options.reserved_concurrency if smallest else None,
    )
