from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aflint.localcloud import Faults, LocalCloud, ManualClock
from tests.localcloud.conftest import Lambdas
from tests.localcloud.helpers import eventually

pytest.importorskip("awslambdaric")

ECHO = "def handler(event, context): return event"
COUNT = """
import os
count = 0
def handler(event, context):
    global count
    count += 1
    return [os.getpid(), count]
"""
WAIT = """
import os, time
def handler(event, context):
    open(event, "w").close()
    while os.path.exists(event):
        time.sleep(0.005)
    return os.getpid()
"""
"""Runs until its marker file, which it makes itself, is removed."""


@pytest.fixture
async def cloud(clock: ManualClock) -> AsyncIterator[LocalCloud]:
    async with LocalCloud(
        clock=clock, concurrency=3, unreserved_minimum=1, verify_signatures=False
    ) as running:
        yield running


@pytest.fixture
async def functions(
    cloud: LocalCloud, lambdas: Callable[[LocalCloud], Awaitable[Lambdas]]
) -> Lambdas:
    return await lambdas(cloud)


def process_state(pid: int | None) -> str:
    """The letter that Linux shows: T for stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def tail(response: dict[str, Any]) -> str:
    return base64.b64decode(response["LogResult"]).decode()


async def test_a_cold_start_then_a_warm_one_in_the_same_process(
    functions: Lambdas, cloud: LocalCloud
) -> None:
    await functions.create("f", COUNT)
    first = await functions.invoke("f", LogType="Tail")
    second = await functions.invoke("f", LogType="Tail")
    assert [first["Payload"][1], second["Payload"][1]] == [1, 2]
    assert first["Payload"][0] == second["Payload"][0]
    assert "Init Duration" in tail(first)
    assert "Init Duration" not in tail(second)
    assert "REPORT RequestId: " + second["ResponseMetadata"]["RequestId"] in tail(second)
    counted = cloud.snapshot()
    assert (counted.lambda_requests, counted.lambda_cold_starts) == (2, 1)
    assert counted.lambda_mb_ms == counted.lambda_billed_ms * 128


async def test_a_function_finds_what_lambda_gives_it(
    functions: Lambdas, cloud: LocalCloud, tmp_path: Path
) -> None:
    code = """
import os, sys, tempfile
def handler(event, context):
    try:
        import aiohttp
        seen = True
    except ImportError:
        seen = False
    return {"env": dict(os.environ), "path": sys.path, "tmp": tempfile.gettempdir(),
            "left": context.get_remaining_time_in_millis(), "seen": seen, "cwd": os.getcwd(),
            "name": context.function_name, "arn": context.invoked_function_arn}
"""
    await functions.create(
        "f", code, MemorySize=256, Timeout=7, Environment={"Variables": {"MINE": "1"}}
    )
    got = (await functions.invoke("f"))["Payload"]
    env = got["env"]
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == got["name"] == "f"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert env["AWS_ENDPOINT_URL"] == cloud.endpoint_url
    assert env["AWS_REGION"] == cloud.region
    assert (env["_HANDLER"], env["MINE"]) == ("app.handler", "1")
    assert env["LAMBDA_TASK_ROOT"] == got["path"][0] == got["cwd"]
    assert got["tmp"] == env["TMPDIR"]
    assert got["arn"].endswith(":function:f")
    assert 0 < got["left"] <= 7000
    assert not got["seen"], "packages outside the bundle must be out of sight"


async def test_a_function_with_a_proxy_reaches_this_machine_without_it(functions: Lambdas) -> None:
    names = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    variables = {**dict.fromkeys(names, "http://127.0.0.1:9"), "NO_PROXY": "corp.example"}
    code = """
import os
from urllib.error import HTTPError
from urllib.request import urlopen
def handler(event, context):
    try:
        urlopen(os.environ["AWS_ENDPOINT_URL"])
    except HTTPError as error:
        return [error.code, os.environ["NO_PROXY"]]
"""
    await functions.create("f", code, Timeout=10, Environment={"Variables": variables})
    answer = (await functions.invoke("f"))["Payload"]
    assert answer == [403, "corp.example,127.0.0.1,localhost"]  # 403: it is not signed


async def test_a_bundle_cannot_replace_the_runtime_client(
    functions: Lambdas, zipped: Callable[..., bytes]
) -> None:
    code = {"ZipFile": zipped(app=ECHO, awslambdaric="raise SystemExit(9)")}
    await functions.create("f", "", Code=code)
    assert (await functions.invoke("f", [1]))["Payload"] == [1]


async def test_prints_and_tracebacks_are_in_the_tail(functions: Lambdas) -> None:
    code = """
