"""What a shuffle costs: records in, frames through a transport, records out, in CPU and time."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from binascii import a2b_base64, b2a_base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from statistics import median
from typing import Any

from aflint import limits
from aflint.aws.client import Aws, Call
from aflint.aws.credentials import FixedCredentials
from aflint.aws.signing import Credentials, Signer
from aflint.codec import records
from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import Completeness, ReadCounts, ShuffleOutput, read_blocks
from aflint.task import Manifest, MapOutput, MapStatus, ShuffleHandle, TaskId
from aflint.transport.base import Transport
from aflint.transport.file import FileTransport
from aflint.transport.hybrid import HybridTransport
from aflint.transport.memory import MemoryTransport
from aflint.transport.s3 import S3Transport
from aflint.transport.sqs import SqsTransport
from bench.peers.replay import Replay, recorded
from bench.report import Goal, Report, Sample, paired_ratio
from bench.workload import Options, Say, Workload

TRANSPORTS = ("file", "sqs", "s3", "hybrid")
MAPS, PARTITIONS = 4, 8
RECORDS = 600_000
QUICK_RECORDS = 40_000
ROUNDS = 2
MOST_OVER_FLOOR = 1.3
BUCKET = "bench"
KEY = bytes(32)
MEMORY_MB = 1769
JOB = "bench"
SUBJECT, FLOOR = "aflint", "bare aiobotocore"

Blocks = list[list[tuple[str, str]]]


@dataclass
class Found:
    """Seconds and CPU of each round, and the parts of the CPU."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    floor_seconds: list[float] = field(default_factory=list)
    floor_cpu: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)


