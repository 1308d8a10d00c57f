"""What can be measured. One more is one line here, and one module beside it."""

from __future__ import annotations

from bench import codec, dispatch, shuffle, tasks, taxi
from bench.workload import Workload

WORKLOADS: dict[str, Workload] = {
    w.name: w
    for w in (taxi.WORKLOAD, tasks.WORKLOAD, codec.WORKLOAD, dispatch.WORKLOAD, shuffle.WORKLOAD)
}
