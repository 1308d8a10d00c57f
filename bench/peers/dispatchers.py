"""Ways to hold many invocations at once, each measured in a process of its own.

`python -m bench.peers.dispatchers PEER URL CALLS` makes so many calls at once and prints seconds,
CPU seconds and peak bytes of memory, as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

FUNCTION = "aflint-1769"
PROGRAM_BYTES = 3000
"""With what else a task says, and base64, a payload of about 4 KB."""

Run = Callable[[int], Awaitable[None]]
Measured = dict[str, float]
_KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


async def aflint_invoker(url: str, calls: int) -> Measured:
    """The invoker of aflint, task in and result out."""
    from aflint.aws.bare.signing import Credentials
    from aflint.aws.clients import Aws
    from aflint.codec.secret import Secret
    from aflint.invoker.lambda_ import LambdaInvoker
    from aflint.storage.router import open_storage
    from aflint.task import Blob, TaskDescription, TaskId

    program = Blob("0" * 32, PROGRAM_BYTES, os.urandom(PROGRAM_BYTES))
    aws = Aws("us-east-1", url, credentials=Credentials(*_KEYS))
    invoker = LambdaInvoker(
        aws, {1769: FUNCTION}, open_storage(), Secret.fresh(), concurrency=calls
    )

    async def run(count: int) -> None:
        tasks = [
            TaskDescription(TaskId("job", 0, partition, 0), program, ())
            for partition in range(count)
        ]
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(invoker.invoke(task))

    try:
        return await _measured(run, calls)
    finally:
        await invoker.aclose()


async def plain_aiobotocore(url: str, calls: int) -> Measured:
    """Plain aiobotocore, with a pool wide enough and without retries."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(
        max_pool_connections=calls, retries={"total_max_attempts": 1}, read_timeout=960
    )
    payload = _payload()

    async with get_session().create_client("lambda", config=config, **_settings(url)) as client:

        async def call() -> None:
            answer = await client.invoke(FunctionName=FUNCTION, Payload=payload, LogType="Tail")
            await answer["Payload"].read()

        async def run(count: int) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(call())

        return await _measured(run, calls)


async def boto3_threads(url: str, calls: int) -> Measured:
    """boto3 in as many threads as calls: how Flint does it."""
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=calls, retries={"total_max_attempts": 1}, read_timeout=960)
    client = boto3.client("lambda", config=config, **_settings(url))
    payload = _payload()

    def call() -> None:
        answer = client.invoke(FunctionName=FUNCTION, Payload=payload, LogType="Tail")
        answer["Payload"].read()

    with ThreadPoolExecutor(calls) as pool:

        async def run(count: int) -> None:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, call) for _ in range(count)))

        return await _measured(run, calls)


PEERS: dict[str, Callable[[str, int], Awaitable[Measured]]] = {
    "aflint": aflint_invoker,
    "aiobotocore": plain_aiobotocore,
    "boto3 threads": boto3_threads,
}


def _settings(url: str) -> dict[str, Any]:
    keys = {"aws_access_key_id": _KEYS[0], "aws_secret_access_key": _KEYS[1]}
    return {"region_name": "us-east-1", "endpoint_url": url, **keys}


def _payload() -> bytes:
    return json.dumps({"task": os.urandom(PROGRAM_BYTES // 2 + 250).hex()}).encode()


async def _measured(run: Run, calls: int) -> Measured:
    # Connections are made once and kept for a session: it is not they that count. While those of
    # the first round are made, its first answers come already, and give back theirs.
    for _ in range(2):
        await run(calls)
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await run(calls)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_bytes": peak * (1 if sys.platform == "darwin" else 1024),
    }


async def _main(peer: str, url: str, calls: str) -> None:
    print(json.dumps(await PEERS[peer](url, int(calls))))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
