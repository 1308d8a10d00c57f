"""One execution environment: a process behind a Runtime API, and the invocation it works on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aflint.localcloud.clock import Clock, Timer, pause
from aflint.localcloud.faults import Dice
from aflint.localcloud.household import Household, bytes_below, remove_tree
from aflint.localcloud.lambda_.outcome import (
    RESPONSE_BYTES,
    Doom,
    Outcome,
    Usage,
    compose_log,
    error_payload,
    exit_text,
    response_too_large,
    timeout_text,
)
from aflint.localcloud.lambda_.process import ChildProcess, MemoryWatch
from aflint.localcloud.lambda_.runtime import Image, RuntimeApi, command, variables
from aflint.localcloud.snapshot import Counters
from aflint.localcloud.wire import ServiceError

INIT_SECONDS = 10.0
"""What Lambda grants to load a function before the function's own time begins to count."""
_MB = 1024 * 1024
_UNHANDLED = "Unhandled"


@dataclass(frozen=True)
class Platform:
    """What every environment of one cloud shares."""

    clock: Clock
    dice: Dice
    counters: Counters
    household: Household
    memory_watch: MemoryWatch
    runtime_folder: Path
    variables: Callable[[str], Mapping[str, str]]
    """Credentials, region and endpoint for functions of a role, by its ARN."""
    freeze: bool


@dataclass
class Invocation:
    """One event on its way through an environment."""

    request_id: str
    payload: bytes
    trace_id: str
    client_context: str | None
    done: asyncio.Future[Outcome]
    started: float | None = None
    """When it was handed to the runtime; None while the environment still loads."""
    result: tuple[bytes, str | None] | None = None
    timers: list[Timer] = field(default_factory=list)
    doom: Doom | None = None
    """How it is to end before it has given its result, by a seeded fault."""


