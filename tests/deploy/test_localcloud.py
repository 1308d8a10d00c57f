"""The whole life of a deployment against localcloud."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session

from aflint import __version__
from aflint.aio import together
from aflint.aws import envelope
from aflint.codec.sealed import seal_hold
from aflint.config import Config
from aflint.deploy import bundle as bundles
from aflint.deploy.clean import clean
from aflint.deploy.destroy import destroy, find_remains
from aflint.deploy.doctor import Level, examine
from aflint.deploy.errors import NameTakenError
from aflint.deploy.options import DeployOptions
from aflint.deploy.status import read_status
from aflint.deploy.up import deploy
from aflint.errors import (
    AccessDeniedError,
    ConfigError,
    CredentialsError,
    EndpointUnreachableError,
    WrongRegionError,
)
from aflint.localcloud import LocalCloud


def client(service: str) -> Any:
    return get_session().create_client(service)


async def leave_something(bucket: str, job: str = "0a0b0c0d-1") -> None:
    """What a killed driver leaves."""
    async with client("sqs") as sqs:
        await sqs.create_queue(QueueName=f"aflint-{job}-0-abcdef01-0")
        await sqs.create_queue(QueueName="others")
    async with client("s3") as s3:
        for number in range(3):
            key = f"aflint/shuffles/{job}/0-ff/{number}"
            await s3.put_object(Bucket=bucket, Key=key, Body=b"data")
        await s3.create_multipart_upload(Bucket=bucket, Key=f"aflint/shuffles/{job}/0-ff/9")


async def test_deploy_twice_look_and_destroy_twice(
    cloud: LocalCloud, config: Config, options: DeployOptions
) -> None:
    seen: list[str] = []
    first = await deploy(config, options, on_step=lambda step: seen.append(str(step)))
    assert first.functions == {1769: "aflint-1769", 3538: "aflint-3538", 7076: "aflint-7076"}
    assert sorted(seen) == sorted(map(str, first.steps))
    assert (await deploy(config, options)).steps == ()

    status = await read_status(config)
    assert [each.status for each in status.functions] == ["Active"] * 3
    assert {each.tags["aflint:version"] for each in status.functions} == {__version__}
    assert status.functions[0].settings.variables["PYTHONHASHSEED"] == "0"
    assert status.bucket is not None
    assert (status.bucket.expire_days, status.leftovers) == (3, ())
    json.dumps(status.as_dict())

    findings = await examine(config)
    assert not [each for each in findings if each.level is Level.FAIL]

    await leave_something(first.bucket)
    await destroy(config)
    left = cloud.snapshot()
    assert (left.functions, left.roles, left.buckets) == ((), (), {})
    assert list(left.queues) == ["others"]
    assert not await find_remains(config)
    assert not await destroy(config)


async def test_the_deployed_function_runs_the_handler(
    config: Config, options: DeployOptions
) -> None:
    deployed = await deploy(config, replace(options, sizes=1))
    async with client("lambda") as lambda_:
        answer = await lambda_.invoke(
            FunctionName=deployed.functions[1769],
            Payload=envelope.request(__version__, "hold", seal_hold(deployed.secret, 0.0)),
        )
        said = json.loads(await answer["Payload"].read())
    assert said == {"aflint": __version__, "python": deployed.python}


async def test_two_may_deploy_at_once(
    cloud: LocalCloud, config: Config, options: DeployOptions
) -> None:
    await together(deploy(config, options) for _ in range(3))
    assert (await deploy(config, options)).steps == ()
    left = cloud.snapshot()
    assert len(left.functions) == 3
    assert set(left.buckets.values()) == {()}


async def test_a_dry_run_changes_nothing(
    cloud: LocalCloud, config: Config, options: DeployOptions
) -> None:
    planned = await deploy(config, options, dry_run=True)
    assert "CreateFunction" in [step.action for step in planned.steps]
    left = cloud.snapshot()
    assert (left.functions, left.roles, left.buckets) == ((), (), {})


async def test_changes_are_carried_out(config: Config, options: DeployOptions) -> None:
    await deploy(config, replace(options, sizes=1))
    wanted = replace(options, sizes=2, timeout_s=30, reads=["s3://data/in"], tmp_mb=1024)
    await deploy(config, wanted)
    status = await read_status(config)
    assert [each.settings.timeout_s for each in status.functions] == [30, 30]
    assert [each.settings.tmp_mb for each in status.functions] == [1024, 1024]
    assert status.role
    assert set(status.role.policies) == {"aflint", "aflint-data"}
    assert (await deploy(config, wanted)).steps == ()


async def test_other_code_is_an_update_and_leaves_no_zip_in_the_bucket(
    cloud: LocalCloud, config: Config, options: DeployOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deploy(config, replace(options, sizes=1))
    monkeypatch.setattr(bundles, "own_files", dict)
    deployed = await deploy(config, replace(options, sizes=1))
    assert [step.action for step in deployed.steps] == ["UpdateFunctionCode"]
    assert deployed.bundle is not None
    (function,) = (await read_status(config)).functions
    assert function.code.sha256 == deployed.bundle.sha256
    assert cloud.snapshot().buckets == {deployed.bucket: ()}


async def test_clean_removes_what_is_old_and_spares_the_living(
    cloud: LocalCloud, config: Config, options: DeployOptions, tmp_path: Path
) -> None:
    config = config.replace(scratch_dir=str(tmp_path))
    bucket = (await deploy(config, replace(options, sizes=1))).bucket
    await leave_something(bucket)
    kept = await clean(config, older_than_s=3600)
    assert (kept.leftovers, kept.kept) == ((), 3)
    planned = await clean(config, dry_run=True)
    assert {each.kind for each in planned.leftovers} == {"queue", "objects", "upload"}
    assert len(cloud.snapshot().queues) == 2

    dead = tmp_path / "aflint-dead"
    dead.mkdir()
    (dead / "owner.lock").write_text("0a0b0c0d")
    removed: list[str] = []
    await clean(config, older_than_s=3600, on_removed=removed.append)
    assert len(removed) == 4
    left = cloud.snapshot()
    assert list(left.queues) == ["others"]
    assert left.buckets == {bucket: ()}
    assert left.uploads == {}
    assert not dead.exists()


async def test_a_bucket_that_the_user_brought_stays(
    cloud: LocalCloud, config: Config, options: DeployOptions
) -> None:
    async with client("s3") as s3:
        await s3.create_bucket(Bucket="mine")
        await s3.put_object(Bucket="mine", Key="thesis.txt", Body=b"x")
    config = config.replace(bucket="mine")
    await deploy(config, replace(options, sizes=1))
    await leave_something("mine")
    remains = await destroy(config)
    assert remains.foreign == ("bucket mine",)
    assert cloud.snapshot().buckets == {"mine": ("thesis.txt",)}
    status = await read_status(config)
    assert status.bucket is not None
    assert status.bucket.rules == ()
    assert not await find_remains(config)


async def test_functions_and_roles_of_others_are_left_alone(
    cloud: LocalCloud, config: Config, options: DeployOptions
) -> None:
    async with client("iam") as iam:
        await iam.create_role(
            RoleName="aflint-us-east-1",
            AssumeRolePolicyDocument=json.dumps({"Statement": [{"Effect": "Allow"}]}),
        )
    with pytest.raises(NameTakenError, match="role aflint-us-east-1"):
        await deploy(config, options)
    assert cloud.snapshot().buckets == {}
    assert (await find_remains(config)).foreign == ("role aflint-us-east-1",)


async def test_each_bad_input_is_one_typed_error(
    cloud: LocalCloud, config: Config, options: DeployOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.expire_credentials()
    with pytest.raises(CredentialsError, match="expired"):
        await deploy(config, options)
    cloud.expire_credentials(False)
    cloud.deny(["iam:CreateRole"])
    with pytest.raises(AccessDeniedError, match="iam:CreateRole"):
        await deploy(config, options)
    cloud.deny([])
    with pytest.raises(WrongRegionError, match="region"):
        await deploy(config.replace(region="eu-west-1"), options)
    with pytest.raises(EndpointUnreachableError, match="endpoint_url"):
        await deploy(config.replace(endpoint_url="http://127.0.0.1:1"), options)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(ConfigError, match="aflint localcloud"):
        await deploy(config.replace(backend="localcloud", endpoint_url=None), options)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(CredentialsError, match="AWS_ACCESS_KEY_ID"):
        await deploy(config, options)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigError, match="region"):
        await deploy(config, options)
    with pytest.raises(ConfigError, match="nobody"):
        await deploy(config.replace(region="us-east-1", profile="nobody"), options)


async def test_the_doctor_says_what_is_wrong(cloud: LocalCloud, config: Config) -> None:
    cloud.deny(["lambda:InvokeFunction", "sqs:ListQueues"])
    lines = {each.subject: each for each in await examine(config)}
    assert lines["driver's permissions"].level is Level.FAIL
    assert "lambda:InvokeFunction" in lines["driver's permissions"].seen
    assert "--print-iam" in lines["driver's permissions"].advice
    assert lines["queues"].level is Level.FAIL
    assert lines["functions"].advice == "Run aflint deploy."
    assert lines["concurrency"].level is Level.WARN
    cloud.expire_credentials()
    lines = {each.subject: each for each in await examine(config)}
    assert lines["credentials"].level is Level.FAIL
