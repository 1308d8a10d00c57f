from __future__ import annotations

import pytest

from aflint.aws.failures import Refusal, translate
from aflint.errors import (
    AccessDeniedError,
    BackendError,
    BucketNotFoundError,
    QueueDeletedError,
    ServiceUnavailableError,
    WrongRegionError,
)


def told(status: int, code: str, service: str, action: str, subject: str, region: str = "") -> str:
    refusal = Refusal(status, code, "as the service says", "r-1", region)
    error = translate(refusal, service, action, subject)
    assert (error.code, error.request_id) == (code, "r-1")
    assert str(error).startswith(f"{service} {action}, {subject}: {code}: as the service says")
    return str(error)


@pytest.mark.parametrize(
    ("action", "subject", "advice"),
    [
        ("GetObject", "s3://trips/a.csv", "s3:GetObject: `aflint deploy --read s3://trips`"),
        ("ListObjectsV2", "bucket trips", "s3:ListBucket: `aflint deploy --read s3://trips`"),
        ("PutObject", "s3://out/part-0", "s3:PutObject: `aflint deploy --write s3://out`"),
        ("CompleteMultipartUpload", "s3://out/p", "s3:PutObject: `aflint deploy --write s3://out`"),
    ],
)  # fmt: skip
def test_who_may_not_use_an_object_is_told_how_to_allow_it(
    action: str, subject: str, advice: str
) -> None:
    message = told(403, "AccessDenied", "s3", action, subject)
    assert advice in message
    assert "allows it to the functions, and the policy of your own credentials must" in message


@pytest.mark.parametrize(
    ("service", "action", "permission"),
    [("sqs", "SendMessageBatch", "sqs:SendMessage"), ("lambda", "Invoke", "lambda:Invoke")],
)
def test_other_services_are_allowed_in_the_policy(
    service: str, action: str, permission: str
) -> None:
    message = told(403, "AccessDeniedException", service, action, "queue q")
    assert f"lack {permission}: add it to their policy" in message
    assert "--print-iam" in message
    assert "--read" not in message


def test_a_missing_bucket_is_not_taken_for_the_deployments_own() -> None:
    message = told(404, "NoSuchBucket", "s3", "PutObject", "s3://results/x")
    assert "Check the bucket's name, or create it" in message
    assert "the one that aflint keeps its own objects in, and no other" in message


def test_a_bucket_elsewhere_is_told_with_its_region() -> None:
    there = told(301, "PermanentRedirect", "s3", "GetObject", "s3://b/k", region="eu-west-1")
    assert there.endswith("It is in eu-west-1: set `region` to that.")
    unknown = told(301, "PermanentRedirect", "s3", "GetObject", "s3://b/k")
    assert unknown.endswith("It is in another region: set `region` to that one.")


@pytest.mark.parametrize(
    ("status", "code", "service", "kind"),
    [
        (403, "AccessDenied", "s3", AccessDeniedError),
        (404, "NoSuchBucket", "s3", BucketNotFoundError),
        (301, "PermanentRedirect", "s3", WrongRegionError),
        (400, "QueueDoesNotExist", "sqs", QueueDeletedError),
        (503, "SlowDown", "s3", ServiceUnavailableError),
        (400, "SomethingNew", "sqs", BackendError),
    ],
)
def test_each_refusal_has_its_class(
    status: int, code: str, service: str, kind: type[BackendError]
) -> None:
    assert type(translate(Refusal(status, code, "m"), service, "Do", "it")) is kind
