from __future__ import annotations

import asyncio
import io
import stat
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aflint.localcloud import LocalCloud, ManualClock
from aflint.localcloud.lambda_.functions import CodeStore
from aflint.localcloud.lambda_.pool import Concurrency
from aflint.localcloud.lambda_.runtime import RuntimeClientMissingError
from aflint.localcloud.wire import ServiceError
from tests.localcloud.conftest import Lambdas

ECHO = "def handler(event, context): return event"
MIB = 1024 * 1024


@pytest.fixture
async def cloud(clock: ManualClock) -> AsyncIterator[LocalCloud]:
    async with LocalCloud(
        clock=clock, functions=False, concurrency=1000, settle_seconds=5
    ) as running:
        yield running


@pytest.fixture
async def functions(
    cloud: LocalCloud, lambdas: Callable[[LocalCloud], Awaitable[Lambdas]]
) -> Lambdas:
    return await lambdas(cloud)


async def test_a_function_is_pending_until_it_has_settled(
    functions: Lambdas, clock: ManualClock
) -> None:
    client = functions.client
    created = await functions.create("f", ECHO, Tags={"a": "b"})
    assert created["State"] == "Pending"
    with pytest.raises(client.exceptions.ResourceConflictException):
        await functions.invoke("f")
    with pytest.raises(client.exceptions.ResourceConflictException):
        await client.update_function_configuration(FunctionName="f", Timeout=9)
    clock.advance(5)
    assert (await client.get_function(FunctionName="f"))["Configuration"]["State"] == "Active"
    updated = await client.update_function_configuration(
        FunctionName="f", Timeout=9, MemorySize=512, Environment={"Variables": {"A": "1"}}
    )
    assert updated["LastUpdateStatus"] == "InProgress"
    clock.advance(5)
    found = await client.get_function(FunctionName="f")
    shown = found["Configuration"]
    assert (shown["Timeout"], shown["MemorySize"], shown["LastUpdateStatus"]) == (
        9,
        512,
        "Successful",
    )
    assert shown["Environment"]["Variables"] == {"A": "1"}
    assert found["Tags"] == {"a": "b"}


async def test_created_twice_listed_and_deleted(functions: Lambdas, cloud: LocalCloud) -> None:
    client = functions.client
    for name in ("b", "a"):
        await functions.create(name, ECHO)
    with pytest.raises(client.exceptions.ResourceConflictException):
        await functions.create("a", ECHO)
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    names = [found["FunctionName"] async for page in pages for found in page["Functions"]]
    assert names == ["a", "b"]
    await client.delete_function(FunctionName="a")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        await client.delete_function(FunctionName="a")
    assert cloud.snapshot().functions == ("b",)


@pytest.mark.parametrize(
    "overrides",
    [
        {"MemorySize": 10_241},
        {"Timeout": 901},
        {"EphemeralStorage": {"Size": 10_241}},
        {"Runtime": "python3.8"},
        {"Role": "arn:aws:iam::123456789012:role/absent"},
        {"FunctionName": "a b"},
        {"Code": {"ZipFile": b"no zip"}},
        {"Code": {"S3Bucket": "absent", "S3Key": "k"}},
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        {"Environment": {"Variables": {"A": "x" * 4096}}},
        {"PackageType": "Image"},
    ],
)
async def test_what_is_no_function(functions: Lambdas, overrides: dict[str, Any]) -> None:
    with pytest.raises(functions.client.exceptions.InvalidParameterValueException):
        await functions.create("f", ECHO, **overrides)


async def test_code_from_s3(
    functions: Lambdas, cloud: LocalCloud, connect: Any, zipped: Callable[..., bytes]
) -> None:
    s3 = await connect(cloud, "s3")
    await s3.create_bucket(Bucket="bucket")
    await s3.put_object(Bucket="bucket", Key="code.zip", Body=zipped(app=ECHO))
    created = await functions.create("f", "", Code={"S3Bucket": "bucket", "S3Key": "code.zip"})
    assert created["CodeSize"] == len(zipped(app=ECHO))


async def test_functions_of_one_bundle_made_at_once_share_it(
    functions: Lambdas, zipped: Callable[..., bytes]
) -> None:
    async with asyncio.TaskGroup() as group:
        for size in (128, 256, 512):
            group.create_task(functions.create(f"f-{size}", ECHO, MemorySize=size))
    shown = (await functions.client.list_functions())["Functions"]
    assert [found["MemorySize"] for found in shown] == [128, 256, 512]
    assert len({found["CodeSha256"] for found in shown}) == 1


async def test_a_bundle_is_unpacked_once_and_read_only(
    tmp_path: Path, zipped: Callable[..., bytes]
) -> None:
    code = await CodeStore(tmp_path).add(zipped(app=ECHO), direct=True)
    assert mode_of(code.root / "app.py") == 0o444
    assert left_in(tmp_path) == [code.root]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_limits_of_bundles(tmp_path: Path) -> None:
    store = CodeStore(tmp_path)
    with pytest.raises(ServiceError, match="RequestEntityTooLargeException"):
        await store.add(b"x" * (50 * MIB + 1), direct=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for n in range(251):
            archive.writestr(f"{n}", bytes(MIB))
    with pytest.raises(ServiceError, match="Unzipped size must be smaller than 262144000"):
        await store.add(buffer.getvalue(), direct=True)
    assert left_in(tmp_path) == []


async def test_account_settings_and_event_config(functions: Lambdas) -> None:
    client = functions.client
    await functions.create("f", ECHO)
    await client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=900)
    limit = (await client.get_account_settings())["AccountLimit"]
    assert limit["ConcurrentExecutions"] == 1000
    assert limit["UnreservedConcurrentExecutions"] == 100
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        await client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=901)
    found = await client.get_function_concurrency(FunctionName="f")
    assert found["ReservedConcurrentExecutions"] == 900
    await client.delete_function_concurrency(FunctionName="f")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        await client.get_function_event_invoke_config(FunctionName="f")
    await client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    config = await client.get_function_event_invoke_config(FunctionName="f")
    assert config["MaximumRetryAttempts"] == 0


def test_the_ramp_of_new_environments() -> None:
    concurrency = Concurrency(10_000, 100)
    for _ in range(1000):
        concurrency.start_environment("f", 0.0)
    with pytest.raises(ServiceError, match="TooManyRequestsException"):
        concurrency.start_environment("f", 9.9)
    concurrency.start_environment("g", 9.9)
    concurrency.start_environment("f", 10.0)


async def test_without_the_runtime_client_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(RuntimeClientMissingError, match=r"pip install 'aflint\[localcloud\]'"):
        async with LocalCloud():
            raise AssertionError("it must not start")
