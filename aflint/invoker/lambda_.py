"""Lambda functions: one invocation for each attempt, thousands of them from one process."""

from __future__ import annotations

import asyncio
import logging
import random
import resource
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aflint import __version__, limits
from aflint.aio import first_error
from aflint.aws import envelope
from aflint.aws.clients import Aws
from aflint.aws.explain import cause_of, nothing_was_sent, refusal_of
from aflint.aws.failures import Kind, Refusal, translate
from aflint.aws.invocation import Invocation, failure_of, read_invocation
from aflint.aws.retries import Retries
from aflint.codec import sealed
from aflint.codec.digest import checked
from aflint.codec.sealed import MOST_ADDED, TaskSealer
from aflint.codec.secret import Secret
from aflint.errors import (
    AflintError,
    AttemptError,
    BundleMismatchError,
    ConfigError,
    InternalError,
    PayloadRefusedError,
    ThrottledError,
    WorkerLostError,
)
from aflint.frozen import changed
from aflint.invoker.base import Invoker
from aflint.storage.base import Storage
from aflint.task import AwsEndpoints, TaskDescription, TaskResult
from aflint.wire import unpack

_log = logging.getLogger("aflint.invoker")

PATIENCE_S = 60.0
"""How much longer than a function may run its answer is waited for. That its machine is lost shows
sooner: TCP asks a silent connection after a minute, and gives it up a minute later."""

HELD_BYTES = 64 * limits.MIB
"""What all requests under way may come to: each is held until its function has answered."""

_LEAST_STORED = 32 * limits.KIB
"""Smaller requests are sent as they are, however many: most tasks take a few KiB."""

_CONNECTS = Retries()
_OTHER_FILES = 256
_HOLD_S = 0.5
_WAVE = 50
_WAVE_S = 0.1
_NOT_READY = frozenset({"ResourceConflictException", "ResourceNotReadyException"})
"""The function is being updated, or woken after long idleness: the call never ran."""


