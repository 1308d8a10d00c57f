"""Brings a deployment up, or up to date."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aflint.aws import endpoints
from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.codec.secret import Secret
from aflint.config import Config
from aflint.deploy.bundle import Bundle, build_bundle
from aflint.deploy.clients import open_clients
from aflint.deploy.functions import Code, secret_of
from aflint.deploy.names import Names, function_name, memory_sizes
from aflint.deploy.options import DeployOptions
from aflint.deploy.plan import Parts, find_names, plan, read_parts, wanted_parts
from aflint.deploy.requirements import requirements_of
from aflint.deploy.steps import OnStep, Sleep, Step, Steps, Upload
from aflint.deploy.target import Target, host_target, lambda_target


@dataclass(frozen=True)
class Deployment:
    """What is deployed. `functions` maps memory sizes in MB to names, smallest first; `steps` are
    those that were taken to get there, none where nothing had to change. `secret` is what its
    functions know their drivers by.
    """

    account: str
    region: str
    bucket: str
    role_arn: str
    functions: dict[int, str]
    python: str
    bundle: Bundle | None
    steps: tuple[Step, ...]
    secret: Secret


async def deploy(
    config: Config,
    options: DeployOptions | None = None,
    *,
    dry_run: bool = False,
    on_step: OnStep = lambda step: None,
    sleep: Sleep = asyncio.sleep,
    credentials: Credentials | None = None,
) -> Deployment:
    """Make what is missing and change what differs; a second call changes nothing.

    The bundle comes from the user's cache where it was built before. `on_step` is called with each
    step when it is done; with `dry_run` the steps are only decided. `credentials` go before those
    that AWS's settings name. Where a step fails, those before it stay done, and deploying again
    goes on from there.

    Raises:
        CredentialsError, AccessDeniedError, EndpointUnreachableError, WrongRegionError and other
            BackendErrors: what AWS refused.
        DeployError: the bundle cannot be built (BundleError), Lambda does not run this Python
            (UnsupportedRuntimeError), a name is taken (NameTakenError), a function does not start.
        ConfigError: no region is known, or `function` is no plain name.
    """
    options = options or DeployOptions()
    target = target_of(config, options)
    theirs = ("aiobotocore",) if config.client == "aiobotocore" else ()
    requirements = requirements_of((*theirs, *options.packages), options.requirements)
    async with open_clients(config, credentials) as clients:
        names = await find_names(clients, config)
        bundle = None
        if not options.image_uri:
            bundle = await build_bundle(
                target, requirements, cache=options.cache, refresh=options.refresh
            )
        return await _bring(
            clients, names, config, options, target, bundle, dry_run, on_step, sleep
        )


def target_of(config: Config, options: DeployOptions) -> Target:
    """Return what the bundle is built for: Lambda, or this machine where it is emulated.

    Raises UnsupportedRuntimeError.
    """
    # An emulator runs the code on this machine, whose system Lambda's wheels may not fit.
    if options.architecture is None and (
        config.backend == "localcloud" or is_loopback(config.endpoint_url, os.environ)
    ):
        return host_target()
    return lambda_target(options.architecture or "x86_64")


def is_loopback(endpoint_url: str | None, environ: Mapping[str, str]) -> bool:
    """Whether Lambda is emulated on this machine. Pure."""
    named = (environ.get("AWS_ENDPOINT_URL_LAMBDA"), environ.get("AWS_ENDPOINT_URL"))
    url = endpoint_url or next(filter(None, named), None)
    return url is not None and endpoints.is_loopback(url)


async def _bring(
    clients: Aws,
    names: Names,
    config: Config,
    options: DeployOptions,
    target: Target,
    bundle: Bundle | None,
    dry_run: bool,
    on_step: OnStep,
    sleep: Sleep,
) -> Deployment:
    code = Code(image_uri=options.image_uri or "") if bundle is None else Code(bundle.sha256)
    sizes = memory_sizes(config.smallest_memory_mb, options.sizes)
    functions = {size: function_name(names.base, size) for size in sizes}

    def steps_from(there: Parts, secret: Secret) -> list[Step]:
        return plan(wanted_parts(config, options, names, target, code, secret), there, names)

    there = await read_parts(clients, names, functions.values())
    # The secret stays as long as it can: open sessions know it.
    kept = None if options.rotate_secret else secret_of(there.functions.values())
    secret = kept or Secret.fresh()
    steps = steps_from(there, secret)
    if not dry_run:
        async with AsyncExitStack() as stack:
            upload = None
            if bundle is not None:
                upload = await stack.enter_async_context(Upload(clients, names, bundle))
            taker = Steps(clients, upload, sleep)
            await taker.take(steps, on_step)
            if kept is None:
                # Another deployment at the same time has made a secret, too: that of the smallest
                # function becomes the secret of all.
                there = await read_parts(clients, names, functions.values())
                secret = secret_of(there.functions.values()) or secret
                again = steps_from(there, secret)
                await taker.take(again, on_step)
                steps += again
    return Deployment(
        account=names.account,
        region=names.region,
        bucket=names.bucket,
        role_arn=options.role_arn or names.role_arn,
        functions=functions,
        python=target.python,
        bundle=bundle,
        steps=tuple(steps),
        secret=secret,
    )
