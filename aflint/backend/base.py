"""What a session runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aflint.codec.secret import Secret
from aflint.config import Config
from aflint.cost import US_EAST_1, Usage
from aflint.invoker.base import Invoker
from aflint.plan.adaptive import Skew
from aflint.plan.planner import TaskSettings
from aflint.scheduler.policy import Policy
from aflint.storage.base import Storage
from aflint.transport.base import Transport

if TYPE_CHECKING:
    from aflint.localcloud import LocalCloud


DEFAULT_REGION: Final = US_EAST_1.region

_SLOTS_FOR_SHARES: Final = 4
"""On two workers a job of one skewed partition took a quarter longer with shares than without."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of a backend, started.

    `folder`: where in storage the session keeps its things. `parallelism`: partitions of an RDD for
    which none are asked. `estimated`: costs are not billed, but are what Lambda's would be.
    `secret`: what keys are derived from; the executors know it, too.
    """

    invoker: Invoker
    transport: Transport
    storage: Storage
    policy: Policy
    settings: TaskSettings
    folder: str
    parallelism: int
    estimated: bool
    secret: Secret
    localcloud: LocalCloud | None = None
    asked: Callable[[], Usage] = Usage
    """What the driver itself, beside its tasks, has asked of AWS so far."""
    memory_sizes_mb: tuple[int, ...] = ()
    """Those of the functions that there are, smallest first."""
    region: str = DEFAULT_REGION
    """Where jobs run; of jobs on this machine, where they might."""
    history: str = ""
    """Where, beside the user's state folder, what runs did is kept; empty for nowhere."""
    runs_on_s: float = 0.0
    """How long after its start an attempt may still run, and be billed, once it was stopped."""


def policy_of(
    config: Config,
    transport: Transport,
    memory_sizes_mb: tuple[int, ...] = (),
    ramp_burst: int | None = None,
) -> Policy:
    """Return the scheduler's policy by a configuration."""
    return Policy(
        memory_sizes_mb=memory_sizes_mb,
        ramp_burst=ramp_burst,
        max_attempts=config.max_attempts,
        retry_user_errors=config.retry_user_errors,
        rereadable=transport.traits.rereadable,
        skew=Skew(config.skewed_partition_mb << 20, fewest_slots=_SLOTS_FOR_SHARES),
        speculation=config.speculation,
        speculation_quantile=config.speculation_quantile,
        speculation_multiplier=config.speculation_multiplier,
    )