class LambdaInvoker(Invoker):
    """Invokes functions, each attempt once: what is tried again is for the scheduler to decide.

    `functions` are names or ARNs by memory in MB; a task goes to the smallest that has what it asks
    for. At most `concurrency` invocations are under way. `storage` takes requests that are too
    large for Lambda, or to hold so many of, and functions find it by `endpoints`; all are sealed
    with `secret`, which the functions have, too. An answer is waited for `patience_s`, longer than
    any function may run.
    """

    def __init__(
        self,
        aws: Aws,
        functions: Mapping[int, str],
        storage: Storage,
        secret: Secret,
        concurrency: int = limits.LAMBDA_CONCURRENCY,
        patience_s: float = limits.LAMBDA_TIMEOUT_S + PATIENCE_S,
        endpoints: AwsEndpoints | None = None,
    ) -> None:
        if not functions:
            raise ConfigError("There is no Lambda function to run tasks: run `aflint deploy`.")
        self._aws = aws
        self._functions = dict(sorted(functions.items()))
        self._storage = storage
        self._secret = secret
        self._concurrency = self._limit = concurrency
        self._most_sent = most_sent(concurrency)
        self._sealer = TaskSealer(secret)
        self._patience_s = patience_s
        self._endpoints = endpoints
        # Invocations that ran no task, to see that a function is there or to warm it; they cost.
        self.held = 0
        self.held_gb_seconds = 0.0

    @property
    def slots(self) -> int:
        return self._limit

    def limit(self, slots: int) -> None:
        """Have at most so many invocations under way, and never more than `concurrency`."""
        self._limit = max(1, min(slots, self._concurrency))

    async def start(self) -> None:
        """Invoke the smallest function: see that it exists, may be used and fits this driver.

        Raises CredentialsError, AccessDeniedError, FunctionNotFoundError, WrongRegionError,
        EndpointUnreachableError, BundleMismatchError, or ConfigError where this process may not
        open as many connections as `concurrency`.
        """
        _allow_files(self._concurrency)
        function, tried = self._function_for(0), 0
        while True:
            tried += 1
            try:
                await self._hold(function, 0.0)
                return
            except AttemptError as error:  # throttled, killed, or its answer was lost
                if not error.retriable or not _CONNECTS.again(Kind.TRANSIENT, tried):
                    raise
            await asyncio.sleep(_CONNECTS.wait(tried, random.random()))

    async def invoke(self, task: TaskDescription) -> TaskResult:
        function = self._function_for(task.memory_mb)
        what = f"partition {task.id.partition} of stage {task.id.stage}"
        _log.debug("%s goes to function %s", task.id, function)
        invocation, by_storage = await self._run(task, function, what)
        result = await self._result(invocation.payload, function, what)
        usage = invocation.usage
        _log.debug("%s comes back from %s, %.3f s billed", task.id, function, usage.billed_s)
        # A function cannot count what it reads before it knows its task, nor the PUT of a result
        # that is made already.
        stored = isinstance(invocation.payload, dict)
        metrics = changed(
            result.metrics,
            s3_puts=result.metrics.s3_puts + stored,
            s3_gets=result.metrics.s3_gets + by_storage,
            memory_mb=usage.memory_mb,
            cold_start=usage.init_s is not None,
            init_seconds=usage.init_s or 0.0,
            billed_seconds=usage.billed_s,
        )
        return changed(result, metrics=metrics)

    async def warm(self, count: int, memory_mb: int = 0) -> int:
        """Start `count` environments and return how many were new; stop asking once Lambda
        throttles.

        Calls begin in waves, far enough apart for a throttled one to be heard of, and all hold
        their environment until the last wave has begun: none is given two of them.
        """
        function = self._function_for(memory_mb)
        waves = [min(_WAVE, count - begun) for begun in range(0, count, _WAVE)]
        calls: list[asyncio.Task[bool | None]] = []
        with first_error():
            async with asyncio.TaskGroup() as group:
                for number, size in enumerate(waves, 1):
                    # Longer for earlier waves: all end about together, after the last has begun.
                    seconds = _HOLD_S + _WAVE_S * (len(waves) - number)
                    calls += [
                        group.create_task(self._warmed(function, seconds)) for _ in range(size)
                    ]
                    await asyncio.sleep(_WAVE_S if number < len(waves) else 0)
                    if any(call.done() and call.result() is None for call in calls):
                        break
        return sum(call.result() or False for call in calls)

    async def aclose(self) -> None:
        await self._aws.aclose()

    async def _warmed(self, function: str, seconds: float) -> bool | None:
        """Hold an environment and return whether it was new; None if Lambda throttles."""
        try:
            held = await self._hold(function, seconds)
        except ThrottledError:
            return None
        return held.usage.init_s is not None

    async def _hold(self, function: str, seconds: float) -> Invocation:
        seal = partial(sealed.seal_hold, self._secret, seconds)
        invocation = await self._invoke(function, sealed.HOLD, seal, "the first call")
        usage = invocation.usage
        self.held += 1
        self.held_gb_seconds += usage.billed_s * usage.memory_mb / 1024
        if isinstance(invocation.payload, dict) and "refused" not in invocation.payload:
            return invocation
        raise _unexpected(invocation.payload, function, "the first call")

    def _function_for(self, memory_mb: int) -> str:
        """Return the smallest function with that much memory, or the largest there is."""
        for memory, name in self._functions.items():
            if memory >= memory_mb:
                return name
        return self._functions[max(self._functions)]

    async def _run(
        self, task: TaskDescription, function: str, what: str
    ) -> tuple[Invocation, bool]:
        """Invoke with a task; return, too, whether it was so large that it went through storage."""
        packed, job = self._sealer.pack(task), task.id.job
        if len(packed) <= self._most_sent:
            return await self._invoke(function, sealed.TASK, packed.seal, what), False
        # It lies in storage, and what is sent is its address.
        location = f"{task.storage}/requests/{job}/{secrets.token_hex(16)}"
        await self._storage.write(location, packed.seal())
        del packed  # a function may take 15 minutes to answer
        seal = partial(sealed.seal_address, self._secret, job, location, self._endpoints)
        return await self._invoke(function, sealed.AT, seal, what), True

    async def _invoke(
        self, function: str, purpose: str, seal: Callable[[], bytes], what: str
    ) -> Invocation:
        invocation = await self._answer(function, purpose, seal, what)
        if invocation.error:
            error = failure_of(invocation, function, what)
            if isinstance(error, AttemptError):  # a failed invocation is billed, too
                usage = invocation.usage
                error.billed_seconds, error.memory_mb = usage.billed_s, usage.memory_mb
            raise error
        return invocation

    async def _answer(
        self, function: str, purpose: str, seal: Callable[[], bytes], what: str
    ) -> Invocation:
        """Invoke once; again, newly sealed, only if no connection was made, so nothing was sent."""
        client = await self._aws.client(
            "lambda", read_s=self._patience_s, attempts=1, pool=self._concurrency
        )
        tried = 0
        while True:
            tried += 1
            # Sealed for each try: a function opens no payload twice.
            body = envelope.request(__version__, purpose, seal())
            try:
                answer = await client.invoke(FunctionName=function, LogType="Tail", Payload=body)
                data = await answer["Payload"].read()
            except Exception as error:
                # Anything that was sent may run: whether to try again is the scheduler's decision.
                if not nothing_was_sent(error) or not _CONNECTS.again(Kind.TRANSIENT, tried):
                    raise self._explained(error, function, what) from error
                await asyncio.sleep(_CONNECTS.wait(tried, random.random()))
                continue
            request_id = answer["ResponseMetadata"].get("RequestId", "")
            failed, log = answer.get("FunctionError", ""), answer.get("LogResult", "")
            return read_invocation(data, failed, request_id, log)

    def _explained(self, error: Exception, function: str, what: str) -> Exception:
        """Return aflint's error for a call's: it depends on whether the function may have run."""
        from botocore import exceptions as its

        subject = f"function {function}"
        if isinstance(error, its.ClientError):
            return _refused(refusal_of(error), subject, what)
        connection = its.HTTPClientError | its.ConnectionError
        if isinstance(error, connection) and not nothing_was_sent(error):
            return WorkerLostError(
                f"The connection to Lambda was lost while {what} ran in {subject} "
                f"({cause_of(error)}); it may have run to its end."
            )
        return self._aws.explained(error, "lambda", "InvokeFunction", subject)

    async def _result(self, answer: Any, function: str, what: str) -> TaskResult:
        if isinstance(answer, dict) and "at" in answer:
            data = await self._storage.read(answer["at"])
            result = unpack(checked(data, answer["digest"], f"the result of {what}"))
        elif isinstance(answer, str):
            result = envelope.value_of(answer)
        else:
            raise _unexpected(answer, function, what)
        assert isinstance(result, TaskResult)
        return result