import sys
def handler(event, context):
    print("to stdout"); print("to stderr", file=sys.stderr)
    raise ValueError("no good")
"""
    await functions.create("f", code)
    got = await functions.invoke("f", LogType="Tail")
    assert got["FunctionError"] == "Unhandled"
    assert (got["Payload"]["errorType"], got["Payload"]["errorMessage"]) == (
        "ValueError",
        "no good",
    )
    assert any("in handler" in line for line in got["Payload"]["stackTrace"])
    assert "to stdout" in tail(got)
    assert "to stderr" in tail(got)
    await functions.create("g", "def handler(event, context): print('x' * 9000)")
    assert len(tail(await functions.invoke("g", LogType="Tail"))) == 4096


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(0)", "Error: Runtime exited without providing a reason"),
        ("sys.exit(3)", "Error: Runtime exited with error: exit status 3"),
        ("os.kill(os.getpid(), 9)", "Error: Runtime exited with error: signal: killed"),
        ("os.abort()", "Error: Runtime exited with error: signal: aborted"),
    ],
)
async def test_a_process_that_ends(
    functions: Lambdas, cloud: LocalCloud, body: str, message: str
) -> None:
    await functions.create("f", f"import os, sys\ndef handler(event, context): {body}")
    got = await functions.invoke("f")
    assert got["FunctionError"] == "Unhandled"
    assert got["Payload"]["errorType"] == "Runtime.ExitError"
    assert got["Payload"]["errorMessage"].endswith(message)
    await eventually(lambda: cloud.snapshot().environments == ())


async def test_a_timeout_kills(
    functions: Lambdas, cloud: LocalCloud, clock: ManualClock, tmp_path: Path
) -> None:
    await functions.create("f", WAIT, Timeout=2)
    marker = tmp_path / "marker"
    async with asyncio.TaskGroup() as group:
        call = group.create_task(functions.invoke("f", str(marker), LogType="Tail"))
        await eventually(marker.exists)
        clock.advance(2)
    got = call.result()
    assert got["FunctionError"] == "Unhandled"
    request_id = got["ResponseMetadata"]["RequestId"]
    expected = f"{request_id} Task timed out after 2.00 seconds"
    assert expected in got["Payload"]["errorMessage"]
    assert expected in tail(got)
    assert cloud.snapshot().lambda_kills == {"timeout": 1}
    assert cloud.snapshot().lambda_billed_ms == 2000


async def test_memory_over_the_limit_kills(functions: Lambdas, cloud: LocalCloud) -> None:
    code = """
def handler(event, context):
    return len(bytearray(event * 1024 * 1024))
