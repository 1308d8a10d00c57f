"""An engine: where its program lives, what it needs, and its process while it is measured."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench import usage
from bench.workload import Job

ROOT = Path(__file__).parents[1]
PEERS = Path(sys.prefix) / "peers"
"""Where the virtual environments of engines are that cannot share aflint's own."""

_LONGEST_ANSWER = 1 << 20
_LOOK = 0.25
_CLOSING = 30.0


class EngineError(Exception):
    """An engine that cannot be measured: it does not start, or it fails where it should not."""


class CannotError(Exception):
    """What an engine says of a workload that it has no way to do."""


@dataclass(frozen=True)
class Engine:
    """One column of the table: `module` of `bench.engines`, given `argument`.

    `packages` are what `make bench-peers` installs into the environment `venv`; where that is "",
    the engine shares aflint's own.
    """

    name: str
    module: str
    argument: str = ""
    venv: str = ""
    packages: tuple[str, ...] = ()
    server: tuple[str, ...] = ("-m", "bench.serve")
    environment: Mapping[str, str] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Why, for each workload that it has no method for: see `bench.cannot`."""
    left_out: str = ""
    """Why it is not measured at all."""

    def why_not(self, workload: str) -> str:
        """Return why it cannot do a workload, or "" if it can."""
        return self.left_out or self.cannot.get(workload, "")

    @property
    def python(self) -> Path:
        """The interpreter that it runs under."""
        return PEERS / self.venv / "bin" / "python" if self.venv else Path(sys.executable)


@dataclass(frozen=True)
class Measured:
    """What one job came to: `shuffled` is None where an engine does not say."""

    answer: Any
    seconds: float
    cpu: float
    memory: int | None
    shuffled: int | None


class EngineProcess:
    """An engine that runs and is warm: entered, asked for jobs one after the other, and left.

    A job that takes more than `longest` seconds ends it, and it does no other.
    """

    def __init__(self, engine: Engine, log: Path, longest: float = math.inf) -> None:
        self.engine = engine
        self.name = engine.name
        self._log = log
        self._longest = longest
        self._too_long = ""
        self._process: Process | None = None
        self._usage: usage.Usage | None = None

    async def __aenter__(self) -> Self:
        python, name = self.engine.python, self.engine.name
        if not python.exists():
            raise EngineError(f"{name} is not installed: make bench-peers")
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **self.engine.environment}
        with self._log.open("w") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(str(python), *self.engine.server, self.engine.module, self.engine.argument),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                limit=_LONGEST_ANSWER,
                env=variables,
            )
        self._usage = usage.Usage(self._process.pid)
        try:
            await self._read()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        belonging = usage.descendants(process.pid)
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 0 if self._too_long else _CLOSING)
        except TimeoutError:
            process.kill()
            await process.wait()
        await usage.end(belonging)

    async def do(self, job: Job, memory: bool = False) -> Measured:
        """Do a job; `memory` says to measure the peak of memory, too, which costs some time.

        Raises EngineError where it fails.
        """
        if self._too_long:
            raise EngineError(self._too_long)
        process, used = self._process, self._usage
        assert process is not None
        assert process.stdin is not None
        assert used is not None
        before = used.cpu()
        with suppress(ConnectionError):  # it ended: reading says so
            process.stdin.write(json.dumps(job.to_json()).encode() + b"\n")
            await process.stdin.drain()
        reading = asyncio.ensure_future(self._read())
        peak, end = 0, time.monotonic() + self._longest
        try:
            while not (await asyncio.wait({reading}, timeout=_LOOK))[0]:
                if time.monotonic() > end:
                    self._too_long = f"{job.case} took longer than {self._longest:g} s (--longest)"
                    await self.__aexit__()
                    raise EngineError(self._too_long)
                used.cpu()
                peak = max(peak, used.memory()) if memory else 0
            told = reading.result()
        finally:
            reading.cancel()
        spent = used.cpu() - before
        if memory:
            peak = max(peak, used.memory())
        return Measured(told["answer"], told["seconds"], spent, peak or None, told["shuffled"])

    async def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        if "error" in told:
            raise EngineError(f"{self.name}: {told['error']}; more in {self._log}")
        return told
