"""What an engine's process runs: `python -m bench.serve MODULE ARGUMENT`.

It opens the engine, says so in a line of JSON, and answers one line for each job that it reads. It
runs under the Python of the engine's own environment, so only the standard library is needed here.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable
from typing import Any

from bench.engines import Program
from bench.usage import adopt_orphans
from bench.workload import Job


def main() -> None:
    """Serve until the input ends."""
    adopt_orphans()
    # What the engine prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, argument = sys.argv[1:3]

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        module = importlib.import_module(f"bench.engines.{name}")
    except ImportError as error:
        say({"error": f"does not start ({error}): make bench-peers"})
        return
    with asyncio.Runner() as runner:
        engine: Program = module.Engine(argument)
        runner.run(engine.open())
        try:
            say({"ready": True})
            for line in sys.stdin:
                say(_reply(engine, Job(**json.loads(line)), runner))
        finally:
            runner.run(engine.close())


def _reply(engine: Program, job: Job, runner: asyncio.Runner) -> dict[str, Any]:
    method = getattr(engine, job.workload.replace("-", "_"))
    before, started = engine.shuffled(), time.perf_counter()
    try:
        answer = method(job)
        if inspect.isawaitable(answer):
            answer = runner.run(_awaited(answer))
    except Exception as error:  # whatever an engine raises: its cell says so, the others go on
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}
    seconds, after = time.perf_counter() - started, engine.shuffled()
    shuffled = None if before is None or after is None else after - before
    return {"answer": answer, "seconds": seconds, "shuffled": shuffled}


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


if __name__ == "__main__":
    main()
