from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aiohttp import ClientSession
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from aflint.errors import AflintError, InvalidArgumentError
from aflint.localcloud import Faults, LocalCloud
from tests.localcloud.conftest import TRUST, Connect

CALLS = {
    "sqs": ("list_queues", {}),
    "s3": ("list_objects_v2", {"Bucket": "bucket"}),
    "lambda": ("list_functions", {}),
    "iam": ("list_roles", {}),
    "sts": ("get_caller_identity", {}),
}


async def refusal(client: Any, service: str) -> str:
    name, arguments = CALLS[service]
    with pytest.raises(ClientError) as caught:
        await getattr(client, name)(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("sqs", "InvalidClientTokenId"),
        ("s3", "InvalidAccessKeyId"),
        ("lambda", "UnrecognizedClientException"),
        ("iam", "InvalidClientTokenId"),
        ("sts", "InvalidClientTokenId"),
    ],
)
async def test_an_unknown_key(cloud: LocalCloud, connect: Connect, service: str, code: str) -> None:
    client = await connect(cloud, service, aws_access_key_id="AKIAUNKNOWN")
    assert await refusal(client, service) == code


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("sqs", "SignatureDoesNotMatch"),
        ("s3", "SignatureDoesNotMatch"),
        ("lambda", "InvalidSignatureException"),
        ("sts", "SignatureDoesNotMatch"),
    ],
)
async def test_a_wrong_secret(cloud: LocalCloud, connect: Connect, service: str, code: str) -> None:
    client = await connect(cloud, service, aws_secret_access_key="wrong")
    assert await refusal(client, service) == code


UNKNOWN = {
    "sqs": "InvalidClientTokenId",
    "s3": "InvalidAccessKeyId",
    "lambda": "UnrecognizedClientException",
    "iam": "InvalidClientTokenId",
    "sts": "InvalidClientTokenId",
}
BAD = {**UNKNOWN, "s3": "InvalidToken"}


def session_keys(cloud: LocalCloud) -> dict[str, str]:
    """The temporary credentials that a function of some role has."""
    keys = cloud.environment("arn:aws:iam::123456789012:role/r")
    return {
        "aws_access_key_id": keys["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"],
        "aws_session_token": keys["AWS_SESSION_TOKEN"],
    }


@pytest.mark.parametrize("service", CALLS)
async def test_the_token_of_another_session(
    cloud: LocalCloud, connect: Connect, service: str
) -> None:
    keys = {**session_keys(cloud), "aws_session_token": "another"}
    assert await refusal(await connect(cloud, service, **keys), service) == BAD[service]


@pytest.mark.parametrize("service", CALLS)
async def test_a_sessions_key_without_its_token(
    cloud: LocalCloud, connect: Connect, service: str
) -> None:
    keys = {**session_keys(cloud), "aws_session_token": None}
    assert await refusal(await connect(cloud, service, **keys), service) == UNKNOWN[service]


@pytest.mark.parametrize("service", CALLS)
async def test_a_token_with_a_users_key(cloud: LocalCloud, connect: Connect, service: str) -> None:
    client = await connect(cloud, service, aws_session_token="left from another session")
    assert await refusal(client, service) == BAD[service]


async def test_the_kind_of_a_key_shows_whether_it_has_a_token(cloud: LocalCloud) -> None:
    user = cloud.environment()
    assert (user["AWS_ACCESS_KEY_ID"][:4], user["AWS_SESSION_TOKEN"]) == ("AKIA", "")
    session = session_keys(cloud)
    assert session["aws_access_key_id"].startswith("ASIA")
    assert session["aws_session_token"]


async def test_a_presigned_url_carries_the_token(cloud: LocalCloud, connect: Connect) -> None:
    await (await connect(cloud, "s3")).create_bucket(Bucket="bucket")
    answers = []
    for token in (session_keys(cloud)["aws_session_token"], "another", None):
        keys = {**session_keys(cloud), "aws_session_token": token}
        s3 = await connect(cloud, "s3", config=Config(signature_version="s3v4"), **keys)
        url = await s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})
        async with ClientSession() as session, session.get(url) as response:
            found = re.search(r"<Code>(\w+)</Code>", await response.text())
            answers.append(found and found[1])
    # The role of the first is not there: its policies allow nothing.
    assert answers == ["AccessDenied", "InvalidToken", "InvalidAccessKeyId"]


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("sqs", "ExpiredToken"),
        ("s3", "ExpiredToken"),
        ("lambda", "ExpiredTokenException"),
        ("sts", "ExpiredToken"),
    ],
)
async def test_an_expired_key(cloud: LocalCloud, connect: Connect, service: str, code: str) -> None:
    client = await connect(cloud, service)
    cloud.expire_credentials()
    assert await refusal(client, service) == code
    cloud.expire_credentials(False)
    await (await connect(cloud, "sts")).get_caller_identity()


