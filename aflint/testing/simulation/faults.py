"""What can go wrong in the simulated cloud, and how often it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from aflint.errors import (
    AflintError,
    BudgetExceededError,
    DeadlineExceededError,
    InvalidArgumentError,
    JobCancelledError,
    QueueDeletedError,
    ServiceUnavailableError,
    SessionError,
    UncuttableTaskError,
)


class Fault(StrEnum):
    """One kind of fault. Each stays within what SQS, S3, Lambda and the network may do."""

    DUPLICATE = "duplicate"
    """A message is delivered, and yet shown to the next receive as well."""
    DELAY = "delay"
    """A message that was sent can be received only seconds later."""
    HIDDEN = "hidden"
    """The response to a receive is lost: its messages stay hidden until their time is over."""
    PARTIAL_BATCH = "partial-batch"
    """Some entries of a batch are refused under HTTP 200."""
    RESENT = "resent"
    """The response to a send is lost after it took effect, and the client sends again."""
    POISON = "poison"
    """Something else is in a queue: text, other bytes, a frame that was altered."""
    THROTTLE = "throttle"
    """Lambda refuses to start an attempt."""
    COLD_START = "cold-start"
    """An environment takes seconds to start."""
    STRAGGLER = "straggler"
    """An attempt is thirty times slower than others."""
    KILL = "kill"
    """An environment ends before or after one of its requests took effect."""
    OUT_OF_MEMORY = "out-of-memory"
    """The same, and Lambda says that memory ran out."""
    LOST_RESPONSE = "lost-response"
    """The driver never hears of an attempt, which runs on or has run to its end."""
    ZOMBIE = "zombie"
    """An attempt that was stopped runs on."""
    UNAVAILABLE = "unavailable"
    """S3 or SQS goes on answering 503 to a task for as long as its client tries."""
    TRUNCATED_READ = "truncated-read"
    """A range of a shuffle's object comes back short."""
    LOST_OBJECT = "lost-object"
    """A shuffle's object is gone."""
    DELETED_QUEUE = "deleted-queue"
    """Somebody deletes a queue that is in use."""
    LOST_KEPT = "lost-kept"
    """A message or an object of a kept shuffle is gone before the next action."""
    DRIVER_UNAVAILABLE = "driver-unavailable"
    """S3 or SQS goes on answering 503 to the driver: the job may fail."""
    CANCEL_JOB = "cancel-job"
    """A job is cancelled at some moment, and the program runs its action again."""
    CANCEL = "cancel"
    """The action is cancelled at some moment: the job fails."""
    DRIVER_KILL = "driver-kill"
    """The driver is killed at some moment, its attempts run on, and another one resumes its run."""
    TAKEN_FOR_DEAD = "taken-for-dead"
    """The driver is not killed, but goes on beside the one that resumes its run."""
    LOST_SHUFFLE = "lost-shuffle"
    """A shuffle of a driver that was killed is gone before the next one begins."""
    DEADLINE = "deadline"
    """The job is given so little time that it may have to be stopped."""
    BUDGET = "budget"
    """The job is given so little money that it may have to be stopped."""
    CLOCK_STEP = "clock-step"
    """The driver's clock jumps, forwards or backwards."""
    TIME_LIMIT = "time-limit"
    """Functions have so little time that tasks are continued in other invocations."""
    SPILL = "spill"
    """Memory is so short that tables are spilled after every few records."""


RATES: Mapping[Fault, float] = {
    Fault.DUPLICATE: 0.05,
    Fault.DELAY: 0.05,
    Fault.HIDDEN: 0.03,
    Fault.PARTIAL_BATCH: 0.08,
    Fault.RESENT: 0.05,
    Fault.POISON: 0.03,
    Fault.THROTTLE: 0.08,
    Fault.COLD_START: 0.2,
    Fault.STRAGGLER: 0.04,
    Fault.KILL: 0.08,
    Fault.OUT_OF_MEMORY: 0.03,
    Fault.LOST_RESPONSE: 0.05,
    Fault.ZOMBIE: 0.5,
    Fault.UNAVAILABLE: 0.005,
    Fault.TRUNCATED_READ: 0.02,
    Fault.LOST_OBJECT: 0.02,
    Fault.DELETED_QUEUE: 0.002,
    Fault.LOST_KEPT: 0.3,
    Fault.DRIVER_UNAVAILABLE: 0.002,
    Fault.CANCEL_JOB: 0.1,
    Fault.CANCEL: 0.03,
    Fault.DRIVER_KILL: 0.25,
    Fault.TAKEN_FOR_DEAD: 0.25,
    Fault.LOST_SHUFFLE: 0.25,
    Fault.DEADLINE: 0.03,
    Fault.BUDGET: 0.03,
    Fault.CLOCK_STEP: 0.2,
    Fault.TIME_LIMIT: 0.3,
    Fault.SPILL: 0.15,
}
"""How likely each strikes, at each chance it has."""

EXCUSED: Mapping[Fault, tuple[type[AflintError], ...]] = {
    Fault.DELETED_QUEUE: (QueueDeletedError,),
    Fault.DRIVER_UNAVAILABLE: (ServiceUnavailableError,),
    Fault.CANCEL_JOB: (JobCancelledError,),
    Fault.CANCEL: (JobCancelledError, SessionError),
    Fault.TIME_LIMIT: (UncuttableTaskError,),
    Fault.DEADLINE: (DeadlineExceededError,),
    Fault.BUDGET: (BudgetExceededError,),
}
"""After these a job may end with such an error; after all others it must give the right answer."""


def chosen_rates(kinds: Iterable[str] | None) -> dict[Fault, float]:
    """Return the rates of some kinds; of all where none are named.

    A kind may bring its own rate: "kill=0.5". Raises InvalidArgumentError for an unknown kind.
    """
    if kinds is None:
        return dict(RATES)
    rates = {}
    for item in kinds:
        name, _, rate = item.strip().partition("=")
        try:
            kind = Fault(name)
            rates[kind] = float(rate) if rate else RATES[kind]
        except ValueError:
            known = ", ".join(Fault)
            raise InvalidArgumentError(
                f"{item!r} is no kind of fault; there are {known}, each with a rate if wanted "
                "(kill=0.2)"
            ) from None
    return rates