class Environment:
    """Runs invocations one after the other, in one process, until it is retired or dies.

    `on_idle` is called when it can take the next invocation, `on_gone` once when it has ended.
    """

    def __init__(
        self,
        name: str,
        image: Image,
        platform: Platform,
        on_idle: Callable[[Environment], None],
        on_gone: Callable[[Environment], None],
    ) -> None:
        self.name = name
        self.image = image
        self.invocations = 0
        self.idle_since: float | None = None
        self._platform = platform
        self._clock = platform.clock
        self._on_idle = on_idle
        self._on_gone = on_gone
        self._current: Invocation | None = None
        self._handed = asyncio.Event()
        self._process: ChildProcess | None = None
        self._doom: Doom | None = None  # why this process was killed; None while it was not
        self._init_began = self._clock.now()
        self._init_seconds: float | None = None
        self._init_error: bytes | None = None
        self._ready = False
        self._peak = 0
        self._tmp = platform.household.subfolder(f"tmp-{name}")

    @property
    def pid(self) -> int | None:
        """Its process, once it has one."""
        return self._process.pid if self._process else None

    @property
    def busy(self) -> bool:
        """Whether an invocation is assigned to it."""
        return self._current is not None

    # -- what the pool asks --------------------------------------------------------------------

    def begin(self, invocation: Invocation) -> None:
        """Take on an invocation; its future is set when it is over."""
        self._current = invocation
        self.invocations += 1
        self.idle_since = None
        if self._process is not None:
            self._process.thaw()  # before anything else: a frozen runtime cannot take the event
        if not self._ready:  # it is still loading: the function's own time begins at the hand-over
            limit = INIT_SECONDS + self.image.settings.timeout
            self._after(limit, lambda: self.end(Doom.TIMEOUT))
        self._platform.memory_watch.add(self)
        self._handed.set()  # wakes `next_invocation`, if the runtime is waiting there

    def end(self, doom: Doom) -> None:
        """Kill it; the first reason given is the one that counts."""
        if self._doom is None:
            self._doom = doom
        if self._process is not None:
            self._process.kill()

    def check_memory(self) -> None:
        """Kill it when it is over its memory."""
        if self._process is not None:
            resident = self._process.resident_mb()
            self._peak = max(self._peak, resident)
            if resident > self.image.settings.memory:
                self.end(Doom.MEMORY)

    async def run(self) -> None:
        """Start the process and look after it until it has ended and left nothing behind."""
        api, dice = RuntimeApi(self), self._platform.dice
        status = 1
        try:
            address = await api.start()
            if dice.happens("cold_start"):
                seconds = dice.seconds("cold_start", dice.faults.cold_start_seconds)
                await pause(self._clock, seconds)
            self._process = await ChildProcess.start(
                command(self.image, self._platform.runtime_folder),
                self._variables(address),
                self.image.code.root,
            )
            # At once, so that the helper kills it if this process dies from now on.
            self._platform.household.adopt(self._process.pid)
            if self._doom is not None:  # `end` was called before there was a process to kill
                self._process.kill()
            status = await self._process.wait()
        except OSError as error:
            self._fail_to_start(error)
        except asyncio.CancelledError:
            self.end(Doom.RETIRED)
            if self._process is not None:
                await self._process.wait()
            raise
        finally:
            self._conclude(status)
            await api.close()

    # -- what the runtime asks (RuntimeHost) ---------------------------------------------------

    async def next_invocation(self) -> tuple[Mapping[str, str], bytes]:
        # There are three cases: the runtime has just loaded, it is back with the result of an
        # invocation, or it asks again after it was idle.
        if not self._ready:
            self._ready = True
            self._init_seconds = self._clock.now() - self._init_began
        elif self._current is not None and self._current.result is not None:
            self._finish_result(self._current)
        while (current := self._current) is None or current.result is not None:
            # A runtime that asks for more while it has no work is idle, and frozen until `begin`.
            self._handed.clear()
            if self._platform.freeze and self._process is not None and self._doom is None:
                self._process.freeze()
            await self._handed.wait()
        return self._hand_over(current), current.payload

    def result(self, request_id: str, body: bytes) -> int:
        # The function has run to its end all the same: what is too large is its answer.
        if len(body) > RESPONSE_BYTES:
            return self._keep(request_id, response_too_large(), _UNHANDLED, 413)
        return self._keep(request_id, body, None, 202)

    def error(self, request_id: str, body: bytes) -> int:
        if len(body) > RESPONSE_BYTES:
            return self._keep(request_id, response_too_large(), _UNHANDLED, 413)
        return self._keep(request_id, body, _UNHANDLED, 202)

    def init_error(self, body: bytes) -> int:
        self._init_error = body
        return 202

    # -- within --------------------------------------------------------------------------------

    def _keep(self, request_id: str, body: bytes, error: str | None, status: int) -> int:
        current = self._current
        # An answer counts once, and only for the invocation that the runtime was given last.
        if current is None or current.request_id != request_id or current.result is not None:
            return 400
        current.result = (body, error)
        return status

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        assert self._current is not None
        timer = self._clock.call_at(self._clock.now() + seconds, callback)
        self._current.timers.append(timer)

    def _hand_over(self, invocation: Invocation) -> Mapping[str, str]:
        for timer in invocation.timers:  # what limited loading does not limit the invocation
            timer.cancel()
        invocation.started = self._clock.now()
        timeout = self.image.settings.timeout
        self._after(timeout, lambda: self.end(Doom.TIMEOUT))
        self._draw_faults(invocation)
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.image.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        if invocation.client_context is not None:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        return headers

    def _draw_faults(self, invocation: Invocation) -> None:
        dice = self._platform.dice
        within = dice.faults.kill_within_seconds
        for fault, doom in (("kill", Doom.FAULT), ("out_of_memory", Doom.MEMORY)):
            if invocation.doom is None and dice.happens(fault):
                invocation.doom = doom
                self._after(dice.seconds(fault, within), partial(self.end, doom))
        if self._process is not None and dice.happens("straggler"):
            begin = dice.seconds("straggler", within)
            self._after(begin, self._process.freeze)
            self._after(begin + dice.faults.straggler_seconds, self._process.thaw)

    def _finish_result(self, invocation: Invocation) -> None:
        """The runtime is back for more: the invocation is over, unless it is to die after all."""
        assert self._process is not None
        # It may have grown and shrunk between two samples; Lambda would have killed it meanwhile.
        if self._process.peak_mb() > self.image.settings.memory:
            self.end(Doom.MEMORY)
        if invocation.doom is not None:  # faster than its fault: it dies all the same
            self.end(invocation.doom)
        if self._doom is not None:
            return  # `_conclude` settles it once the process has ended
        assert invocation.result is not None
        payload, error = invocation.result
        self._settle(invocation, payload, error, "", "")
        self.idle_since = self._clock.now()
        self._on_idle(self)

    def _settle(
        self, invocation: Invocation, payload: bytes, error: str | None, ending: str, status: str
    ) -> None:
        usage = self._usage(invocation)
        # The process has written all it wrote before it asked for more, or before it died.
        output = self._process.take_output() if self._process else b""
        self._note_tmp()
        log = compose_log(invocation.request_id, output, usage, ending, status)
        for timer in invocation.timers:
            timer.cancel()
        self._platform.memory_watch.remove(self)
        self._current = None
        self._init_seconds = None  # only the first invocation shows and pays for INIT
        if not invocation.done.done():
            invocation.done.set_result(Outcome(payload, error, log, usage))

    def _usage(self, invocation: Invocation) -> Usage:
        now = self._clock.now()
        init = self._init_seconds
        if invocation.started is None:  # it never got as far: all its time was loading
            init = now - self._init_began
        duration = 0.0 if invocation.started is None else now - invocation.started
        memory = self.image.settings.memory
        if self._process is not None:
            self._peak = max(self._peak, self._process.peak_mb())
        # Lambda never reports more than the limit, and a process may pass it between two samples.
        peak = memory if self._doom is Doom.MEMORY else min(self._peak, memory)
        return Usage(duration, init, memory, peak)

    def _note_tmp(self) -> None:
        most = self.image.settings.tmp * _MB
        if bytes_below(self._tmp) > most:
            self._platform.counters.tmp_overflows += 1

    def _fail_to_start(self, error: OSError) -> None:
        invocation = self._current
        if invocation is not None and not invocation.done.done():
            self._current = None
            invocation.done.set_exception(
                ServiceError("ServiceException", f"The function could not be started: {error}", 500)
            )

    def _conclude(self, status: int) -> None:
        """The process has ended: settle what it worked on, remove what it had."""
        if self._current is not None:  # before the process is closed: its output is still read
            self._settle_dead(self._current, status)
        self._platform.memory_watch.remove(self)
        if self._process is not None:
            self._platform.household.bury(self._process.pid)
            self._process.close()
        remove_tree(str(self._tmp))
        if self._doom is not Doom.RETIRED:
            cause = self._doom.value if self._doom else "exit"
            self._platform.counters.lambda_kills[cause] += 1
        self._on_gone(self)

    def _settle_dead(self, invocation: Invocation, status: int) -> None:
        request_id = invocation.request_id
        if self._doom is Doom.TIMEOUT:
            text = timeout_text(request_id, self._clock.now(), self.image.settings.timeout)
            payload = error_payload("Sandbox.Timedout", text)
            self._settle(invocation, payload, _UNHANDLED, text + "\n", "Status: timeout")
        elif self._doom is None and invocation.result is not None:  # it exited after its result
            payload, error = invocation.result
            self._settle(invocation, payload, error, "", "")
        elif self._doom is None and self._init_error is not None:
            self._settle(invocation, self._init_error, _UNHANDLED, "", "Status: error")
        else:
            # Lambda reports both as an exit; only the REPORT line tells memory from a crash.
            kind = "Runtime.OutOfMemory" if self._doom is Doom.MEMORY else "Runtime.ExitError"
            text = exit_text(request_id, status)
            payload = error_payload("Runtime.ExitError", text)
            ending = f"{text}\nRuntime.ExitError"
            self._settle(
                invocation, payload, _UNHANDLED, ending, f"Status: error\tError Type: {kind}"
            )

    def _variables(self, address: str) -> dict[str, str]:
        return variables(
            self.image,
            self.name,
            address,
            tmp=self._tmp,
            runtime=self._platform.runtime_folder,
            credentials=self._platform.variables(self.image.settings.role),
            now=self._clock.now(),
        )