"""
    await functions.create("f", code)
    assert (await functions.invoke("f", 20))["Payload"] == 20 * 1024 * 1024
    got = await functions.invoke("f", 200, LogType="Tail")
    assert got["Payload"]["errorType"] == "Runtime.ExitError"
    assert got["Payload"]["errorMessage"].endswith("signal: killed")
    assert "Max Memory Used: 128 MB" in tail(got)
    assert cloud.snapshot().lambda_kills == {"memory": 1}


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_payloads_over_six_megabytes(functions: Lambdas) -> None:
    await functions.create("f", "def handler(event, context): return 'x' * event")
    most = 6 * 1024 * 1024
    got = await functions.invoke("f", most + 200)
    assert got["Payload"]["errorType"] == "Function.ResponseSizeTooLarge"
    assert len((await functions.invoke("f", most))["Payload"]) == most
    with pytest.raises(functions.client.exceptions.RequestTooLargeException) as caught:
        await functions.client.invoke(FunctionName="f", Payload=b'"' + b"x" * most + b'"')
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    with pytest.raises(functions.client.exceptions.RequestTooLargeException):
        await functions.client.invoke(
            FunctionName="f", InvocationType="Event", Payload=b'"' + b"x" * 1024 * 1024 + b'"'
        )


@pytest.mark.parametrize(
    ("overrides", "kind"),
    [
        ({"Handler": "absent.handler"}, "Runtime.ImportModuleError"),
        ({"Handler": "app.absent"}, "Runtime.HandlerNotFound"),
    ],
)
async def test_functions_that_do_not_load(
    functions: Lambdas, overrides: dict[str, str], kind: str
) -> None:
    await functions.create("f", ECHO, **overrides)
    got = await functions.invoke("f")
    assert got["FunctionError"] == "Unhandled"
    assert got["Payload"]["errorType"] == kind


async def test_what_cannot_be_invoked(functions: Lambdas) -> None:
    client = functions.client
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        await functions.invoke("absent")
    await functions.create("f", ECHO)
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        await client.invoke(FunctionName="f", Payload=b"{")
    assert (await functions.invoke("f", 1, InvocationType="DryRun"))["StatusCode"] == 204
    arn = (await client.get_function_configuration(FunctionName="f"))["FunctionArn"]
    assert (await functions.invoke(arn, 1))["Payload"] == 1
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        await functions.invoke("f", 1, Qualifier="7")


async def test_concurrency_is_limited_for_the_account_and_by_reservation(
    functions: Lambdas, tmp_path: Path
) -> None:
    await functions.create("f", WAIT)
    await functions.create("g", ECHO)
    await functions.client.put_function_concurrency(
        FunctionName="f", ReservedConcurrentExecutions=2
    )
    markers = [tmp_path / str(n) for n in range(2)]
    throttled = functions.client.exceptions.TooManyRequestsException
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(functions.invoke("f", str(marker))) for marker in markers]
        await eventually(lambda: all(marker.exists() for marker in markers))
        with pytest.raises(throttled) as caught:
            await functions.invoke("f", str(tmp_path / "more"))
        reason = caught.value.response["Reason"]
        assert reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert (await functions.invoke("g", 1))["Payload"] == 1
        for marker in markers:
            marker.unlink()
    assert len({call.result()["Payload"] for call in calls}) == 2
    with pytest.raises(functions.client.exceptions.InvalidParameterValueException):
        await functions.client.put_function_concurrency(
            FunctionName="g", ReservedConcurrentExecutions=1
        )
    await functions.client.put_function_concurrency(
        FunctionName="f", ReservedConcurrentExecutions=0
    )
    with pytest.raises(throttled):
        await functions.invoke("f", "x")


async def test_idle_environments_are_frozen_and_then_recycled(
    functions: Lambdas, cloud: LocalCloud, clock: ManualClock
) -> None:
    await functions.create("f", COUNT)
    await functions.invoke("f")
    (environment,) = cloud.snapshot().environments
    assert environment.pid is not None
    if sys.platform == "linux":
        await eventually(lambda: process_state(environment.pid) == "T")
    clock.advance(599)
    assert (await functions.invoke("f"))["Payload"][1] == 2
    clock.advance(599)
    assert len(cloud.snapshot().environments) == 1
    clock.advance(1)
    await eventually(lambda: cloud.snapshot().environments == ())
    with pytest.raises(ProcessLookupError):
        os.kill(environment.pid, 0)
    assert (await functions.invoke("f"))["Payload"][1] == 1


async def test_new_code_and_settings_take_new_environments(
    functions: Lambdas, cloud: LocalCloud, zipped: Callable[..., bytes]
) -> None:
    await functions.create("f", "def handler(event, context): return 1")
    assert (await functions.invoke("f"))["Payload"] == 1
    await functions.client.update_function_code(
        FunctionName="f", ZipFile=zipped(app="def handler(event, context): return 2")
    )
    assert (await functions.invoke("f"))["Payload"] == 2
    await functions.client.delete_function(FunctionName="f")
    await eventually(lambda: cloud.snapshot().environments == ())


async def test_an_environment_that_someone_kills(functions: Lambdas, cloud: LocalCloud) -> None:
    await functions.create("f", COUNT)
    pid, _ = (await functions.invoke("f"))["Payload"]
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: cloud.snapshot().environments == ())
    assert (await functions.invoke("f"))["Payload"][1] == 1


async def test_the_fault_that_kills_mid_invocation(
    functions: Lambdas, cloud: LocalCloud, tmp_path: Path
) -> None:
    code = """
def handler(event, context):
    open(event, "w").close()
