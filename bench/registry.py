"""What can be measured. One more is one line here, and one module beside it."""

from __future__ import annotations

from bench import (
    codec,
    dispatch,
    fingerprint,
    memory,
    reuse,
    scheduler,
    shuffle,
    tasks,
    taxi,
    tpch,
)
from bench.workload import Workload

_ALL = (taxi, tpch, reuse, tasks, codec, fingerprint, memory, dispatch, scheduler, shuffle)

WORKLOADS: dict[str, Workload] = {module.WORKLOAD.name: module.WORKLOAD for module in _ALL}
