"""What an invocation costs the driver: thousands in flight against a Lambda that takes a second."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from bench.peers.dispatchers import PEERS
from bench.report import Goal, Report, Sample, paired_ratio
from bench.workload import Options, Say, Workload

CALLS = 1_000
MANY = 10_000
QUICK_CALLS = 100
ROUNDS = 2
SECONDS = 1.0
LEAST_RATIOS = {"boto3 threads": 5.0, "aiobotocore": 3.0}
MOST_GB = 1.0


Place = tuple[str, dict[str, str]]
"""A URL, and the variables under which it is trusted."""


async def run(options: Options, say: Say) -> Report:
    """Measure each way at the same number of calls, then aflint alone at ten times as many."""
    few, many = (QUICK_CALLS, QUICK_CALLS * 10) if options.quick else (CALLS, MANY)
    rounds = options.number_of_rounds(ROUNDS)
    plan = [(few, peer) for peer in PEERS if options.wants(peer)] + [(many, "aflint")]
    found: dict[tuple[int, str], list[dict[str, float]]] = defaultdict(list)
    async with _stub() as (url, secure):
        for number in range(rounds):
            for calls, peer in plan:
                say(f"round {number + 1} of {rounds}: {calls:,} calls, {peer}")
                place = url if calls == few else secure
                found[calls, peer].append(await _measure(peer, *place, calls))
    samples = tuple(
        Sample(
            f"{calls:,} in flight" + (" over TLS" if calls == many else ""),
            peer,
            tuple(each["seconds"] for each in results),
            tuple(each["cpu"] for each in results),
        )
        for (calls, peer), results in found.items()
    )
    return Report(
        "dispatch",
        f"Invocations in flight, each answered after {SECONDS:g} s",
        "python -m bench dispatch",
        samples,
        _goals(found, few, many),
        _notes(found),
    )


def _goals(
    found: dict[tuple[int, str], list[dict[str, float]]], few: int, many: int
) -> tuple[Goal, ...]:
    goals = []
    for other, least in LEAST_RATIOS.items():
        if (few, other) in found:
            ours, theirs = (
                [each["cpu"] for each in found[few, peer]] for peer in ("aflint", other)
            )
            what = f"invocations per CPU second, times those of {other}"
            goals.append(Goal(what, least, paired_ratio(theirs, ours), at_most=False))
    peak = max(each["peak_bytes"] for each in found[many, "aflint"])
    goals.append(Goal(f"peak memory with {many:,} in flight over TLS, GB", MOST_GB, peak / 2**30))
    return tuple(goals)


def _notes(found: dict[tuple[int, str], list[dict[str, float]]]) -> tuple[str, ...]:
    notes = [
        "CPU is that of the calling process alone, once its connections are made, as they are for "
        "a session. Each runs in a process of its own."
    ]
    for (calls, peer), results in found.items():
        cpu = median(each["cpu"] for each in results)
        peak = max(each["peak_bytes"] for each in results) / 2**20
        notes.append(
            f"{peer}, {calls:,} in flight: {calls / cpu:,.0f} invocations per CPU second "
            f"({1000 * cpu / calls:.2f} ms each), peak memory {peak:,.0f} MiB"
        )
    return tuple(notes)


@asynccontextmanager
async def _stub() -> AsyncIterator[tuple[Place, Place]]:
    """Run the stand-in for Lambda and say where it is, by HTTP and by HTTPS."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.peers.lambda_stub", str(SECONDS), folder),
            stdin=PIPE,
            stdout=PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            plain, secure = (await process.stdout.readline()).decode().split()
            yield (plain, {}), (secure, {"AWS_CA_BUNDLE": f"{folder}/ca.pem"})
        finally:
            process.stdin.close()
            await process.wait()


async def _measure(peer: str, url: str, variables: dict[str, str], calls: int) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.peers.dispatchers", peer, url, str(calls)),
        stdin=DEVNULL,
        stdout=PIPE,
        env={**os.environ, **variables},
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"the {peer} peer ended with exit status {process.returncode}")
    measured: dict[str, float] = json.loads(output)
    return measured


WORKLOAD = Workload("dispatch", "Thousands of Lambda invocations in flight: CPU and memory", run)
