"""What is wrong outside of aflint: one typed error each, that says what to do, and nothing left."""

from __future__ import annotations

import asyncio
import socket
from operator import add
from typing import Any

import pytest
from aiobotocore.session import get_session

import aflint
from aflint.config import Config
from aflint.errors import (
    AccessDeniedError,
    AflintError,
    BackendError,
    BucketNotFoundError,
    BundleMismatchError,
    ConfigError,
    CredentialsError,
    EndpointUnreachableError,
    FunctionNotFoundError,
    QueueDeletedError,
    WrongRegionError,
)
from aflint.events import Event, TaskStarted
from aflint.localcloud import LocalCloud
from tests.cloud.clouds import Deployed
from tests.localcloud.helpers import eventually

PATIENCE_S = 20.0


async def count(session: aflint.Session) -> int:
    pairs = session.range(1000, num_slices=3).map(lambda n: (n % 7, n))
    return len(await pairs.reduce_by_key(add).collect())


async def refused(config: Config, kind: type[BackendError | ConfigError], **settings: Any) -> str:
    """Return what a newcomer is told who only wants to count."""
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(kind) as caught:
            async with aflint.connect(config, **settings) as session:
                await count(session)
    print(f"\n{kind.__name__}: {caught.value}")
    return str(caught.value)


async def test_no_credentials(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = await refused(deployed.config, CredentialsError)
    assert "AWS_ACCESS_KEY_ID" in said
    deployed.assert_empty()


async def test_credentials_that_are_unknown(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDNOBODY")
    await refused(deployed.config, CredentialsError)
    deployed.assert_empty()


async def test_a_token_that_expired_before_the_job(deployed: Deployed) -> None:
    deployed.cloud.expire_credentials()
    assert "expired" in await refused(deployed.config, CredentialsError)


async def test_a_token_that_expires_between_jobs(deployed: Deployed) -> None:
    async with asyncio.timeout(PATIENCE_S), deployed.connect() as session:
        assert await count(session) == 7
        deployed.cloud.expire_credentials()
        with pytest.raises(CredentialsError, match="expired") as caught:
            await count(session)
        print(caught.value)
        deployed.cloud.expire_credentials(False)
        assert await count(session) == 7
    deployed.assert_empty()


async def test_another_region(deployed: Deployed) -> None:
    assert "region" in await refused(deployed.config, WrongRegionError, region="eu-west-1")


async def test_nothing_deployed(config: Config) -> None:
    assert "aflint deploy" in await refused(config, FunctionNotFoundError)


async def test_no_bucket(deployed: Deployed) -> None:
    async with get_session().create_client("s3") as s3:
        await s3.delete_bucket(Bucket=deployed.deployment.bucket)
    said = await refused(deployed.config, BucketNotFoundError, transport="s3")
    assert "aflint deploy" in said
    assert deployed.deployment.bucket in said


@pytest.mark.parametrize(
    ("action", "transport"),
    [
        ("lambda:InvokeFunction", "hybrid"),
        ("lambda:GetFunction", "hybrid"),
        ("sqs:CreateQueue", "hybrid"),
        ("sqs:SendMessage", "sqs"),
        ("sqs:ReceiveMessage", "sqs"),
        ("s3:PutObject", "s3"),
        ("s3:GetObject", "s3"),
    ],
)
async def test_a_denied_action(action: str, transport: str, deployed: Deployed) -> None:
    deployed.cloud.deny([action])
    said = await refused(deployed.config, AccessDeniedError, transport=transport)
    assert action.partition(":")[2] in said
    deployed.cloud.deny([])
    deployed.assert_empty()


async def test_a_queue_that_someone_deletes(deployed: Deployed) -> None:
    async with asyncio.timeout(PATIENCE_S), deployed.connect(transport="sqs") as session:
        pairs = session.range(3_000_000, num_slices=3).map(lambda n: (n, n))
        job = asyncio.create_task(pairs.group_by_key().count())
        await eventually(lambda: bool(deployed.cloud.snapshot().queues))
        async with get_session().create_client("sqs") as sqs:
            for url in (await sqs.list_queues())["QueueUrls"]:
                await sqs.delete_queue(QueueUrl=url)
        with pytest.raises(QueueDeletedError) as caught:
            await job
        print(caught.value)
    deployed.assert_empty()


async def test_an_endpoint_that_refuses_connections(config: Config) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = await refused(config, EndpointUnreachableError, endpoint_url=url)
    assert url in said


async def test_a_bundle_for_another_python(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aflint.aws.envelope.PYTHON", "3.99")
    said = await refused(deployed.config, BundleMismatchError)
    assert "3.99" in said
    assert "aflint deploy" in said
    deployed.assert_empty()


def about_clean(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines that were logged about `aflint clean`; nothing has a traceback."""
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    said = [record.getMessage() for record in caplog.records]
    return [line for line in said if "aflint clean" in line]


@pytest.mark.parametrize("transport", ["sqs", "s3"])
async def test_an_endpoint_that_is_killed_during_a_job_is_one_error(
    deployed: Deployed,
    transport: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    session = deployed.connect(transport=transport, max_attempts=1)
    session.add_listener(KillOnce(deployed.cloud))
    with pytest.raises(AflintError) as caught:
        async with session:
            await count(session)
    assert session.last_job is not None
    assert str(caught.value) in session.last_job.error  # the job's error, and not the clean-up's
    (left,) = about_clean(caplog)
    assert f"run {session.id} could not remove all it made" in left
    assert deployed.cloud.endpoint_url.removeprefix("http://") in left


async def test_an_endpoint_that_is_gone_at_the_end_is_one_error_that_names_clean(
    deployed: Deployed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    session = deployed.connect()
    with pytest.raises(EndpointUnreachableError) as caught:
        await count_and_kill(session, deployed.cloud)
    assert caught.value.__notes__ == ["`aflint clean` removes what is left."]
    assert len(about_clean(caplog)) == 1


async def count_and_kill(session: aflint.Session, cloud: LocalCloud) -> None:
    async with session:
        assert await count(session) == 7
        await cloud.close()


class KillOnce:
    """A listener that ends an emulator when the first reduce task starts."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._killed: asyncio.Task[None] | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskStarted) and event.id.stage == 1 and self._killed is None:
            self._killed = asyncio.get_running_loop().create_task(self._cloud.close())
