"""What an invocation's answer and the tail of its log say: billing, cold starts, failures. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pybase64

from aflint.crash import last_words
from aflint.errors import (
    AflintError,
    BundleMismatchError,
    InternalError,
    OutOfMemoryError,
    PayloadTooLargeError,
    TimedOutError,
    WorkerLostError,
)

_FIELD = re.compile(
    r"\t(Duration|Billed Duration|Memory Size|Max Memory Used|Init Duration): "
    r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
)
_ERROR_TYPE = re.compile(r"\tError Type: (\S+)")
_BROKEN_BUNDLE = frozenset(
    {
        "Runtime.ImportModuleError", "Runtime.HandlerNotFound", "Runtime.MalformedHandlerName",
        "Runtime.UserCodeSyntaxError", "Runtime.InvalidEntrypoint", "Runtime.InvalidTaskConfig",
    }
)  # fmt: skip
_NEARLY_ALL = 0.95
_NO_REPORT = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What reading a line can raise that looks like a report and is the user's own."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the REPORT line says: seconds and MB. `init_s` is None for a warm start."""

    duration_s: float = 0.0
    billed_s: float = 0.0
    init_s: float | None = None
    memory_mb: int = 0
    peak_mb: int = 0
    error_type: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation that Lambda answered. `error` is empty where the handler returned."""

    payload: Any
    error: str
    request_id: str
    log: str
    usage: Usage


def read_invocation(body: bytes, error: str, request_id: str, log_tail: str) -> Invocation:
    """Read an answer with status 200. A payload that is no JSON is given as text.

    `log_tail` is the end of the log in base64, as Lambda sends it.
    """
    try:
        log = pybase64.b64decode(log_tail).decode("utf-8", "replace")
    except ValueError:
        log = ""  # the task's result counts for more than the tail of its log
    try:
        payload = json.loads(body or b"null")
    except (ValueError, RecursionError):
        payload = body.decode("utf-8", "replace")
    return Invocation(payload, error, request_id, log, read_usage(log))


def read_usage(log: str) -> Usage:
    """Return what a log's REPORT line, or its platform.report record, says; zeros without one."""
    start = log.rfind("REPORT RequestId:")
    if start < 0:
        return _read_json_usage(log)
    line = log[start:].partition("\n")[0]
    found = dict(_FIELD.findall(line))
    init = found.get("Init Duration")
    kind = _ERROR_TYPE.search(line)
    return Usage(
        float(found.get("Duration", 0)) / 1000,
        float(found.get("Billed Duration", 0)) / 1000,
        float(init) / 1000 if init else None,
        int(float(found.get("Memory Size", 0))),
        int(float(found.get("Max Memory Used", 0))),
        kind[1] if kind else "",
    )


def _read_json_usage(log: str) -> Usage:
    """Read the record of functions that log in JSON."""
    for line in reversed(log.splitlines()):
        if '"platform.report"' not in line:
            continue
        try:
            record = json.loads(line)["record"]
            metrics = record["metrics"]
            init = metrics.get("initDurationMs")
            return Usage(
                metrics["durationMs"] / 1000,
                metrics["billedDurationMs"] / 1000,
                None if init is None else init / 1000,
                int(metrics["memorySizeMB"]),
                int(metrics["maxMemoryUsedMB"]),
                str(record.get("errorType", "")),
            )
        except _NO_REPORT:
            return Usage()
    return Usage()


def failure_of(invocation: Invocation, function: str, what: str) -> AflintError:
    """Return the error for an invocation whose handler did not return; `what` names the task."""
    payload = invocation.payload if isinstance(invocation.payload, dict) else {}
    kind, text = str(payload.get("errorType", "")), str(payload.get("errorMessage", ""))
    cls, advice = _verdict(kind, text, invocation.usage)
    said = f"{kind}: {text}".strip(": ") or str(invocation.payload)[:300]
    log = last_words(invocation.log)
    return cls(
        f"{what} ended in function {function} with {said}. {advice} "
        f"(request {invocation.request_id})" + (f"\nThe end of its log:\n{log}" if log else "")
    )


def _verdict(kind: str, text: str, usage: Usage) -> tuple[type[AflintError], str]:
    if kind == "Sandbox.Timedout" or "Task timed out after" in text:
        return TimedOutError, "Use more partitions, or raise the function's time limit."
    if _is_out_of_memory(kind, text, usage):
        return (
            OutOfMemoryError,
            f"Used {usage.peak_mb} of {usage.memory_mb} MB: use more partitions, or more memory.",
        )
    if kind in _BROKEN_BUNDLE:
        return BundleMismatchError, "The deployed bundle cannot be loaded: run `aflint deploy`."
    if kind == "Function.ResponseSizeTooLarge":
        return PayloadTooLargeError, "Use more partitions, so that each returns less."
    if kind.startswith(("Runtime.", "Sandbox.", "Extension.")) or "Runtime exited" in text:
        return WorkerLostError, "Its process ended: look for crashes in native code."
    return InternalError, "The handler failed outside of the task; please report it."


def _is_out_of_memory(kind: str, text: str, usage: Usage) -> bool:
    if "Runtime.OutOfMemory" in (kind, usage.error_type) or kind == "MemoryError":
        return True
    killed = kind == "Runtime.ExitError" and "signal: killed" in text
    return killed and usage.peak_mb >= usage.memory_mb * _NEARLY_ALL > 0
