"""A cloud whose functions run this very source tree."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session

from aflint.aws.clients import Aws
from aflint.codec import closure, frame, records
from aflint.codec.digest import digest_of
from aflint.codec.secret import SECRET_VARIABLE, Secret
from aflint.invoker.lambda_ import LambdaInvoker
from aflint.localcloud import LocalCloud
from aflint.localcloud.lambda_.functions import RUNTIME
from aflint.plan.program import Program, ReadSplit, Return
from aflint.storage.router import RoutedStorage, open_storage
from aflint.task import AwsEndpoints, Blob, DataSplit, Input, TaskDescription, TaskId, TaskResult
from tests.aws.clouds import BUCKET, connect, make_bucket

SECRET = Secret(b"s" * 32)
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
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": f"arn:aws:s3:::{BUCKET}/test/*",
            }
        ],
    }
)
ROOT = Path(__file__).parents[2]
SHIM = f"""
import sys
sys.path += {[str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]!r}
{{before}}
from aflint.executor.handler import handler
"""
"""A bundle that finds aflint where the test does."""


@dataclass
class Lambdas:
    """A cloud, functions in it by memory, and an invoker of them."""

    cloud: LocalCloud
    aws: Aws
    storage: RoutedStorage
    endpoints: AwsEndpoints

    async def create(self, name: str = "task", before: str = "", **settings: Any) -> None:
        """Make a function; `before` runs before aflint is imported."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("app.py", SHIM.format(before=before))
        access, secret = self.cloud.credentials
        keys = {"aws_access_key_id": access, "aws_secret_access_key": secret}
        place = {"region_name": self.cloud.region, "endpoint_url": self.cloud.endpoint_url}
        async with get_session().create_client("iam", **place, **keys) as iam:
            role = await iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
            await iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=POLICY)
        async with get_session().create_client("lambda", **place, **keys) as client:
            variables = {SECRET_VARIABLE: SECRET.to_text()}
            defaults = {
                "Timeout": 30,
                "MemorySize": 1769,
                "Environment": {"Variables": variables},
            }
            await client.create_function(
                FunctionName=name,
                Runtime=RUNTIME,
                Role=role["Role"]["Arn"],
                Handler="app.handler",
                Code={"ZipFile": buffer.getvalue()},
                **(defaults | settings),
            )

    def invoker(self, name: str = "task", memory_mb: int = 1769, **settings: Any) -> LambdaInvoker:
        settings.setdefault("endpoints", self.endpoints)
        return LambdaInvoker(self.aws, {memory_mb: name}, self.storage, SECRET, **settings)


@pytest.fixture
async def lambdas() -> AsyncIterator[Lambdas]:
    pytest.importorskip("awslambdaric")
    async with LocalCloud(verify_signatures=True, concurrency=3, freeze=False) as cloud:
        aws = connect(cloud)
        storage = open_storage(aws)
        try:
            await make_bucket(aws)
            yield Lambdas(cloud, aws, storage, await aws.resolve())
        finally:
            await storage.aclose()
            await aws.aclose()


def task_of(function: Any, data: list[Any], partition: int = 0, **settings: Any) -> TaskDescription:
    """Return a task that applies `function(partition, records)` to data sent along."""
    program = frame.compress(closure.dumps(Program(ReadSplit(0), Return(function)), "a test"))
    block = frame.compress(records.encode(data))
    defaults: dict[str, Any] = {"storage": f"s3://{BUCKET}/test", "memory_mb": 1024}
    return TaskDescription(
        TaskId("job", 0, partition, 0),
        Blob(digest_of(program), len(program), program),
        (Input(0, partition, DataSplit((Blob(digest_of(block), len(block), block),))),),
        **(defaults | settings),
    )


async def value_of(result: TaskResult, storage: RoutedStorage) -> Any:
    """Return the value of a result, wherever it lies."""
    assert result.failure is None, result.failure
    assert result.value is not None
    data = result.value.data
    if data is None:
        assert result.value.location is not None
        data = await storage.read(result.value.location)
    return records.decode(frame.decompress(data))[0]
