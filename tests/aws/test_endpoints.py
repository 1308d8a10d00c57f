from __future__ import annotations

import pytest
from botocore.session import get_session

from aflint.aws.client import Aws
from aflint.aws.credentials import FixedCredentials
from aflint.aws.endpoints import endpoint_url
from aflint.aws.signing import Credentials

PARTITIONS = ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("partition", PARTITIONS)
def test_endpoints_are_botocores(partition: str) -> None:
    resolver = get_session().get_component("endpoint_resolver")
    for service in ("sqs", "s3", "lambda"):
        for region in resolver.get_available_endpoints(service, partition)[:6]:
            if (
                region.count("-") < 2
                or region.startswith(("fips", "s3", "aws"))
                or "fips" in region
            ):
                continue
            theirs = resolver.construct_endpoint(service, region, partition)["hostname"]
            ours = endpoint_url(service, region, {})
            assert ours in (f"https://{theirs}", "https://s3.us-east-1.amazonaws.com")


@pytest.mark.parametrize(
    ("environ", "override", "expected"),
    [
        ({}, None, "https://sqs.eu-west-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, None, "https://sqs-fips.eu-west-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://all/"}, None, "http://all"),
        ({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_SQS": "http://q"}, None, "http://q"),
        ({"AWS_ENDPOINT_URL": "http://all"}, "http://said", "http://said"),
        (
            {"AWS_ENDPOINT_URL": "http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            None,
            "https://sqs.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_settings_come_first(environ: dict[str, str], override: str | None, expected: str) -> None:
    assert endpoint_url("sqs", "eu-west-1", environ, override) == expected


def test_buckets_are_part_of_the_host_at_aws_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    keys = FixedCredentials(Credentials("a", "b"))
    aws = Aws("us-east-1", credentials=keys)
    assert not aws.emulated
    assert aws.client("s3", None, "bucket").origin.host == "bucket.s3.us-east-1.amazonaws.com"
    assert aws.client("s3") is aws.client("s3")
    assert Aws("us-east-1", "https://minio.example.eu", credentials=keys).emulated
    assert not Aws("us-east-1", "https://s3.us-east-1.amazonaws.com", credentials=keys).emulated
