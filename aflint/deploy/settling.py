"""Waiting for what AWS brings about in its own time: roles that spread, functions that settle.

Neither is announced, so both are asked for again, after pauses that grow, for a bounded time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from aflint.aws.clients import Answer, Aws
from aflint.deploy.errors import FunctionFailedError
from aflint.deploy.reading import status_of
from aflint.errors import BackendError

Sleep = Callable[[float], Awaitable[object]]

ROLE_WAIT_S: Final = 60.0
"""A new role is usable after some 10 s (IAM's user guide: changes are not always visible)."""
FUNCTION_WAIT_S: Final = 300.0
_FIRST_S: Final = 0.25
_MOST_S: Final = 5.0
_SETTLED: Final = ("Active", "Inactive")


class Waiting:
    """Pauses between two looks, in seconds; `sleep` is handed in so that tests need not wait."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep

    async def for_function(self, clients: Aws, name: str) -> None:
        """Return when a function is ready to be invoked and to be changed.

        Raises:
            FunctionFailedError: Lambda gave up on it, or it was not ready in time; says why.
        """
        shown: Answer = {}
        for pause in pauses(FUNCTION_WAIT_S):
            shown = await clients.call(
                "lambda", "GetFunctionConfiguration", f"function {name}", FunctionName=name
            )
            status = status_of(shown)
            if status in _SETTLED:
                return
            if status == "Failed":
                break
            await self._sleep(pause)
        reason = (
            shown.get("StateReason") or shown.get("LastUpdateStatusReason") or "no reason given"
        )
        raise FunctionFailedError(
            f"Function {name} is {status_of(shown)} and not ready to run: {reason}. Deploy again; "
            "if that does not help, aflint destroy and deploy."
        )

    async def for_role(self, create: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what `create` returns, called again while the role it names is too new to be used.

        Raises what `create` raises, once a minute has gone by.
        """
        for pause in pauses(ROLE_WAIT_S):
            try:
                return await create()
            except BackendError as error:
                if not is_role_too_new(error):
                    raise
            await self._sleep(pause)
        return await create()


def is_role_too_new(error: BackendError) -> bool:
    """Whether Lambda refused a role that may not have spread yet. Lambda has one code for all that
    can be wrong with a parameter, so its words have to decide.
    """
    return error.code == "InvalidParameterValueException" and "cannot be assumed" in str(error)


def pauses(total_s: float) -> Iterator[float]:
    """Yield growing pauses until together they reach `total_s`. Pure."""
    pause, spent = _FIRST_S, 0.0
    while spent < total_s:
        yield pause
        spent += pause
        pause = min(_MOST_S, pause * 1.5)
