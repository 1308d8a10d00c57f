"""Parts for testing programs that run on aflint, and parts that are put into it.

`VirtualLoop` and `run_virtual` run asyncio code on a clock that jumps;
`aflint.testing.pytest_virtual` brings that to pytest. `ScriptedInvoker` and `RecordingShuffles`
stand in for what runs tasks and what carries shuffles. `check_transport` puts a transport through
every promise of its seam.
"""

from aflint.testing.clock import (
    StalledError,
    VirtualClock,
    VirtualLoop,
    run_virtual,
    virtual_clock,
)
from aflint.testing.invoker import (
    Answer,
    Fail,
    Hang,
    Script,
    ScriptedInvoker,
    Step,
    succeed,
    succeeded,
)
from aflint.testing.shuffles import RecordingShuffles
from aflint.testing.transport_checks import TRANSPORT_CHECKS, check_transport

__all__ = [
    "TRANSPORT_CHECKS",
    "Answer",
    "Fail",
    "Hang",
    "RecordingShuffles",
    "Script",
    "ScriptedInvoker",
    "StalledError",
    "Step",
    "VirtualClock",
    "VirtualLoop",
    "check_transport",
    "run_virtual",
    "succeed",
    "succeeded",
    "virtual_clock",
]
