from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Any

import pytest

from aflint import errors
from aflint.aws import envelope
from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.aws.invocation import Invocation, Usage
from aflint.codec import sealed
from aflint.invoker.lambda_ import HELD_BYTES, LambdaInvoker, most_sent
from aflint.task import TaskResult
from aflint.testing.clock import run_virtual
from tests.aws.clouds import BUCKET, connect
from tests.invoker.conftest import SECRET, Lambdas, task_of, value_of


def total(partition: int, data: Any) -> tuple[int, int]:
    return partition, sum(data)


async def test_a_task_runs_and_says_whether_it_started_cold(lambdas: Lambdas) -> None:
    await lambdas.create()
    invoker = lambdas.invoker()
    first = await invoker.invoke(task_of(total, [1, 2, 3], 7))
    second = await invoker.invoke(task_of(total, [4], 8))
    assert await value_of(first, lambdas.storage) == (7, 6)
    assert await value_of(second, lambdas.storage) == (8, 4)
    assert first.metrics.cold_start
    assert first.metrics.init_seconds > 0
    assert not second.metrics.cold_start
    assert second.metrics.init_seconds == 0
    assert second.metrics.billed_seconds >= 0.001


async def test_start_and_warm_count_new_environments(lambdas: Lambdas) -> None:
    await lambdas.create()
    invoker = lambdas.invoker(concurrency=3)
    await invoker.start()
    assert await invoker.warm(3) == 2
    assert len(lambdas.cloud.snapshot().environments) == 3
    assert await invoker.warm(5) == 0  # two are throttled: the account grants three
    assert invoker.slots == 3


async def test_too_few_files_for_the_concurrency_are_said_with_what_they_are_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (256, 1256))
    aws = Aws("us-east-1", credentials=Credentials("a", "b"))
    invoker = LambdaInvoker(aws, {1769: "f"}, None, SECRET, 1001)  # type: ignore[arg-type]
    said = r"may open 1256 files.* 256 beside one for each of 1001 .*`ulimit -n 1257`.* to 1000\."
    with pytest.raises(errors.ConfigError, match=said):
        await invoker.start()


class ScriptedLambda(LambdaInvoker):
    """Holds environments on a virtual clock: `script` says what comes of each call, by number."""

    def __init__(self, script: Callable[[int], Exception | None]) -> None:
        aws = Aws("us-east-1", credentials=Credentials("a", "b"))
        super().__init__(aws, {1769: "f"}, storage=None, secret=SECRET)  # type: ignore[arg-type]
        self.script = script
        self.ends: list[float] = []
        self.asked = 0

    async def _hold(self, function: str, seconds: float) -> Invocation:
        self.asked += 1
        if error := self.script(self.asked):
            await asyncio.sleep(0.02)
            raise error
        self.ends.append(asyncio.get_running_loop().time() + seconds)
        await asyncio.sleep(seconds)
        return Invocation({}, "", "", "", Usage(init_s=0.2))


def test_warming_holds_all_environments_at_once() -> None:
    async def warmed() -> None:
        invoker = ScriptedLambda(lambda _: None)
        assert await invoker.warm(120) == 120
        assert max(invoker.ends) - min(invoker.ends) < 0.001
        assert await invoker.warm(0) == 0

    run_virtual(warmed())


def test_warming_stops_asking_once_lambda_throttles() -> None:
    async def warmed() -> None:
        invoker = ScriptedLambda(lambda asked: errors.ThrottledError("no") if asked > 60 else None)
        assert await invoker.warm(5_000) == 60
        assert invoker.asked == 100

    run_virtual(warmed())


def test_warming_raises_what_a_call_raises_and_no_group() -> None:
    async def warmed() -> None:
        denied = errors.AccessDeniedError("no")
        with pytest.raises(errors.AccessDeniedError):
            await ScriptedLambda(lambda asked: denied if asked == 7 else None).warm(1_000)

    run_virtual(warmed())


async def test_large_requests_and_results_go_through_storage(lambdas: Lambdas) -> None:
    await lambdas.create()
    noise = os.urandom(6 * 2**20)
    task = task_of(lambda _, data: b"".join(data), [noise], max_result_bytes=1000)
    result = await lambdas.invoker().invoke(task)
    assert await value_of(result, lambdas.storage) == noise
    keys = lambdas.cloud.snapshot().buckets[BUCKET]
    assert sum(key.startswith("test/requests/job/") for key in keys) == 1
    assert sum(key.startswith("test/results/job/") for key in keys) == 1


async def test_a_thousand_requests_at_once_go_through_storage_where_they_are_large_together(
    lambdas: Lambdas,
) -> None:
    await lambdas.create()
    noise = os.urandom(100_000)
    task = task_of(lambda _, data: len(b"".join(data)), [noise])
    for concurrency, stored in ((3, 0), (1_000, 1)):
        result = await lambdas.invoker(concurrency=concurrency).invoke(task)
        assert await value_of(result, lambdas.storage) == len(noise)
        keys = lambdas.cloud.snapshot().buckets[BUCKET]
        assert sum(key.startswith("test/requests/job/") for key in keys) == stored


def test_what_requests_hold_together_is_bounded() -> None:
    for concurrency in (1, 10, 100, 1_000):
        assert most_sent(concurrency) * concurrency <= HELD_BYTES
    # Within what Lambda takes, with all that is added to it.
    assert most_sent(1) + sealed.MOST_ADDED <= envelope.MOST_REQUEST
    assert most_sent(100_000) == most_sent(10_000) == 32 * 1024


