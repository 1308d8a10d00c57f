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
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from statistics import median
from typing import Any, cast

import pybase64

from aflint import limits
from aflint.aws.bare.aws import BareAws
from aflint.aws.bare.client import Call
from aflint.aws.bare.signing import Credentials, Signer
from aflint.aws.clients import Aws
from aflint.codec import records
from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import Completeness, ReadCounts, ShuffleOutput, read_blocks
from aflint.map_outputs import ManifestLines, MapColumns, map_status
from aflint.task import AwsEndpoints, Manifest, MapStatus, ShuffleHandle, TaskId
from aflint.testing.memory_transport import MemoryTransport
from aflint.transport.base import Transport
from aflint.transport.file import FileTransport
from aflint.transport.hybrid import HybridTransport
from aflint.transport.s3 import S3Transport
from aflint.transport.sqs import SqsTransport
from bench.peers.replay import Replay, recorded
from bench.report import Goal, Report, Sample, paired_ratio
from bench.workload import Options, Say, Workload

TRANSPORTS = ("file", "sqs", "s3", "hybrid")
MAPS, PARTITIONS = 4, 8
RECORDS = 300_000
QUICK_RECORDS = 40_000
ROUNDS = 2
MOST_OVER_FLOOR = {"sqs": 0.6, "s3": 0.8, "hybrid": 0.8}
BUCKET = "bench"
KEY = bytes(32)
MEMORY_MB = 1769
JOB = "bench"
SUBJECT, FLOOR = "aflint", "bare aiobotocore"

Blocks = list[list[tuple[str, str]]]
Frames = list[list[bytes]]
"""Of one map, by reduce partition."""

Opening = Callable[[], AbstractContextManager[ShuffleHandle]]
"""Opens a shuffle as the driver does, and closes it."""


