"""What it costs to tell what a job computes by a digest, beside pickling the same."""

from __future__ import annotations

import array
import gc
import os
import pickle
import random
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from operator import add
from typing import Any

from aflint.codec import closure
from aflint.executor.aggregate import identity
from aflint.journal.fingerprint import fingerprint
from aflint.plan.lineage import Aggregator, HashPartitioner, PerRecord, RecordStep
from aflint.plan.program import Program, ReadSplit, Transform, WriteShuffle
from bench.report import Goal, Report, Sample, paired_ratio
from bench.workload import Options, Say, Workload

BYTES = 300 << 20
QUICK_BYTES = 1 << 20
RECORDS = 1_000_000
QUICK_RECORDS = 1_000
STAGES = 200
_SMALL_STAGES = f"{STAGES} small stages"
ROUNDS = 3
SUBJECT, PEER = "aflint", "pickle 5"
MOST_TIMES = 2.0
MOST_COPIED = 0.1
PROMISED = ("bytes", "bytearray", "array", "numpy array")


def cases(size: int, count: int) -> dict[str, Any]:
    """Return what is told apart: buffers of `size` bytes, collections of `count` records, and the
    program of a small stage.
    """
    data = os.urandom(size)
    chance = random.Random(1)
    numbers = [chance.randrange(1 << 40) for _ in range(count)]
    found: dict[str, Any] = {
        "bytes": data,
        "bytearray": bytearray(data),
        "array": array.array("q", data),
        "ints": numbers,
        "strings": [str(number) for number in numbers],
        "a dict": {str(number): number for number in numbers},
        "tuples": [(number, str(number)) for number in numbers[: count // 4]],
        "a set": set(numbers),
    }
    try:
        import numpy as np
    except ImportError:
        return found
    return {**found, "numpy array": np.frombuffer(data, "f8")}


def small_stage() -> Program:
    """Return the program of a stage that counts words."""

    def split(line: str) -> list[tuple[str, int]]:
        return [(word.lower(), 1) for word in line.split() if word.isalpha()]

    words = Transform(ReadSplit(0), (PerRecord(RecordStep.FLAT_MAP, split),))
    return Program(words, WriteShuffle(HashPartitioner(4), Aggregator(identity, add, add)))


async def run(options: Options, say: Say) -> Report:
    """Measure CPU seconds, and what is held meanwhile beside the value itself."""
    size, count = (QUICK_BYTES, QUICK_RECORDS) if options.quick else (BYTES, RECORDS)
    rounds = options.number_of_rounds(ROUNDS)
    samples: list[Sample] = []
    goals: list[Goal] = []
    for case, value in cases(size, count).items():
        say(case)
        samples += _measure(
            case,
            {SUBJECT: partial(fingerprint, value), PEER: partial(pickle.dumps, value, 5)},
            rounds,
        )
        if case in PROMISED:
            goals.append(Goal(f"{case}: copied, of its size", MOST_COPIED, _copied(value) / size))
    say("small stages")
    stage = small_stage()
    samples += _measure(
        _SMALL_STAGES,
        {
            SUBJECT: lambda: [fingerprint(stage) for _ in range(STAGES)],
            PEER: lambda: [closure.dumps(stage, "a stage") for _ in range(STAGES)],
        },
        rounds,
    )
    return Report(
        "fingerprint",
        f"digests of {size >> 20} MiB and of {count:,} records",
        "python -m bench fingerprint",
        tuple(samples),
        (*_goals(samples), *goals),
        (
            "Seconds are CPU seconds of this one process. Stages are pickled by cloudpickle.",
            "What a set holds is put in order first: its pickle differs from process to process.",
        ),
    )


def _measure(case: str, peers: dict[str, Callable[[], Any]], rounds: int) -> list[Sample]:
    spent: dict[str, list[float]] = {peer: [] for peer in peers}
    for number in range(rounds + 1):
        for peer, work in peers.items():
            gc.collect()
            started = time.process_time()
            work()
            if number:
                spent[peer].append(time.process_time() - started)
    return [Sample(case, peer, tuple(all_), tuple(all_)) for peer, all_ in spent.items()]


def _copied(value: Any) -> int:
    """Return the most bytes that a fingerprint holds at once."""
    tracemalloc.start()
    try:
        fingerprint(value)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _goals(samples: list[Sample]) -> list[Goal]:
    seconds = {(sample.case, sample.peer): sample.seconds for sample in samples}
    return [
        Goal(
            f"{case}: times as long as {PEER}",
            MOST_TIMES,
            paired_ratio(seconds[case, SUBJECT], seconds[case, PEER]),
        )
        for case in (*PROMISED, _SMALL_STAGES)
        if (case, PEER) in seconds
    ]


WORKLOAD = Workload("fingerprint", "Telling what a job computes", run)
