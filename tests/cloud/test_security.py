"""Who may invoke, send or write to the bucket gets nothing run; and nothing secret is told."""

from __future__ import annotations

import json
import logging
import os
import pickle
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from operator import add
from typing import Any

import pytest
from aiobotocore.session import get_session

import aflint
from aflint import __version__
from aflint.aws import envelope
from aflint.aws.bare.signing import Credentials
from aflint.codec import sealed
from aflint.codec.secret import SECRET_VARIABLE, Secret
from aflint.config import Config
from aflint.deploy.clients import open_clients
from aflint.deploy.doctor import Level, examine
from aflint.deploy.options import DeployOptions
from aflint.deploy.status import Found, find_deployment, read_status
from aflint.deploy.up import deploy
from aflint.errors import AttemptsExhaustedError, BundleMismatchError, PayloadRefusedError
from aflint.localcloud import LocalCloud
from aflint.task import Blob, TaskDescription, TaskId
from aflint.wire import pack
from tests.cloud.clouds import Deployed, localcloud

FUNCTION = 512


class Bomb:
    """Unpickled, it is noticed."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('the bomb went off')",)


def task() -> TaskDescription:
    return TaskDescription(TaskId("job", 0, 0, 0), Blob("x", 1, pickle.dumps(Bomb())), ())


async def invoke(deployed: Deployed, event: dict[str, Any]) -> Any:
    async with get_session().create_client("lambda") as lambda_:
        versions = {"aflint": __version__, "python": envelope.PYTHON}
        answer = await lambda_.invoke(
            FunctionName=deployed.deployment.functions[FUNCTION],
            Payload=json.dumps(versions | event).encode(),
        )
        assert "FunctionError" not in answer
        return json.loads(await answer["Payload"].read())


async def test_a_function_refuses_what_is_not_sealed_for_it(deployed: Deployed) -> None:
    plain = b64encode(pack(task())).decode()
    wrong = envelope.text_of(sealed.seal_task(Secret.fresh(), task()))
    secret = deployed.deployment.secret
    late = envelope.text_of(sealed.seal_task(secret, task(), 1_000_000.0))
    once = envelope.text_of(sealed.seal_hold(secret, 0.0))
    for event in (
        {},
        {"task": plain},
        {"task": 7},
        {"task": "not base64!"},
        {"task": wrong},
        {"task": late},
        {"task": once},
        {"at": "s3://bucket/key"},
        {"at": wrong},
        {"hold": 0},
        {"hold": wrong},
    ):
        said = await invoke(deployed, event)
        assert said["kind"] == "PayloadRefusedError", event
        assert "bomb" not in said["refused"]
    assert await invoke(deployed, {"hold": once}) == {
        "aflint": __version__,
        "python": envelope.PYTHON,
    }
    assert "opened here before" in (await invoke(deployed, {"hold": once}))["refused"]


async def test_a_session_whose_secret_was_replaced_is_told(
    deployed: Deployed, config: Config
) -> None:
    async with deployed.connect(max_attempts=2) as session:
        numbers = session.range(10, num_slices=2)
        assert await numbers.count() == 10
        old = deployed.deployment.secret
        rotated = await deploy(config, DeployOptions(rotate_secret=True))
        assert rotated.secret != old
        assert "update secret" in " ".join(map(str, rotated.steps))
        with pytest.raises(AttemptsExhaustedError, match="connect again") as caught:
            await numbers.count()
        assert isinstance(caught.value.__cause__, PayloadRefusedError)
    async with deployed.connect() as session:
        assert await session.range(10).count() == 10


async def _found(config: Config) -> Found:
    async with open_clients(config) as aws:
        return await find_deployment(config, aws)


async def test_a_deployment_keeps_its_secret_and_gets_one_where_it_has_none(
    deployed: Deployed, config: Config
) -> None:
    secret = deployed.deployment.secret
    again = await deploy(config, DeployOptions())
    assert (again.steps, again.secret) == ((), secret)
    assert (await _found(config)).secret == secret
    names = list(deployed.deployment.functions.values())
    async with get_session().create_client("lambda") as lambda_:
        for value in ({}, {SECRET_VARIABLE: "%"}, {SECRET_VARIABLE: "c2hvcnQ="}):
            for name in names:
                await lambda_.update_function_configuration(
                    FunctionName=name, Environment={"Variables": {"THEIRS": "1", **value}}
                )
            with pytest.raises(BundleMismatchError, match="aflint deploy --sizes 3"):
                await _found(config)
        doctor = [each for each in await examine(config) if "without a secret" in each.seen]
        assert [each.level for each in doctor] == [Level.FAIL] * 3
        made = await deploy(config, DeployOptions())
        assert made.secret != secret
        shown = await lambda_.get_function_configuration(FunctionName=names[1])
    variables = shown["Environment"]["Variables"]
    assert variables[SECRET_VARIABLE] == made.secret.to_text()
    assert variables["THEIRS"] == "1"
    assert (await _found(config)).secret == made.secret
    assert (await deploy(config, DeployOptions())).steps == ()


async def test_all_sizes_get_the_secret_of_the_first(deployed: Deployed, config: Config) -> None:
    name = deployed.deployment.functions[1024]
    other = {SECRET_VARIABLE: Secret.fresh().to_text()}
    async with get_session().create_client("lambda") as lambda_:
        await lambda_.update_function_configuration(
            FunctionName=name, Environment={"Variables": other}
        )
    with pytest.raises(BundleMismatchError, match="no secret in common"):
        await _found(config)
    made = await deploy(config, DeployOptions())
    assert made.secret == deployed.deployment.secret
    assert (await _found(config)).secret == made.secret


@pytest.fixture
async def poisoned() -> AsyncIterator[aflint.Session]:
    async with localcloud(transport="sqs") as session:
        opened = session._opened().backend.transport.open

        async def open_and_poison(job: str, shuffle: int, partitions: int) -> Any:
            handle = await opened(job, shuffle, partitions)
            keys = session.localcloud.environment()
            async with get_session().create_client(
                "sqs",
                endpoint_url=keys["AWS_ENDPOINT_URL"],
                region_name=keys["AWS_REGION"],
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=keys["AWS_SESSION_TOKEN"],
            ) as sqs:
                for body in poison(job, shuffle):
                    url = f"{handle.address[0]}0"
                    await sqs.send_message(QueueUrl=url, MessageBody=body)
            return handle

        session._opened().backend.transport.open = open_and_poison  # type: ignore[method-assign]
        yield session


def poison(job: str, shuffle: int) -> list[str]:
    """Return messages that hold a bomb: none under the job's key, and each wrong in its own way."""
    from aflint.codec import frame

    bomb = b"\x02" + pickle.dumps(Bomb())
    headers = [frame.FrameHeader(name, shuffle, 0, 0, 0, 0, 0, 1) for name in (job, "other")]
    ours, other = (frame.encode_frame(header, bomb, b"guess") for header in headers)
    versioned = ours[:1] + b"\x01" + ours[2:]
    framed = [b64encode(data).decode() for data in (ours, other, versioned, b"x" * 30)]
    return [*framed, "not base64 at all!"]


