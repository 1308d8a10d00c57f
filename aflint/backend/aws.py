"""The aws backend: Lambda functions, and shuffles through SQS and S3."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

from aflint import limits
from aflint.aws.clients import Aws
from aflint.aws.envelope import MOST_RESPONSE
from aflint.backend.base import Backend, policy_of
from aflint.config import Config
from aflint.cost import Usage
from aflint.deploy.clients import open_clients
from aflint.deploy.names import history_prefix
from aflint.deploy.status import Found, find_deployment
from aflint.invoker.lambda_ import PATIENCE_S, LambdaInvoker
from aflint.plan.planner import TaskSettings
from aflint.storage.local import LocalStorage
from aflint.storage.router import RoutedStorage
from aflint.storage.s3 import S3Storage
from aflint.transport.hybrid import HybridTransport
from aflint.transport.s3 import S3Transport
from aflint.transport.sqs import VISIBILITY_S, SqsTransport

_RESULT_SLACK = 512 * 1024
"""Of a response, what is left for the rest of a TaskResult beside its value."""

_DEFAULT_PARALLELISM = 64


async def open_aws(config: Config, session: str, stack: AsyncExitStack) -> Backend:
    """Find what is deployed and check that it can be used."""
    aws = await stack.enter_async_context(open_clients(config))
    found = await find_deployment(config, aws)
    return await assemble(config, session, found, aws, config.concurrency, stack)


async def assemble(
    config: Config,
    session: str,
    found: Found,
    aws: Aws,
    concurrency: int,
    stack: AsyncExitStack,
) -> Backend:
    """Put the parts together over one deployment; the stack takes what must be closed."""
    endpoints = await aws.resolve(config.client)
    # On an emulator of this machine functions see its files; on AWS a local path is refused.
    storage = _storage(aws, here=await aws.runs_here())
    stack.push_async_callback(storage.aclose)
    transport = transport_of(config, aws, found.bucket)
    invoker = LambdaInvoker(
        aws,
        found.functions,
        storage,
        found.secret,
        concurrency,
        found.timeout_s + PATIENCE_S,
        endpoints,
    )
    folder = f"s3://{found.bucket}/{config.prefix}/jobs/{session}"
    await invoker.start()
    settings = TaskSettings(
        transport=transport.config,
        aws=endpoints,
        storage=folder,
        # A task that is killed for its memory is sent to the next larger function.
        memory_mb=min(found.functions),
        max_result_bytes=MOST_RESPONSE - _RESULT_SLACK,
        fetch_timeout_s=config.fetch_timeout_s,
        logs=config.task_logs,
        keep=config.keep_failed,
        debug=logging.getLogger("aflint").isEnabledFor(logging.DEBUG),
    )
    sizes = tuple(sorted(found.functions))

    def asked() -> Usage:
        counts = transport.counts + storage.counts
        return Usage(
            gb_seconds=invoker.held_gb_seconds,
            lambda_requests=invoker.held,
            sqs_requests=counts.sqs_requests,
            s3_put=counts.s3_puts,
            s3_get=counts.s3_gets,
        )

    return Backend(
        invoker=invoker,
        transport=transport,
        storage=storage,
        policy=policy_of(config, transport, sizes, limits.LAMBDA_RAMP_ENVIRONMENTS),
        settings=settings,
        folder=folder,
        parallelism=min(concurrency, _DEFAULT_PARALLELISM),
        estimated=False,
        secret=found.secret,
        asked=asked,
        memory_sizes_mb=sizes,
        region=aws.region,
        history=f"s3://{found.bucket}/{history_prefix(config.prefix)}",
        runs_on_s=found.timeout_s,
    )


def transport_of(
    config: Config, aws: Aws, bucket: str
) -> SqsTransport | S3Transport | HybridTransport:
    """Return the transport that a configuration asks for."""
    limit = config.message_limit_kib * limits.KIB
    # What a lost reader has received must be there again before its successor gives up waiting.
    visibility_s = max(1, min(VISIBILITY_S, int(config.fetch_timeout_s * 0.75)))
    match config.effective_transport:
        case "sqs":
            return SqsTransport(aws, config.prefix, limit, visibility_s)
        case "s3":
            return S3Transport(aws, bucket, config.prefix)
        case _:
            return HybridTransport(aws, bucket, config.prefix, limit, visibility_s)


def _storage(aws: Aws, *, here: bool) -> RoutedStorage:
    """Return storage for s3:// paths; for local ones, too, where functions run on this machine."""
    factories = {"s3": lambda: S3Storage(aws)}
    if here:
        return RoutedStorage({"": LocalStorage, **factories})
    return RoutedStorage({**factories})
