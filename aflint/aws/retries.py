"""How often and when a call is tried again, where aflint itself decides it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aflint.aws.endpoints import is_loopback
from aflint.aws.failures import Kind

_TRIES_HERE: Final = 3


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and when a call is tried again, in seconds.

    `attempts` counts all tries; `throttled` those of a call that is being throttled.
    """

    attempts: int = 4
    throttled: int = 9
    base_s: float = 0.1
    most_s: float = 10.0

    def wait(self, tried: int, chance: float) -> float:
        """Return the pause after `tried` tries; `chance`, from 0 to 1, is its jitter."""
        whole: float = min(self.most_s, self.base_s * 2.0 ** (tried - 1))
        return whole * (0.5 + chance / 2)

    def again(self, kind: Kind, tried: int) -> bool:
        """Say whether to try once more."""
        return tried < (self.throttled if kind is Kind.THROTTLED else self.attempts)


def give_up_here(attempts: int, caught_exception: Exception | None, **_: Any) -> None:
    """Raise what a call has met where it is not to be tried again; else aiobotocore decides it.

    This handles aiobotocore's event `needs-retry`. Where nothing listens at a port of this machine,
    six tries would take half a minute and change nothing: three bridge an emulator that starts.
    """
    from botocore.exceptions import EndpointConnectionError

    if attempts < _TRIES_HERE or not isinstance(caught_exception, EndpointConnectionError):
        return
    if is_loopback(caught_exception.kwargs["endpoint_url"]):
        raise caught_exception
