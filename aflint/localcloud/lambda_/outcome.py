"""What an invocation ends with: payload, error kind and log, in Lambda's own words. Pure."""

from __future__ import annotations

import enum
import json
import math
import signal
from dataclasses import dataclass
from datetime import UTC, datetime

from aflint import limits

_TAIL_BYTES = 4096
_RESPONSE_SLACK = 100
"""Lambda takes 6,291,556 bytes: 6 MiB and 100."""
RESPONSE_BYTES = limits.LAMBDA_RESPONSE_BYTES + _RESPONSE_SLACK
_SIGNALS = {
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
    signal.SIGTERM: "terminated",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGILL: "illegal instruction",
}


class Doom(enum.Enum):
    """Why the emulator ended an environment."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    FAULT = "fault"
    """Killed by the seeded fault `kill`; `out_of_memory` is MEMORY."""
    RETIRED = "retired"
    """Idle for long, replaced by a newer revision, or the cloud is closing."""


@dataclass(frozen=True)
class Usage:
    """What the REPORT line states; times in seconds, sizes in MB. `init` is None when warm."""

    duration: float
    init: float | None
    memory: int
    peak: int

    @property
    def billed_ms(self) -> int:
        """Begun milliseconds, INIT included."""
        return max(1, math.ceil((self.duration + (self.init or 0.0)) * 1000))


@dataclass(frozen=True)
class Outcome:
    """One finished invocation; `error` is X-Amz-Function-Error."""

    payload: bytes
    error: str | None
    log: bytes
    usage: Usage

    @property
    def tail(self) -> bytes:
        """The last 4 KB of the log."""
        return self.log[-_TAIL_BYTES:]


def error_payload(kind: str, message: str) -> bytes:
    """The document of an error that the platform, not the runtime, reports."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def response_too_large() -> bytes:
    """The payload in place of a response over the limit."""
    return error_payload(
        "Function.ResponseSizeTooLarge",
        f"Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES} bytes).",
    )


def timeout_text(request_id: str, now: float, seconds: float) -> str:
    """The words of a timeout, in the log and in the payload."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return f"{stamp} {request_id} Task timed out after {seconds:.2f} seconds"


def exit_text(request_id: str, status: int) -> str:
    """The words for a runtime that ended; `status` as in subprocess, negative for a signal."""
    if status == 0:
        return f"RequestId: {request_id} Error: Runtime exited without providing a reason"
    if status > 0:
        return f"RequestId: {request_id} Error: Runtime exited with error: exit status {status}"
    name = _SIGNALS.get(signal.Signals(-status), signal.Signals(-status).name.lower())
    return f"RequestId: {request_id} Error: Runtime exited with error: signal: {name}"


def compose_log(request_id: str, output: bytes, usage: Usage, ending: str, status: str) -> bytes:
    """START, what the function wrote, END and REPORT.

    `ending` is the platform's own line, if any; `status` what REPORT says went wrong, if anything.
    """
    if output and not output.endswith(b"\n"):
        output += b"\n"
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {usage.duration * 1000:.2f} ms\t"
        f"Billed Duration: {usage.billed_ms} ms\tMemory Size: {usage.memory} MB\t"
        f"Max Memory Used: {usage.peak} MB\t"
    )
    if usage.init is not None:
        report += f"Init Duration: {usage.init * 1000:.2f} ms\t"
    report += f"{status}\t" if status else ""
    start = f"START RequestId: {request_id} Version: $LATEST\n".encode()
    end = (f"{ending}\n" if ending else "") + f"END RequestId: {request_id}\n{report}\n"
    return start + output + end.encode()
