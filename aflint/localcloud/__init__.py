"""An emulator of the parts of SQS, S3, Lambda, IAM and STS that aflint uses.

It runs inside the caller's event loop, on loopback, with AWS's documented limits, error codes and
billing units, real processes for functions, and faults that can be switched on by a seed.
"""

from __future__ import annotations

from aflint.localcloud.clock import Clock, ManualClock, SystemClock
from aflint.localcloud.cloud import LocalCloud, LocalCloudStartError
from aflint.localcloud.faults import Faults
from aflint.localcloud.lambda_.runtime import RuntimeClientMissingError
from aflint.localcloud.snapshot import EnvironmentView, QueueView, Snapshot

__all__ = [
    "Clock",
    "EnvironmentView",
    "Faults",
    "LocalCloud",
    "LocalCloudStartError",
    "ManualClock",
    "QueueView",
    "RuntimeClientMissingError",
    "Snapshot",
    "SystemClock",
]