@pytest.mark.parametrize(
    ("service", "pattern", "code"),
    [
        ("sqs", "sqs:*", "AccessDenied"),
        ("s3", "s3:ListBucket", "AccessDenied"),
        ("lambda", "lambda:listfunctions", "AccessDeniedException"),
        ("iam", "iam:ListRoles", "AccessDenied"),
    ],
)
async def test_a_denied_action(
    cloud: LocalCloud, connect: Connect, service: str, pattern: str, code: str
) -> None:
    client = await connect(cloud, service)
    cloud.deny([pattern])
    assert await refusal(client, service) == code


async def test_the_wrong_region(cloud: LocalCloud, connect: Connect) -> None:
    sqs = await connect(cloud, "sqs", region_name="eu-west-1")
    assert await refusal(sqs, "sqs") == "SignatureDoesNotMatch"
    lambda_ = await connect(cloud, "lambda", region_name="eu-west-1")
    assert await refusal(lambda_, "lambda") == "InvalidSignatureException"


async def test_no_signature(cloud: LocalCloud, connect: Connect) -> None:
    s3 = await connect(cloud, "s3", config=Config(signature_version=UNSIGNED))
    assert await refusal(s3, "s3") == "AccessDenied"


async def test_a_dropped_response_comes_after_the_effect(
    cloud: LocalCloud, connect: Connect
) -> None:
    sqs = await connect(cloud, "sqs")
    cloud.set_faults(Faults(drop_response=1.0))
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        await sqs.create_queue(QueueName="q")
    assert set(cloud.snapshot().queues) == {"q"}
    assert cloud.snapshot().faults == {"drop_response": 1}


async def test_control_endpoints(cloud: LocalCloud) -> None:
    base = f"{cloud.endpoint_url}/_localcloud"
    token = {"Authorization": f"Bearer {cloud.credentials[1]}"}
    async with ClientSession() as session:
        async with session.get(f"{base}/snapshot") as response:
            assert response.status == 401
        async with session.post(f"{base}/faults", json={"kill": 2}, headers=token) as response:
            assert response.status == 400
        async with session.post(f"{base}/denied", json=["s3:*"], headers=token) as response:
            assert response.status == 200
        async with session.get(f"{base}/snapshot", headers=token) as response:
            assert json.loads(await response.read()) == json.loads(
                json.dumps(cloud.snapshot().as_dict())
            )


async def test_roles_as_a_deploy_makes_them(cloud: LocalCloud, connect: Connect) -> None:
    iam = await connect(cloud, "iam")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        await iam.get_role(RoleName="r")
    await iam.create_role(
        RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "a", "Value": "b"}]
    )
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        await iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    found = (await iam.get_role(RoleName="r"))["Role"]
    assert found["AssumeRolePolicyDocument"] == json.loads(TRUST)
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        await iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument="{")
    await iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=TRUST)
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    await iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    assert (await iam.list_role_policies(RoleName="r"))["PolicyNames"] == ["p"]
    attached = (await iam.list_attached_role_policies(RoleName="r"))["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [arn]
    with pytest.raises(iam.exceptions.DeleteConflictException):
        await iam.delete_role(RoleName="r")
    await iam.delete_role_policy(RoleName="r", PolicyName="p")
    await iam.detach_role_policy(RoleName="r", PolicyArn=arn)
    await iam.delete_role(RoleName="r")
    assert cloud.snapshot().roles == ()


def test_faults_are_read_and_checked() -> None:
    assert Faults.parse("duplicate=0.05, kill=0.5", 7) == Faults(seed=7, duplicate=0.05, kill=0.5)
    for text in ("bogus=1", "kill=2", "kill=x"):
        with pytest.raises(InvalidArgumentError):
            Faults.parse(text)
    assert issubclass(InvalidArgumentError, AflintError)