async def run(options: Options, say: Say) -> Report:
    """Measure each transport, and beside it the same calls by a client that does nothing else."""
    count = QUICK_RECORDS if options.quick else RECORDS
    rounds = options.number_of_rounds(ROUNDS)
    chosen = [name for name in TRANSPORTS if options.transport in (None, name)]
    maps = [_blocks(number, count // MAPS) for number in range(MAPS)]
    size = sum(len(records.encode(block)) for blocks in maps for block in blocks)
    found = {name: Found() for name in chosen}
    async with _cloud() as (url, keys):
        for number in range(rounds + 1):
            for name in chosen:
                say(f"{f'round {number} of {rounds}' if number else 'warm-up'}: {name}")
                measured = found[name] if number else Found()
                with tempfile.TemporaryDirectory() as folder:
                    await _measure(name, url, keys, folder, maps, measured)
    return Report(
        "shuffle",
        f"A shuffle of {size / 1e6:,.0f} MB of records, {MAPS} maps, {PARTITIONS} partitions",
        "python -m bench shuffle",
        tuple(_samples(found)),
        tuple(_goals(found)),
        tuple(_notes(found, size)),
    )


def _blocks(number: int, count: int) -> Blocks:
    """Return the records of one map, by reduce partition."""
    chance = random.Random(number)
    return [
        [(f"key{chance.randrange(count)}", chance.randbytes(32).hex()) for _ in range(part)]
        for part in [count // PARTITIONS] * PARTITIONS
    ]


def _transport(name: str, url: str, keys: list[str], folder: str) -> Transport:
    if name == "file":
        return FileTransport(folder)
    aws = Aws("us-east-1", url, credentials=FixedCredentials(Credentials(*keys)))
    if name == "s3":
        return S3Transport(aws, BUCKET)
    return SqsTransport(aws) if name == "sqs" else HybridTransport(aws, BUCKET)


async def _measure(
    name: str, url: str, keys: list[str], folder: str, maps: list[Blocks], found: Found
) -> None:
    calls: list[Call] = []
    with recorded(calls):
        seconds, cpu = await asyncio.to_thread(
            _timed, lambda: _shuffle(_transport(name, url, keys, folder), maps)
        )
    found.seconds.append(seconds)
    found.cpu.append(cpu)
    for part, spent in _parts(maps, calls, keys).items():
        found.parts.setdefault(part, []).append(spent)
    if calls:
        seconds, cpu = await _floor(url, keys, Replay.of(calls))
        found.floor_seconds.append(seconds)
        found.floor_cpu.append(cpu)


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _shuffle(transport: Transport, maps: list[Blocks]) -> None:
    """Shuffle as executors do: one compute thread, and a loop for all that is sent and read."""
    with IOLoop() as io:
        handle = io.run(transport.open(JOB, 1, PARTITIONS))
        try:
            statuses = [_write(transport, handle, io, n, blocks) for n, blocks in enumerate(maps)]
            read = sum(_read(transport, handle, io, p, statuses) for p in range(PARTITIONS))
        finally:
            io.run(transport.close(handle))
            io.run(transport.aclose())
    written = sum(len(block) for blocks in maps for block in blocks)
    if read != written:
        raise RuntimeError(f"{written} records were written, and {read} were read")


def _write(
    transport: Transport, handle: ShuffleHandle, io: IOLoop, number: int, blocks: Blocks
) -> MapStatus:
    task = TaskId(JOB, 0, number, 0)
    output = ShuffleOutput(task, handle, KEY, transport, io, MEMORY_MB << 20)
    for partition, block in enumerate(blocks):
        output.add(partition, block)
    return output.finish()


def _read(
    transport: Transport,
    handle: ShuffleHandle,
    io: IOLoop,
    partition: int,
    statuses: list[MapStatus],
) -> int:
    outputs = tuple(
        MapOutput(
            status.map,
            status.attempt,
            status.link,
            status.frames_for(partition),
            status.size_for(partition),
            status.object,
            status.extents.get(partition, ()),
        )
        for status in statuses
    )
    progress = Completeness(Manifest(handle, partition, outputs))
    blocks = read_blocks(progress, KEY, transport, io, 60.0, ReadCounts())
    return sum(len(block) for _, block in blocks)


def _parts(maps: list[Blocks], calls: list[Call], keys: list[str]) -> dict[str, float]:
    """Return the CPU seconds of each part of the work, done alone.

    That of the codec is a shuffle through memory: all but the transport.
    """
    bodies = [
        entry["MessageBody"]
        for call in calls
        if call.action == "SendMessageBatch"
        for entry in json.loads(call.body)["Entries"]
    ]
    raw = [a2b_base64(body) for body in bodies]

    def base64() -> None:
        for data in raw:
            b2a_base64(data, newline=False)
        for body in bodies:
            a2b_base64(body)

    def sign() -> None:
        signer, credentials = Signer("sqs", "us-east-1"), Credentials(*keys)
        for call in calls:
            digest = sha256(call.body).hexdigest()
            headers = {"host": "localhost", **call.headers}
            signer.sign(credentials, call.method, call.path, call.query, headers, digest, 0.0)

    return {
        "codec": _timed(lambda: _shuffle(MemoryTransport(), maps))[1],
        "base64": _timed(base64)[1],
        "signing": _timed(sign)[1],
    }


async def _floor(url: str, keys: list[str], replay: Replay) -> tuple[float, float]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(max_pool_connections=64, s3={"addressing_style": "path"})
    settings = {
        "region_name": "us-east-1",
        "endpoint_url": url,
        "aws_access_key_id": keys[0],
        "aws_secret_access_key": keys[1],
        "config": config,
    }
    session = get_session()
    async with (
        session.create_client("sqs", **settings) as sqs,
        session.create_client("s3", **settings) as s3,
    ):
        await replay.make_queues(sqs)
        await s3.list_objects_v2(Bucket=BUCKET)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        await replay.run(sqs, s3)
        spent = time.perf_counter() - wall, time.process_time() - cpu
        await replay.remove(sqs, s3)
    return spent


def _samples(found: dict[str, Found]) -> Iterator[Sample]:
    for name, each in found.items():
        yield Sample(name, SUBJECT, tuple(each.seconds), tuple(each.cpu))
        if each.floor_cpu:
            yield Sample(name, FLOOR, tuple(each.floor_seconds), tuple(each.floor_cpu))


def _goals(found: dict[str, Found]) -> Iterator[Goal]:
    for name, each in found.items():
        if each.floor_cpu:
            rest = [cpu - codec for cpu, codec in zip(each.cpu, each.parts["codec"], strict=True)]
            ratio = paired_ratio(rest, each.floor_cpu)
            yield Goal(f"{name}: CPU without codec, times the floor's", MOST_OVER_FLOOR, ratio)


def _notes(found: dict[str, Found], size: int) -> Iterator[str]:
    yield (
        "MB are those of records encoded, not compressed. CPU is that of the calling process; the "
        f"cloud has its own. Messages are {limits.SQS_OLD_MESSAGE_BYTES // limits.KIB} KiB."
    )
    for name, each in found.items():
        cpu = median(each.cpu)
        parts = {part: median(spent) for part, spent in each.parts.items()}
        parts["HTTP and the rest"] = cpu - sum(parts.values())
        shares = ", ".join(f"{part} {spent * 1e9 / size:.2f}" for part, spent in parts.items())
        floor = ""
        if each.floor_cpu:
            floor = f"; the floor {median(each.floor_cpu) * 1e9 / size:.2f}"
        yield (
            f"{name}: {size / 1e6 / median(each.seconds):,.0f} MB/s, "
            f"{cpu * 1e9 / size:.2f} CPU seconds per GB ({shares}){floor}"
        )


@asynccontextmanager
async def _cloud() -> AsyncIterator[tuple[str, list[str]]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.peers.cloud", BUCKET, str(limits.MIB)),
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = json.loads(await process.stdout.readline())
        yield said["url"], said["keys"]
    finally:
        process.stdin.close()
        await process.wait()


WORKLOAD = Workload("shuffle", "Records through each transport, beside bare calls", run)
