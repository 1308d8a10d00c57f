"""Backends, put together from a configuration. Only the one that is asked for is imported."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from aflint.backend.base import Backend
from aflint.config import Config

__all__ = ["Backend", "open_backend"]


async def open_backend(
    config: Config, scratch: Path, session: str, stack: AsyncExitStack
) -> Backend:
    """Start the backend that a configuration asks for; the stack takes what must be closed."""
    if config.backend == "local":
        from aflint.backend.local import open_local

        return await open_local(config, scratch, stack)
    if config.backend == "localcloud":
        from aflint.backend.localcloud import open_localcloud

        return await open_localcloud(config, session, stack)
    from aflint.backend.aws import open_aws

    return await open_aws(config, session, stack)
