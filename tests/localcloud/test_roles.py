"""What a function's credentials may do: what its role's policies allow, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aflint.config import load_config
from aflint.deploy.names import Names, names_of
from aflint.deploy.policies import data_policy, function_policy
from aflint.localcloud import LocalCloud
from aflint.localcloud.roles import allows
from aflint.localcloud.wire import Asked
from tests.localcloud.conftest import TRUST, Connect


def policy(*statements: dict[str, Any]) -> list[str]:
    return [json.dumps({"Statement": list(statements)})]


def allow(action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/p/x", True),
        ("s3:getobject", "arn:aws:s3:::b/p/x", True),
        ("s3:GetObject", "arn:aws:s3:::b/P/x", False),
        ("s3:GetObject", "arn:aws:s3:::b/q/x", False),
        ("s3:PutObject", "arn:aws:s3:::b/p/x", False),
        ("s3:GetObject", "arn:aws:s3:::c/p/x", False),
    ],
)
def test_actions_and_resources_are_matched(action: str, resource: str, expected: bool) -> None:
    documents = policy(allow("s3:GetObject", "arn:aws:s3:::b/p/*"))
    assert allows(documents, Asked(action, resource)) is expected


def test_a_denial_goes_before_and_what_is_not_known_allows_nothing() -> None:
    asked = Asked("s3:GetObject", "arn:aws:s3:::b/k", {"s3:prefix": "p/x"})
    assert not allows([], asked)
    assert allows(policy(allow("s3:*", "*")), asked)
    denied = {**allow("s3:Get*", "*"), "Effect": "Deny"}
    assert not allows(policy(allow("s3:*", "*"), denied), asked)
    unknown = {"Condition": {"IpAddress": {"aws:SourceIp": "1.2.3.4"}}}
    assert not allows(policy(allow("s3:*", "*", **unknown)), asked)
    assert not allows(policy(allow("s3:*", "*"), {**denied, **unknown}), asked)
    like = {"Condition": {"StringLike": {"s3:prefix": ["p/*"]}}}
    assert allows(policy(allow("s3:*", "*", **like)), asked)
    assert not allows(policy(allow("s3:*", "*", **like)), Asked("s3:ListBucket", "x"))
    equals = {"Condition": {"StringEquals": {"s3:prefix": "p/*"}}}
    assert not allows(policy(allow("s3:*", "*", **equals)), asked)
    assert not allows(policy(allow("s3:*", "arn:[b]?")), Asked("s3:x", "arn:b1"))


@pytest.fixture
def names(cloud: LocalCloud) -> Names:
    return names_of(load_config(), cloud.account, cloud.region)


class Deployed:
    """Clients of a user, and of a function whose role is the one that a deployment makes."""

    def __init__(self, cloud: LocalCloud, connect: Connect, role: str) -> None:
        self.cloud, self.connect, self.role = cloud, connect, role

    async def user(self, service: str) -> Any:
        return await self.connect(self.cloud, service)

    async def function(self, service: str) -> Any:
        keys = self.cloud.environment(self.role)
        return await self.connect(
            self.cloud,
            service,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys["AWS_SESSION_TOKEN"],
        )


@pytest.fixture
async def deployed(cloud: LocalCloud, connect: Connect, names: Names) -> Deployed:
    iam = await connect(cloud, "iam")
    made = await iam.create_role(RoleName=names.role, AssumeRolePolicyDocument=TRUST)
    await iam.put_role_policy(
        RoleName=names.role,
        PolicyName="aflint",
        PolicyDocument=json.dumps(function_policy(names)),
    )
    return Deployed(cloud, connect, made["Role"]["Arn"])


async def test_each_caller_is_told_who_it_is(deployed: Deployed) -> None:
    user = await (await deployed.user("sts")).get_caller_identity()
    assert user["Arn"] == "arn:aws:iam::123456789012:user/localcloud"
    function = await (await deployed.function("sts")).get_caller_identity()
    name = deployed.role.rpartition("/")[2]
    assert function["Arn"] == f"arn:aws:sts::123456789012:assumed-role/{name}/function"
    assert function["Account"] == deployed.cloud.account


async def denied(call: Any) -> None:
    with pytest.raises(ClientError) as caught:
        await call
    assert caught.value.response["Error"]["Code"] in (
        "AccessDenied",
        "AccessDeniedException",
        "403",
    )


async def test_a_function_reaches_the_objects_of_its_prefix_and_no_others(
    deployed: Deployed, names: Names
) -> None:
    user, s3 = await deployed.user("s3"), await deployed.function("s3")
    for bucket in (names.bucket, "others"):
        await user.create_bucket(Bucket=bucket)
        for key in (f"{names.prefix}/jobs/x", "thesis", f"{names.prefix}-not/x"):
            await user.put_object(Bucket=bucket, Key=key, Body=b"1")
    own: dict[str, Any] = {"Bucket": names.bucket}
    await s3.get_object(**own, Key=f"{names.prefix}/jobs/x")
    await s3.put_object(**own, Key=f"{names.prefix}/jobs/y", Body=b"2")
    await s3.list_objects_v2(**own, Prefix=f"{names.prefix}/jobs")
    await s3.copy_object(
        **own, Key=f"{names.prefix}/z", CopySource=f"{names.bucket}/{names.prefix}/jobs/x"
    )
    for bucket, key in (
        (names.bucket, "thesis"),
        (names.bucket, f"{names.prefix}-not/x"),
        ("others", f"{names.prefix}/jobs/x"),
    ):
        await denied(s3.get_object(Bucket=bucket, Key=key))
        await denied(s3.head_object(Bucket=bucket, Key=key))
        await denied(s3.put_object(Bucket=bucket, Key=key, Body=b"3"))
        await denied(s3.delete_object(Bucket=bucket, Key=key))
        await denied(s3.create_multipart_upload(Bucket=bucket, Key=key))
        copied = f"{bucket}/{key}"
        await denied(s3.copy_object(**own, Key=f"{names.prefix}/stolen", CopySource=copied))
    await denied(s3.delete_objects(**own, Delete={"Objects": [{"Key": "thesis"}]}))
    await denied(s3.list_objects_v2(**own))
    await denied(s3.list_objects_v2(**own, Prefix="thesis"))
    await denied(s3.list_objects_v2(Bucket="others", Prefix=f"{names.prefix}/"))
    await denied(s3.list_buckets())
    await denied(s3.delete_bucket(**own))
    await denied(s3.get_bucket_tagging(**own))


async def test_a_function_reaches_the_queues_of_its_deployment_and_no_others(
    deployed: Deployed, names: Names
) -> None:
    user, sqs = await deployed.user("sqs"), await deployed.function("sqs")
    own = (await user.create_queue(QueueName=f"{names.queues}job-1"))["QueueUrl"]
    other = (await user.create_queue(QueueName="others"))["QueueUrl"]
    await sqs.send_message(QueueUrl=own, MessageBody="x")
    await sqs.receive_message(QueueUrl=own)
    await denied(sqs.send_message(QueueUrl=other, MessageBody="x"))
    await denied(sqs.receive_message(QueueUrl=other))
    await denied(sqs.get_queue_url(QueueName="others"))
    await denied(sqs.purge_queue(QueueUrl=other))
    await denied(sqs.delete_queue(QueueUrl=own))
    await denied(sqs.create_queue(QueueName=f"{names.queues}job-2"))
    await denied(sqs.list_queues())


async def test_a_function_may_call_no_function_and_change_no_role(
    deployed: Deployed, names: Names
) -> None:
    lambda_, iam = await deployed.function("lambda"), await deployed.function("iam")
    await denied(lambda_.invoke(FunctionName=f"{names.base}-1769", Payload=b"{}"))
    await denied(lambda_.get_function(FunctionName=f"{names.base}-1769"))
    await denied(lambda_.list_functions())
    await denied(iam.get_role(RoleName=names.role))
    everything = json.dumps({"Statement": [allow("*", "*")]})
    await denied(
        iam.put_role_policy(RoleName=names.role, PolicyName="x", PolicyDocument=everything)
    )
    await (await deployed.function("sts")).get_caller_identity()


async def test_data_that_a_deployment_names_can_be_read(
    deployed: Deployed, names: Names, cloud: LocalCloud
) -> None:
    user, s3 = await deployed.user("s3"), await deployed.function("s3")
    await user.create_bucket(Bucket="data")
    await user.put_object(Bucket="data", Key="in/x", Body=b"1")
    await denied(s3.get_object(Bucket="data", Key="in/x"))
    await (await deployed.user("iam")).put_role_policy(
        RoleName=names.role,
        PolicyName="aflint-data",
        PolicyDocument=json.dumps(data_policy(cloud.region, ["s3://data/in/"], [])),
    )
    await s3.get_object(Bucket="data", Key="in/x")
    await denied(s3.put_object(Bucket="data", Key="in/x", Body=b"2"))
    await denied(s3.get_object(Bucket="data", Key="out/x"))


async def test_a_role_that_is_gone_may_do_nothing(deployed: Deployed, names: Names) -> None:
    sqs, user = await deployed.function("sqs"), await deployed.user("sqs")
    url = (await user.create_queue(QueueName=f"{names.queues}q"))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    iam = await deployed.user("iam")
    await iam.delete_role_policy(RoleName=names.role, PolicyName="aflint")
    await denied(sqs.send_message(QueueUrl=url, MessageBody="x"))
    await iam.delete_role(RoleName=names.role)
    await denied(sqs.send_message(QueueUrl=url, MessageBody="x"))