async def test_poison_frames_are_counted_reported_and_never_decoded(
    poisoned: aflint.Session, caplog: pytest.LogCaptureFixture
) -> None:
    # A queue gives its messages in any order: all poison is met where many frames are waited for.
    pairs = poisoned.range(4000, num_slices=4).map(lambda n: (n % 3, "x" * (n % 400)))
    found = await pairs.group_by_key(1).map_values(len).collect()
    assert sorted(found) == [(0, 1334), (1, 1333), (2, 1333)]
    report = poisoned.last_job
    assert report is not None
    assert report.failed_attempts == 0
    rejected = report.metrics.rejected_frames
    assert set(rejected) <= {"altered", "of another job", "of another version", "not a frame"}
    assert sum(rejected.values()) >= 1
    said = [message for message in caplog.messages if "were not its own" in message]
    assert len(said) == 1
    assert f"dropped {sum(rejected.values())} frames" in said[0]


async def test_what_was_altered_in_the_bucket_is_not_decoded() -> None:
    async with localcloud(max_attempts=1) as session:
        values = session.broadcast(os.urandom(600_000))
        assert await session.range(2).count() == 2  # which uploads it
        buckets = session.localcloud.snapshot().buckets
        ((bucket, keys),) = buckets.items()
        blobs = [key for key in keys if "/blobs/" in key]
        assert blobs
        for key in blobs:
            await session._opened().backend.storage.write(
                f"s3://{bucket}/{key}", pickle.dumps(Bomb())
            )
        with pytest.raises(AttemptsExhaustedError, match="altered in storage") as caught:
            await session.range(2).map(lambda n: values.value[n]).reduce(add)
        assert isinstance(caught.value.__cause__, PayloadRefusedError)


async def test_nothing_secret_is_told(
    cloud: LocalCloud, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    steps: list[object] = []
    deployment = await deploy(config, DeployOptions(), on_step=steps.append)
    status = await read_status(config)
    told: list[object] = [
        deployment,
        steps,
        status,
        status.as_dict(),
        await _found(config),
    ]
    async with aflint.connect(config, task_logs=True) as session:
        session.add_listener(told.append)

        def show(number: int) -> tuple[int, str]:
            print(sorted(os.environ.items()))
            return number % 3, "secret" if SECRET_VARIABLE in os.environ else ""

        pairs = session.range(20, num_slices=2).map(show)
        found = await pairs.reduce_by_key(add, 2).collect()
        assert sorted(found) == [(0, ""), (1, ""), (2, "")]
        told += [vars(session), session.last_job, vars(session._opened())]
        with pytest.raises(aflint.errors.TaskError) as caught:
            await session.range(1).map(lambda n: n // 0).collect()
        told.append(caught.value)
        told.append(caught.value.remote_traceback)
    secret = deployment.secret
    keys = cloud.environment()
    hidden = [secret.to_text(), secret.reveal().hex(), repr(secret.reveal())[2:-1]]
    hidden.append(keys["AWS_SECRET_ACCESS_KEY"])
    everything = "\n".join([repr(each) + str(each) for each in told] + [caplog.text])
    assert "GetFunction" in everything or "aflint" in everything
    for value in hidden:
        assert value not in everything
    for each in (secret, Credentials("a", "b"), cloud._user):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(each)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(replace(deployment))
