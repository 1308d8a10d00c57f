"""aflint: Spark's programming model on AWS Lambda, by one asyncio process.

import asyncio, aflint

async def main():
    async with aflint.connect() as session:
        lines = session.text_file("trips/*.csv")
        print(await lines.map(len).sum())

asyncio.run(main())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aflint.config import Config as Config
    from aflint.config import load_config as load_config
    from aflint.driver.report import JobReport as JobReport
    from aflint.errors import *  # noqa: F403
    from aflint.executor.context import TaskContext as TaskContext
    from aflint.executor.context import task_context as task_context
    from aflint.executor.group import Group as Group
    from aflint.rdd import RDD as RDD
    from aflint.session import Session as Session
    from aflint.session import connect as connect
    from aflint.session import open as open
    from aflint.statistics import Stats as Stats
    from aflint.variables import Accumulator as Accumulator
    from aflint.variables import Broadcast as Broadcast

__version__ = "0.1.0"

# Names are looked up when they are first used: an executor imports aflint's modules without the
# session, the scheduler and what they need, and its cold start is the shorter for it.
_HOMES = {
    "Accumulator": "variables",
    "Broadcast": "variables",
    "Config": "config",
    "Group": "executor.group",
    "JobReport": "driver.report",
    "RDD": "rdd",
    "Session": "session",
    "Stats": "statistics",
    "TaskContext": "executor.context",
    "connect": "session",
    "load_config": "config",
    "open": "session",
    "task_context": "executor.context",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name, "errors")
    module = import_module(f"aflint.{home}")
    if not name.startswith("_") and hasattr(module, name):
        return getattr(module, name)
    raise AttributeError(f"module 'aflint' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """Add `%%sql` and `%%aflint` to a notebook: what `%load_ext aflint` calls."""
    from aflint.notebook import load

    load(shell)


def __dir__() -> list[str]:
    errors = import_module("aflint.errors")
    return sorted([*globals(), *_HOMES, *(n for n in vars(errors) if n.endswith("Error"))])