"""
    await functions.create("f", code)
    cloud.set_faults(Faults(kill=1.0))
    got = await functions.invoke("f", str(tmp_path / "effect"))
    assert got["Payload"]["errorMessage"].endswith("signal: killed")
    assert (tmp_path / "effect").exists(), "it was killed after the effect, before the answer"
    cloud.set_faults(Faults(throttle=1.0))
    with pytest.raises(functions.client.exceptions.TooManyRequestsException):
        await functions.invoke("f", "x")


async def test_the_fault_that_ends_one_as_if_memory_ran_out(
    functions: Lambdas, cloud: LocalCloud
) -> None:
    await functions.create("f", ECHO)
    cloud.set_faults(Faults(out_of_memory=1.0))
    got = await functions.invoke("f", "x", LogType="Tail")
    assert got["Payload"]["errorMessage"].endswith("signal: killed")
    assert "Error Type: Runtime.OutOfMemory" in tail(got)
    assert cloud.snapshot().lambda_kills == {"memory": 1}


async def test_the_fault_that_has_one_stand_still(
    functions: Lambdas, cloud: LocalCloud, clock: ManualClock, tmp_path: Path
) -> None:
    await functions.create("f", WAIT)
    cloud.set_faults(Faults(straggler=1.0, straggler_seconds=2.0))
    marker = tmp_path / "marker"
    invoked = asyncio.create_task(functions.invoke("f", str(marker)))
    await eventually(marker.exists)
    (environment,) = cloud.snapshot().environments
    clock.advance(1)
    await eventually(lambda: process_state(environment.pid) == "T")
    marker.unlink()
    clock.advance(1.5)
    assert (await invoked)["Payload"] == environment.pid


async def test_the_fault_that_makes_a_start_slow(
    functions: Lambdas, cloud: LocalCloud, clock: ManualClock
) -> None:
    await functions.create("f", ECHO)
    cloud.set_faults(Faults(cold_start=1.0, cold_start_seconds=3.0))
    invoked = asyncio.create_task(functions.invoke("f", "x"))
    await eventually(lambda: cloud.snapshot().faults == {"cold_start": 1})
    (environment,) = cloud.snapshot().environments
    assert environment.pid is None
    clock.advance(3)
    assert (await invoked)["Payload"] == "x"


async def test_events_are_answered_at_once_and_tried_again(
    functions: Lambdas, cloud: LocalCloud, clock: ManualClock, tmp_path: Path
) -> None:
    code = """
def handler(event, context):
    with open(event, "a") as file: file.write("x")
    raise ValueError
"""
    await functions.create("f", code)
    log = tmp_path / "log"
    got = await functions.invoke("f", str(log), InvocationType="Event")
    assert (got["StatusCode"], got["Payload"]) == (202, None)

    def ran(times: int) -> bool:
        return cloud.snapshot().lambda_requests == times

    for tries, pause in ((1, 60), (2, 120), (3, 600)):
        await eventually(partial(ran, tries))
        clock.advance(pause)
    assert log.read_text() == "xxx"


async def test_a_caller_that_hangs_up_does_not_end_an_invocation(
    functions: Lambdas, cloud: LocalCloud, tmp_path: Path
) -> None:
    await functions.create("f", WAIT)
    marker = tmp_path / "marker"
    async with asyncio.TaskGroup() as group:
        call = group.create_task(functions.invoke("f", str(marker)))
        await eventually(marker.exists)
        call.cancel()
    marker.unlink()
    await eventually(lambda: cloud.snapshot().lambda_requests == 1)
    assert cloud.snapshot().lambda_kills == {}


async def test_too_large_a_file_in_tmp(functions: Lambdas) -> None:
    code = """
import os, tempfile
def handler(event, context):
    with open(os.path.join(tempfile.gettempdir(), "f"), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, event)
    return "written"
"""
    await functions.create("f", code)
    got = await functions.invoke("f", 513 * 1024 * 1024)
    assert got["Payload"]["errorType"] == "OSError"
    assert json.dumps(got["Payload"]).count("too large") == 1


async def test_a_function_calls_the_cloud_that_runs_it(
    functions: Lambdas, cloud: LocalCloud
) -> None:
    code = """
import os, urllib.request
def handler(event, context):
    scope = os.environ["AWS_ACCESS_KEY_ID"] + "/20261122/us-east-1/sqs/aws4_request"
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/", data=b"{}", headers={
        "X-Amz-Target": "AmazonSQS.ListQueues",
        "X-Amz-Security-Token": os.environ["AWS_SESSION_TOKEN"], "Authorization":
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"})
    return urllib.request.urlopen(request).status
"""
    await functions.create("f", code)
    assert (await functions.invoke("f"))["Payload"] == 200
    cloud.expire_credentials()
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        await functions.invoke("f")