def most_sent(concurrency: int) -> int:
    """Return how many packed bytes a request is sent with, and does not go through storage.

    A reduce task is told where each map task's bytes for it lie: of 100,000, that takes megabytes.
    """
    fits = envelope.MOST_REQUEST - MOST_ADDED
    return min(fits, max(_LEAST_STORED, HELD_BYTES // concurrency))


def _refused(refusal: Refusal, subject: str, what: str) -> AflintError:
    """Return the error for a call that Lambda turned away."""
    if refusal.kind is Kind.THROTTLED or refusal.code in _NOT_READY:
        throttled = ThrottledError(
            f"Lambda refused to start {what} in {subject} for now: {refusal.code}: "
            f"{refusal.message} (request {refusal.request_id})"
        )
        throttled.retry_after_s = refusal.retry_after_s
        return throttled
    if refusal.kind is Kind.TRANSIENT:
        return WorkerLostError(
            f"Lambda failed while {what} ran in {subject}: {refusal.code}: "
            f"{refusal.message} (request {refusal.request_id})"
        )
    return translate(refusal, "lambda", "InvokeFunction", subject)


def _unexpected(answer: Any, function: str, what: str) -> AflintError:
    if not isinstance(answer, dict) or "refused" not in answer:
        return InternalError(f"{what}: function {function} answered {str(answer)[:200]!r}")
    if answer.get("kind") == PayloadRefusedError.__name__:
        return PayloadRefusedError(f"{what}, function {function}: {answer['refused']}")
    return BundleMismatchError(
        f"Function {function} does not fit this driver: {answer['refused']}. Run "
        "`aflint deploy` from here, or use the Python that it was deployed from."
    )


def _allow_files(concurrency: int) -> None:
    """Let this process open a connection for each invocation, and the other files of a driver."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = concurrency + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        lower = hard - _OTHER_FILES
        raise ConfigError(
            f"this process may open {hard} files, and a driver needs {_OTHER_FILES} beside one for "
            f"each of {concurrency} invocations at once (`concurrency`): allow it {wanted} "
            f"(`ulimit -n {wanted}`)"
            + (f", or set `concurrency` to {lower}." if lower > 0 else ".")
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