async def test_a_response_that_nobody_stored_is_stored_whole(lambdas: Lambdas) -> None:
    await lambdas.create()
    task = task_of(lambda *_: os.urandom(6 * 2**20), [1])  # max_result_bytes is not set
    result = await lambdas.invoker().invoke(task)
    assert len(await value_of(result, lambdas.storage)) == 6 * 2**20


async def test_an_exception_of_the_user_is_a_result(lambdas: Lambdas) -> None:
    await lambdas.create()
    result = await lambdas.invoker().invoke(task_of(lambda _, data: 1 // 0, [1]))
    assert result.failure is not None
    assert "ZeroDivisionError" in result.failure.message


async def test_a_time_limit_is_timed_out(lambdas: Lambdas) -> None:
    await lambdas.create(Timeout=1)

    def forever(*_: Any) -> None:
        while True:
            pass

    with pytest.raises(errors.TimedOutError, match=r"(?s)partition 0 of stage 0.*request.*REPORT"):
        await lambdas.invoker().invoke(task_of(forever, [1]))


async def test_a_crash_is_a_lost_worker(lambdas: Lambdas) -> None:
    await lambdas.create()

    def crash(*_: Any) -> None:
        os.write(2, b"last words\n")
        os._exit(3)

    with pytest.raises(errors.WorkerLostError, match=r"(?s)exit status 3.*request.*last words"):
        await lambdas.invoker().invoke(task_of(crash, [1]))


async def test_a_crash_in_native_code_says_where_it_was(lambdas: Lambdas) -> None:
    await lambdas.create()

    def crash(*_: Any) -> None:
        ctypes.string_at(0)

    with pytest.raises(errors.WorkerLostError, match=r"(?s)Fatal Python error: Seg.*in crash"):
        await lambdas.invoker().invoke(task_of(crash, [1]))


async def test_a_full_memory_is_out_of_memory(lambdas: Lambdas) -> None:
    await lambdas.create(MemorySize=128)

    def hoard(*_: Any) -> None:
        held = []
        while True:
            held.append(b"x" * 1_000_000)

    with pytest.raises(errors.OutOfMemoryError, match="128 MB"):
        await lambdas.invoker(memory_mb=128).invoke(task_of(hoard, [1]))


async def test_one_too_many_is_throttled(lambdas: Lambdas) -> None:
    await lambdas.create()
    invoker = lambdas.invoker()

    tasks = [task_of(lambda *_: __import__("time").sleep(0.3), [1], each) for each in range(5)]
    ended = await asyncio.gather(*map(invoker.invoke, tasks), return_exceptions=True)
    throttled = [each for each in ended if isinstance(each, errors.ThrottledError)]
    assert [each.retry_after_s for each in throttled] == [1.0, 1.0]
    assert sum(isinstance(each, TaskResult) for each in ended) == 3


async def test_a_bundle_that_cannot_be_loaded(lambdas: Lambdas) -> None:
    await lambdas.create(before="import nowhere_to_be_found")
    with pytest.raises(errors.BundleMismatchError, match="aflint deploy"):
        await lambdas.invoker().start()


async def test_a_bundle_of_another_version(lambdas: Lambdas) -> None:
    await lambdas.create(before="import aflint.aws.envelope as e; e.PYTHON = '3.99'")
    with pytest.raises(errors.VersionMismatchError, match=r"(?s)3\.99.*aflint deploy"):
        await lambdas.invoker().start()


async def test_an_absent_function(lambdas: Lambdas) -> None:
    with pytest.raises(errors.FunctionNotFoundError, match=r"function nowhere.*aflint deploy"):
        await lambdas.invoker("nowhere").start()


async def test_a_denied_call(lambdas: Lambdas) -> None:
    await lambdas.create()
    lambdas.cloud.deny(["lambda:*"])
    with pytest.raises(errors.AccessDeniedError, match=r"lambda:Invoke.*--print-iam"):
        await lambdas.invoker().start()


async def test_expired_credentials(lambdas: Lambdas) -> None:
    await lambdas.create()
    lambdas.cloud.expire_credentials()
    with pytest.raises(errors.CredentialsError, match="expired"):
        await lambdas.invoker().start()


async def test_another_region(lambdas: Lambdas) -> None:
    aws = connect(lambdas.cloud, region="eu-central-1")
    with pytest.raises(errors.WrongRegionError, match="region"):
        await LambdaInvoker(aws, {1: "task"}, lambdas.storage, SECRET).start()
    await aws.aclose()


async def test_unknown_credentials(lambdas: Lambdas) -> None:
    aws = connect(lambdas.cloud, credentials=Credentials("AKIA", "secret"))
    with pytest.raises(errors.CredentialsError, match="access key"):
        await LambdaInvoker(aws, {1: "task"}, lambdas.storage, SECRET).start()
    await aws.aclose()


async def test_nobody_listens(lambdas: Lambdas, unused_tcp_port: int) -> None:
    aws = connect(lambdas.cloud, endpoint_url=f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(errors.EndpointUnreachableError, match=f"{unused_tcp_port}.*endpoint_url"):
        await LambdaInvoker(aws, {1: "task"}, lambdas.storage, SECRET).start()


def test_tasks_go_to_the_smallest_function_that_suffices() -> None:
    aws = Aws("us-east-1", credentials=Credentials("a", "b"))
    invoker = LambdaInvoker(aws, {3538: "large", 1769: "small"}, storage=None, secret=SECRET)  # type: ignore[arg-type]
    chosen = [invoker._function_for(memory) for memory in (0, 1769, 1770, 3538, 9999)]
    assert chosen == ["small", "small", "large", "large", "large"]
    with pytest.raises(errors.ConfigError, match="aflint deploy"):
        LambdaInvoker(aws, {}, storage=None, secret=SECRET)  # type: ignore[arg-type]
