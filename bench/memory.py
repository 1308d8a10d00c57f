"""What a worker holds at most: groups four times as large as the memory it may use."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from functools import partial

import aflint
from bench.report import Goal, Report, Sample
from bench.workload import Options, Say, Workload

LIMIT_MB = 256
VALUE_BYTES = 2_500
PIECES = 20
QUICK_SHARE = 0.02
KEYS = {"1,000 keys": 1_000, "3 keys": 3, "as many keys as values": 10**9}


async def run(options: Options, say: Say) -> Report:
    """Group 1 GB of values that do not compress, in one reduce partition, by one worker."""
    values = int((1 << 30) / VALUE_BYTES * (QUICK_SHARE if options.quick else 1))
    samples, goals = [], []
    for case, keys in KEYS.items():
        say(case)
        async with aflint.connect(workers=1, progress=False, worker_memory_mb=LIMIT_MB) as session:
            pieces = session.range(PIECES, num_slices=PIECES)
            pairs = pieces.flat_map(partial(noise, values // PIECES, keys))
            started = time.perf_counter()
            sizes = await pairs.group_by_key(1).values().map(len).collect()
            seconds = time.perf_counter() - started
            job = session.last_job
        assert job is not None
        if sum(sizes) != values // PIECES * PIECES:
            raise AssertionError(f"{case}: {sum(sizes):,} values came out of {values:,}")
        samples.append(Sample(case, "aflint", (seconds,), (job.metrics.cpu_seconds,)))
        peak = job.metrics.peak_memory_bytes / (1 << 20)
        goals.append(Goal(f"{case}: peak memory of the worker, MB", LIMIT_MB, round(peak, 1)))
    return Report(
        "memory",
        f"group_by_key of {values * VALUE_BYTES / (1 << 30):.2f} GiB with {LIMIT_MB} MB",
        "python -m bench memory",
        tuple(samples),
        tuple(goals),
        ("The peak is VmHWM of the worker process, over all of its tasks.",),
    )


def noise(count: int, keys: int, piece: int) -> Iterator[tuple[int, bytes]]:
    """Give pairs of a key and random bytes."""
    source = random.Random(piece)
    return ((source.randrange(keys), source.randbytes(VALUE_BYTES)) for _ in range(count))


WORKLOAD = Workload("memory", "Groups larger than a worker's memory", run)
