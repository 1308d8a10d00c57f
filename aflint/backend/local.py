"""The local backend: worker processes, and shuffles in files of this machine."""

from __future__ import annotations

import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from aflint.backend.base import DEFAULT_REGION, Backend, policy_of
from aflint.codec.secret import SECRET_FILE, Secret
from aflint.config import Config
from aflint.invoker.local import LocalInvoker
from aflint.plan.planner import TaskSettings
from aflint.storage.router import open_storage
from aflint.transport import create_transport


async def open_local(config: Config, scratch: Path, stack: AsyncExitStack) -> Backend:
    """Start the workers; the stack takes what must be closed."""
    description = ("file", str(scratch / "shuffle"))
    storage = open_storage()
    stack.push_async_callback(storage.aclose)
    transport = create_transport(description)
    stack.push_async_callback(transport.aclose)
    await storage.delete(str(scratch / "workers"))  # of a driver that was killed
    # In the folder, so that a driver that resumes the run can read what was tagged under it.
    secret = Secret.kept_in(scratch / SECRET_FILE)
    invoker = LocalInvoker(
        config.workers,
        scratch / "workers",
        secret,
        config.worker_stopped_s,
        config.worker_memory_limit_mb,
    )
    # Before the start: workers that are there must end, also where the start is cancelled.
    stack.push_async_callback(invoker.aclose)
    await invoker.start()
    settings = TaskSettings(
        transport=description,
        storage=str(scratch),
        # By the limit, too: what spills, or is dropped, must be so before a worker is killed.
        memory_mb=min(config.worker_memory_mb, config.worker_memory_limit_mb or sys.maxsize),
        fetch_timeout_s=config.fetch_timeout_s,
        logs=config.task_logs,
        keep=config.keep_failed,
        debug=logging.getLogger("aflint").isEnabledFor(logging.DEBUG),
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
        secret=secret,
        region=config.region or DEFAULT_REGION,
    )
