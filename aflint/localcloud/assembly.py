"""The services of one cloud, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from aflint.localcloud.access import Access
from aflint.localcloud.clock import Clock
from aflint.localcloud.counters import Counters
from aflint.localcloud.faults import Dice
from aflint.localcloud.household import Household
from aflint.localcloud.iam.api import Iam
from aflint.localcloud.iam.sts import Sts
from aflint.localcloud.ids import new_id
from aflint.localcloud.lambda_.api import Lambda
from aflint.localcloud.lambda_.code import CodeStore
from aflint.localcloud.lambda_.concurrency import Concurrency
from aflint.localcloud.lambda_.environment import Platform
from aflint.localcloud.lambda_.functions import Functions
from aflint.localcloud.lambda_.invoking import Invoking
from aflint.localcloud.lambda_.memory import MemoryWatch
from aflint.localcloud.lambda_.pool import Pool
from aflint.localcloud.lambda_.runtime_client import link_runtime
from aflint.localcloud.s3.api import S3
from aflint.localcloud.sqs.api import Sqs
from aflint.localcloud.wire import Service


@dataclass(frozen=True)
class Options:
    """What a cloud is made with; see `LocalCloud`."""

    region: str
    account: str
    message_limit_bytes: int
    in_flight_limit: int
    concurrency: int
    unreserved_minimum: int
    idle_seconds: float
    settle_seconds: float
    freeze: bool
    functions: bool


@dataclass(frozen=True)
class Services:
    """The services, and the parts of Lambda whose state is looked at."""

    sqs: Sqs
    s3: S3
    iam: Iam
    sts: Sts
    lambda_: Lambda
    functions: Functions
    pool: Pool

    @property
    def all(self) -> tuple[Service, ...]:
        """Those that answer requests."""
        return (self.sqs, self.s3, self.iam, self.sts, self.lambda_)


def assemble(
    options: Options,
    *,
    clock: Clock,
    dice: Dice,
    counters: Counters,
    access: Access,
    household: Household,
    caller_arn: str,
    spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    variables: Callable[[str], Mapping[str, str]],
) -> Services:
    """Build every service; raises RuntimeClientMissingError when functions are wanted without it.

    `spawn` runs work of the cloud's own, `variables` are what functions of a role find in their
    environment.
    """
    runtime = household.subfolder("runtime")
    if options.functions:
        link_runtime(runtime)
    account, region = options.account, options.region
    sqs = Sqs(
        clock=clock,
        dice=dice,
        counters=counters,
        new_id=new_id,
        account=account,
        region=region,
        message_limit_bytes=options.message_limit_bytes,
        in_flight_limit=options.in_flight_limit,
    )
    s3 = S3(
        clock=clock,
        dice=dice,
        counters=counters,
        new_id=new_id,
        account=account,
        region=region,
        folder=household.subfolder("s3"),
    )
    iam = Iam(clock=clock, new_id=new_id, account=account, is_denied=access.is_denied)
    platform = Platform(
        clock=clock,
        dice=dice,
        counters=counters,
        household=household,
        memory_watch=MemoryWatch(),
        runtime_folder=runtime,
        variables=variables,
        freeze=options.freeze,
    )
    concurrency = Concurrency(options.concurrency, options.unreserved_minimum)
    pool = Pool(
        platform, concurrency, options.idle_seconds, lambda environment: spawn(environment.run())
    )
    functions = Functions(
        clock=clock,
        code=CodeStore(household.subfolder("code")),
        roles=iam.roles,
        buckets=s3.buckets,
        arn_prefix=f"arn:aws:lambda:{region}:{account}:function:",
        settle_seconds=options.settle_seconds,
        on_revision=pool.revise,
    )
    invoking = Invoking(pool, clock, counters, spawn)
    lambda_ = Lambda(functions, concurrency, invoking, clock)
    return Services(sqs, s3, iam, Sts(account, caller_arn), lambda_, functions, pool)
