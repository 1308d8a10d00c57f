"""Several calls at once, with one error out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(calls: Iterable[Coroutine[Any, Any, T]], width: int = 16) -> list[T]:
    """Return the results of all calls in order, at most `width` of them under way at once.

    Raises the first error; the calls that it leaves behind are cancelled before that.
    """
    free = asyncio.Semaphore(width)

    async def one(call: Coroutine[Any, Any, T]) -> T:
        async with free:
            return await call

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in calls]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed.exceptions[0].__cause__
    return [task.result() for task in tasks]