@dataclass
class Found:
    """Seconds and CPU of each round, and the parts of the CPU."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    moving: list[float] = field(default_factory=list)
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


def _transport(name: str, aws: Aws, folder: str) -> Transport:
    if name == "file":
        return FileTransport(folder)
    if name == "s3":
        return S3Transport(aws, BUCKET)
    return SqsTransport(aws) if name == "sqs" else HybridTransport(aws, BUCKET)


async def _measure(
    name: str, url: str, keys: list[str], folder: str, maps: list[Blocks], found: Found
) -> None:
    credentials = Credentials(*keys)
    bucket_url = f"{url}/{{bucket}}"
    endpoints = AwsEndpoints("us-east-1", url, url, bucket_url, bucket_url)

    def for_tasks() -> Transport:
        return _transport(name, BareAws(endpoints, credentials), folder)

    driver = _transport(name, Aws("us-east-1", url, credentials=credentials), folder)
    memory = MemoryTransport(driver.traits.max_frame_bytes, driver.traits.target_frame_bytes)
    frames: list[Frames] = []
    with IOLoop() as driver_io:

        def opened(transport: Transport) -> Opening:
            return partial(_opened, driver if transport is not memory else memory, driver_io)

        # its clients are kept as long as a session, and made before its first shuffle
        await asyncio.to_thread(_open_and_close, driver, driver_io)
        codec = await asyncio.to_thread(
            _timed, lambda: frames.extend(_shuffle(memory, maps, opened(memory)))
        )
        tasks = for_tasks()
        whole = await asyncio.to_thread(_timed, lambda: _shuffle(tasks, maps, opened(tasks)))
        calls: list[Call] = []
        with recorded(calls):
            tasks = for_tasks()
            moving = await asyncio.to_thread(_timed, lambda: _move(tasks, frames, opened(tasks)))
        opening = await asyncio.to_thread(_timed, lambda: _open_and_close(driver, driver_io))
        driver_io.run(driver.aclose())
    found.seconds.append(whole[0])
    found.cpu.append(whole[1])
    found.moving.append(moving[1])
    parts = {"codec": codec[1], **_parts(calls, keys), "opening and closing": opening[1]}
    apart = parts["base64"] + parts["signing"] + parts["opening and closing"]
    parts["HTTP and the rest"] = moving[1] - apart
    for part, spent in parts.items():
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


def _open_and_close(transport: Transport, io: IOLoop) -> None:
    with _opened(transport, io):
        pass


def _shuffle(transport: Transport, maps: list[Blocks], opening: Opening) -> list[Frames]:
    """Shuffle as executors do: one compute thread, and a loop for all that is sent and read.

    Returns the frames of each map, where they went through memory.
    """
    frames: list[Frames] = []
    with IOLoop() as io, opening() as handle:
        statuses = []
        for number, blocks in enumerate(maps):
            task = TaskId(JOB, 0, number, 0)
            output = ShuffleOutput(task, handle, KEY, transport, io, MEMORY_MB << 20)
            for partition, block in enumerate(blocks):
                output.add(partition, block)
            statuses.append(output.finish())
        read = 0
        for partition in range(PARTITIONS):
            progress = Completeness(_manifest(handle, partition, statuses))
            for _, found in read_blocks(progress, KEY, transport, io, 60.0, ReadCounts()):
                read += len(found)
        if isinstance(transport, MemoryTransport):
            frames = [io.run(_frames_of(transport, handle, status)) for status in statuses]
        io.run(transport.aclose())
    written = sum(len(block) for blocks in maps for block in blocks)
    if read != written:
        raise RuntimeError(f"{written} records were written, and {read} were read")
    return frames


def _move(transport: Transport, maps: list[Frames], opening: Opening) -> None:
    """Carry frames that are ready, from writers to readers."""
    with IOLoop() as io, opening() as handle:
        statuses = [
            io.run(_write(transport, handle, number, frames)) for number, frames in enumerate(maps)
        ]
        for partition in range(PARTITIONS):
            io.run(_read(transport, _manifest(handle, partition, statuses)))
        io.run(transport.aclose())


@contextmanager
def _opened(transport: Transport, io: IOLoop) -> Iterator[ShuffleHandle]:
    handle = io.run(transport.open(JOB, 1, PARTITIONS))
    try:
        yield handle
    finally:
        io.run(transport.close(handle))


async def _write(
    transport: Transport, handle: ShuffleHandle, number: int, frames: Frames
) -> MapStatus:
    writer = transport.writer(handle, number, 0, 0)
    for partition, each in enumerate(frames):
        for data in each:
            await writer.write(partition, data)
    written = await writer.finish()
    counts = [len(each) for each in frames]
    return map_status((number, 0, 0), counts, counts, written.object, written.extents)


async def _read(transport: Transport, manifest: Manifest) -> list[bytes]:
    reader = transport.reader(manifest)
    missing = sum(output.frames for output in manifest.outputs)
    found: list[bytes] = []
    async with aclosing(cast("AsyncGenerator[bytes, None]", reader.frames())) as frames:
        while len(found) < missing:
            found.append(await anext(frames))
    await reader.close()
    return found


async def _frames_of(transport: Transport, handle: ShuffleHandle, status: MapStatus) -> Frames:
    return [
        await _read(transport, _manifest(handle, partition, [status]))
        for partition in range(PARTITIONS)
    ]


def _manifest(handle: ShuffleHandle, partition: int, statuses: list[MapStatus]) -> Manifest:
    return Manifest(handle, partition, ManifestLines(MapColumns(statuses), partition))


def _parts(calls: list[Call], keys: list[str]) -> dict[str, float]:
    """Return the CPU seconds of what can be done alone."""
    bodies = [
        entry["MessageBody"]
        for call in calls
        if call.action == "SendMessageBatch"
        for entry in json.loads(call.body)["Entries"]
    ]
    raw = [pybase64.b64decode(body) for body in bodies]

    def base64() -> None:
        for data in raw:
            pybase64.b64encode(data)
        for body in bodies:
            pybase64.b64decode(body, validate=True)

    def sign() -> None:
        signer, credentials = Signer("sqs", "us-east-1"), Credentials(*keys)
        for call in calls:
            digest = sha256(call.body).hexdigest()
            headers = {"host": "localhost", **call.headers}
            signer.sign(credentials, call.method, call.path, call.query, headers, digest, 0.0)

    return {
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
            ratio = paired_ratio(each.moving, each.floor_cpu)
            yield Goal(
                f"{name}: CPU of moving frames, times the floor's", MOST_OVER_FLOOR[name], ratio
            )


def _notes(found: dict[str, Found], size: int) -> Iterator[str]:
    yield (
        "MB are those of records encoded, not compressed. CPU is that of the calling process: the "
        "cloud has its own. The codec's is a shuffle through memory; moving frames that are ready "
        "is the rest, with the driver's calls that open and close the shuffle. Messages are "
        f"{limits.SQS_OLD_MESSAGE_BYTES // limits.KIB} KiB."
    )
    for name, each in found.items():
        cpu = median(each.cpu)
        parts = {part: median(spent) for part, spent in each.parts.items()}
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
