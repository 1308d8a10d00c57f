"""A cloud on a clock that tests turn, and real clients for it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiobotocore.session import AioSession, get_session
from botocore.config import Config

from aflint.localcloud import LocalCloud, ManualClock
from aflint.localcloud.lambda_.functions import RUNTIME

Connect = Callable[..., Awaitable[Any]]

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


@pytest.fixture(scope="session")
def aws_session() -> AioSession:
    """One session for all tests: loading the service models is what takes time."""
    return get_session()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def cloud(clock: ManualClock) -> AsyncIterator[LocalCloud]:
    """SQS, S3 and IAM, without functions, every signature checked."""
    async with LocalCloud(clock=clock, functions=False, verify_signatures=True) as running:
        yield running


@pytest.fixture
async def connect(aws_session: AioSession) -> AsyncIterator[Connect]:
    """A client of a service of a cloud; `overrides` replace arguments of `create_client`."""
    async with AsyncExitStack() as stack:

        async def client(cloud: LocalCloud, service: str, **overrides: Any) -> Any:
            access_key, secret_key = cloud.credentials
            arguments = {
                "region_name": cloud.region,
                "endpoint_url": cloud.endpoint_url,
                "aws_access_key_id": access_key,
                "aws_secret_access_key": secret_key,
                "config": Config(retries={"total_max_attempts": 1}),
                **overrides,
            }
            return await stack.enter_async_context(aws_session.create_client(service, **arguments))

        yield client


@pytest.fixture
async def sqs(cloud: LocalCloud, connect: Connect) -> Any:
    return await connect(cloud, "sqs")


@pytest.fixture
async def s3(cloud: LocalCloud, connect: Connect) -> Any:
    return await connect(cloud, "s3")


def bundle(**files: str) -> bytes:
    """A zip of modules: `bundle(app="...")` holds app.py."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return buffer.getvalue()


@pytest.fixture
def zipped() -> Callable[..., bytes]:
    return bundle


class Lambdas:
    """Functions made in one line, and invoked for their answer."""

    def __init__(self, client: Any, role: str) -> None:
        self.client = client
        self.role = role

    async def create(self, name: str, code: str, **overrides: Any) -> dict[str, Any]:
        """A function `name` whose handler is `app.handler` of `code`."""
        arguments = {
            "FunctionName": name,
            "Runtime": RUNTIME,
            "Role": self.role,
            "Handler": "app.handler",
            "Code": {"ZipFile": bundle(app=code)},
            **overrides,
        }
        created: dict[str, Any] = await self.client.create_function(**arguments)
        return created

    async def invoke(self, name: str, payload: Any = None, **overrides: Any) -> dict[str, Any]:
        """The response with `Payload` read and parsed."""
        arguments = {"FunctionName": name, "Payload": json.dumps(payload).encode(), **overrides}
        response: dict[str, Any] = await self.client.invoke(**arguments)
        raw = await response["Payload"].read()
        response["Payload"] = json.loads(raw) if raw else None
        return response


@pytest.fixture
def lambdas(connect: Connect) -> Callable[[LocalCloud], Awaitable[Lambdas]]:
    """Functions of a cloud, with a role made for them that may do all with queues."""

    async def build(cloud: LocalCloud) -> Lambdas:
        iam = await connect(cloud, "iam")
        role = await iam.create_role(RoleName="functions", AssumeRolePolicyDocument=TRUST)
        await iam.put_role_policy(
            RoleName="functions",
            PolicyName="queues",
            PolicyDocument=json.dumps(
                {"Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}
            ),
        )
        return Lambdas(await connect(cloud, "lambda"), role["Role"]["Arn"])

    return build
