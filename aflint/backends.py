"""The parts that a backend is made of, put together from a configuration."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aflint.config import Config
from aflint.errors import ConfigError
from aflint.invoker.base import Invoker
from aflint.invoker.local import LocalInvoker
from aflint.plan import TaskSettings
from aflint.scheduler.policy import Policy
from aflint.storage.base import Storage
from aflint.storage.router import open_storage
from aflint.transport import create_transport
from aflint.transport.base import Transport


@dataclass(frozen=True, slots=True)
class Backend:
    """What a session runs on. `estimated`: its costs are what Lambda's would be."""

    invoker: Invoker
    transport: Transport
    storage: Storage
    policy: Policy
    settings: TaskSettings
    folder: str
    parallelism: int
    estimated: bool


async def open_backend(
    config: Config, scratch: Path, session: str, stack: AsyncExitStack
) -> Backend:
    """Start a backend; the stack takes what must be closed."""
    if config.backend != "local":
        raise ConfigError(f"backend = {config.backend!r} is not built yet; use 'local'")
    return await _open_local(config, scratch, stack)


async def _open_local(config: Config, scratch: Path, stack: AsyncExitStack) -> Backend:
    description = ("file", str(scratch / "shuffle"))
    storage = open_storage()
    stack.push_async_callback(storage.aclose)
    transport = create_transport(description)
    stack.push_async_callback(transport.aclose)
    invoker = LocalInvoker(config.workers, scratch / "workers")
    stack.push_async_callback(invoker.aclose)
    await invoker.start()
    settings = TaskSettings(
        transport=description,
        storage=str(scratch),
        memory_mb=config.worker_memory_mb,
        fetch_timeout_s=config.fetch_timeout_s,
        logs=config.task_logs,
    )
    return Backend(
        invoker=invoker,
        transport=transport,
        storage=storage,
        policy=policy_of(config, transport),
        settings=settings,
        folder=str(scratch),
        parallelism=config.workers,
        estimated=True,
    )


def policy_of(config: Config, transport: Transport) -> Policy:
    """Return the scheduler's policy by a configuration."""
    return Policy(
        max_attempts=config.max_attempts,
        retry_user_errors=config.retry_user_errors,
        rereadable=transport.traits.rereadable,
        deadline_s=config.deadline_s,
        speculation=config.speculation,
        speculation_quantile=config.speculation_quantile,
        speculation_multiplier=config.speculation_multiplier,
    )
