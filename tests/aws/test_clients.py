"""AWS's own settings decide where the driver's calls go, and how often: by what was really sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.credentials
import botocore.tokens
import pytest

from aflint import errors
from aflint.aws.answers import Answer
from aflint.aws.bare.aws import BareAws, connect
from aflint.aws.bare.signing import Credentials
from aflint.aws.clients import Aws
from aflint.aws.s3 import Stored
from aflint.aws.tls import tls_context
from aflint.storage.s3 import S3Storage
from aflint.task import AwsEndpoints
from tests.aws.certificates import CERTIFICATE, KEY
from tests.localcloud.helpers import eventually

KEYS = Credentials("AKIDEXAMPLE", "secret")
ACCESS_POINT = "arn:aws:s3:us-west-2:123456789012:accesspoint/mine"
EXPRESS = "data--use1-az4--x-s3"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings of AWS but those of a test, which writes its config file here."""
    import os

    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@dataclass
class Recorder:
    """A server that keeps each request and answers all alike; the first few by `before`."""

    status: str = "200 OK"
    body: bytes = b"{}"
    before: list[tuple[str, bytes]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""
    open: int = 0
    silent: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                if "expect: 100-continue" in head.lower():
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                length = re.search(r"(?i)content-length: (\d+)", head)
                self.bodies.append(await reader.readexactly(int(length[1]) if length else 0))
                if self.silent:
                    await reader.read()
                    raise ConnectionError
                status, body = self.before.pop(0) if self.before else (self.status, self.body)
                said = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(said.encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            await writer.wait_closed()
        finally:
            self.open -= 1


@asynccontextmanager
async def recording(
    context: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[Recorder]:
    recorder = Recorder(**settings)
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        scheme = "https" if context else "http"
        recorder.url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        yield recorder
        await eventually(lambda: not recorder.open)


@asynccontextmanager
async def clients(region: str | None = "us-east-1", **settings: Any) -> AsyncIterator[Aws]:
    aws = Aws(region, **({"credentials": KEYS} | settings))
    try:
        yield aws
    finally:
        await aws.aclose()


@pytest.fixture
async def aws_itself(monkeypatch: pytest.MonkeyPatch, settings: Path) -> AsyncIterator[Recorder]:
    """A server that is found at every name and port, with a certificate that is taken for good."""
    (settings / "ca.pem").write_text(CERTIFICATE)
    (settings / "key.pem").write_text(KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings / "ca.pem", settings / "key.pem")
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def redirected(factory: Any, host: str, port: int, **others: Any) -> Any:
        return await connect(factory, host, int(server.url.rpartition(":")[2]), **others)

    async with recording(context, body=b"") as server:
        monkeypatch.setattr("aflint.aws.http.tls_context", lambda _: tls_context(verify=False))
        monkeypatch.setattr(loop, "getaddrinfo", found)
        monkeypatch.setattr(loop, "create_connection", redirected)
        yield server


def url_of(head: str) -> str:
    """Return the URL that a recorded request is for, and the scope of its signature."""
    target = head.split(" ")[1]
    host = re.search(r"(?im)^host: (\S+)", head)
    scope = re.search(r"/\d{8}/(\S+)/aws4_request", head)
    return f"https://{host and host[1]}{target} {scope and scope[1]}"


CALLS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "sqs": ("sqs", "ListQueues", {}),
    "s3": ("s3", "HeadBucket", {"Bucket": "b-1"}),
    "lambda": ("lambda", "GetFunction", {"FunctionName": "f"}),
    "iam": ("iam", "GetRole", {"RoleName": "r"}),
    "sts": ("sts", "GetCallerIdentity", {}),
    "dotted": ("s3", "HeadBucket", {"Bucket": "b.1"}),
    "access point": ("s3", "GetObject", {"Bucket": ACCESS_POINT, "Key": "k/1"}),
}


@pytest.mark.parametrize(
    ("region", "environ", "config", "call", "expected"),
    [
        ("eu-west-1", {}, "", "sqs", "https://sqs.eu-west-1.amazonaws.com/ eu-west-1/sqs"),
        ("eu-west-1", {}, "", "s3", "https://b-1.s3.eu-west-1.amazonaws.com/ eu-west-1/s3"),
        ("eu-west-1", {}, "", "dotted", "https://s3.eu-west-1.amazonaws.com/b.1 eu-west-1/s3"),
        (
            "eu-west-1",
            {},
            "",
            "lambda",
            "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/f eu-west-1/lambda",
        ),
        ("cn-north-1", {}, "", "sqs", "https://sqs.cn-north-1.amazonaws.com.cn/ cn-north-1/sqs"),
        ("cn-north-1", {}, "", "s3", "https://b-1.s3.cn-north-1.amazonaws.com.cn/ cn-north-1/s3"),
        (
            "cn-north-1",
            {},
            "",
            "lambda",
            "https://lambda.cn-north-1.amazonaws.com.cn/2015-03-31/functions/f cn-north-1/lambda",
        ),
        ("cn-north-1", {}, "", "iam", "https://iam.cn-north-1.amazonaws.com.cn/ cn-north-1/iam"),
        ("cn-north-1", {}, "", "sts", "https://sts.cn-north-1.amazonaws.com.cn/ cn-north-1/sts"),
        (
            "us-gov-west-1",
            {},
            "",
            "lambda",
            "https://lambda.us-gov-west-1.amazonaws.com/2015-03-31/functions/f "
            "us-gov-west-1/lambda",
        ),
        (
            "us-gov-west-1",
            {},
            "",
            "sqs",
            "https://sqs.us-gov-west-1.amazonaws.com/ us-gov-west-1/sqs",
        ),
        ("us-gov-east-1", {}, "", "iam", "https://iam.us-gov.amazonaws.com/ us-gov-west-1/iam"),
        (
            "us-gov-east-1",
            {},
            "",
            "sts",
            "https://sts.us-gov-east-1.amazonaws.com/ us-gov-east-1/sts",
        ),
        (
            "us-gov-west-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "",
            "s3",
            "https://b-1.s3-fips.us-gov-west-1.amazonaws.com/ us-gov-west-1/s3",
        ),
        (
            "us-east-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "",
            "sqs",
            "https://sqs-fips.us-east-1.amazonaws.com/ us-east-1/sqs",
        ),
        (
            "us-east-1",
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "",
            "s3",
            "https://b-1.s3.dualstack.us-east-1.amazonaws.com/ us-east-1/s3",
        ),
        (
            "us-east-1",
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "",
            "sqs",
            "https://sqs.us-east-1.api.aws/ us-east-1/sqs",
        ),
        (
            "us-east-1",
            {},
            "[default]\nservices = mine\n[services mine]\nsqs =\n  endpoint_url = https://q.example\n",
            "sqs",
            "https://q.example/ us-east-1/sqs",
        ),
        (
            "us-east-1",
            {"AWS_ENDPOINT_URL": "https://all.example", "AWS_ENDPOINT_URL_S3": "https://o.example"},
            "",
            "s3",
            "https://o.example/b-1 us-east-1/s3",
        ),
        (
            "us-east-1",
            {"AWS_ENDPOINT_URL": "https://all.example", "AWS_ENDPOINT_URL_S3": "https://o.example"},
            "[default]\ns3 =\n  addressing_style = virtual\n",
            "s3",
            "https://b-1.o.example/ us-east-1/s3",
        ),
        (
            "us-west-2",
            {},
            "",
            "access point",
            "https://mine-123456789012.s3-accesspoint.us-west-2.amazonaws.com/k/1 us-west-2/s3",
        ),
    ],
)
async def test_endpoints_are_those_of_awss_settings(
    region: str,
    environ: dict[str, str],
    config: str,
    call: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: Path,
    aws_itself: Recorder,
) -> None:
    (settings / "config").write_text(config)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    service, action, parameters = CALLS[call]
    if service in ("iam", "sts"):
        aws_itself.body = f"<{action}Response><{action}Result/></{action}Response>".encode()
    async with clients(region) as aws:
        await aws.call(service, action, "it", **parameters)
    assert [url_of(head) for head in aws_itself.heads] == [expected]


@pytest.mark.parametrize(
    ("region", "environ", "expected"),
    [
        (
            "eu-west-1",
            {},
            AwsEndpoints(
                "eu-west-1",
                None,
                "https://sqs.eu-west-1.amazonaws.com",
                "https://{bucket}.s3.{region}.amazonaws.com",
                "https://s3.{region}.amazonaws.com/{bucket}",
            ),
        ),
        (
            "us-east-1",
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            AwsEndpoints(
                "us-east-1",
                None,
                "https://sqs-fips.us-east-1.api.aws",
                "https://{bucket}.s3-fips.dualstack.{region}.amazonaws.com",
                "https://s3-fips.dualstack.{region}.amazonaws.com/{bucket}",
            ),
        ),
        (
            "us-east-1",
            {"AWS_ENDPOINT_URL_S3": "http://minio:9000/"},
            AwsEndpoints(
                "us-east-1",
                None,
                "https://sqs.us-east-1.amazonaws.com",
                "http://minio:9000/{bucket}",
                "http://minio:9000/{bucket}",
            ),
        ),
    ],
)
async def test_tasks_are_told_the_endpoints_of_the_driver(
    region: str, environ: dict[str, str], expected: AwsEndpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with clients(region) as aws:
        assert await aws.resolve() == expected
        assert await aws.resolve("aiobotocore") == AwsEndpoints(region)


def test_tasks_use_the_bare_client_only_where_it_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    told = AwsEndpoints("us-east-1", None, "https://q", "https://{bucket}.s", "https://s/{bucket}")
    assert type(connect(told)) is Aws  # no credentials in the environment: a profile, a container
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "B")
    assert type(connect(told)) is BareAws
    assert type(connect(AwsEndpoints("us-east-1"))) is Aws


@pytest.mark.parametrize(
    ("bucket", "region", "origin", "path"),
    [
        ("b-1", None, "b-1.s3.eu-west-1.example", ""),
        ("b-1", "eu-central-1", "b-1.s3.eu-central-1.example", ""),
        ("b.1", None, "s3.eu-west-1.example", "/b.1"),
    ],
)
def test_buckets_of_tasks(bucket: str, region: str | None, origin: str, path: str) -> None:
    told = AwsEndpoints(
        "eu-west-1",
        None,
        "https://q",
        "https://{bucket}.s3.{region}.example",
        "https://s3.{region}.example/{bucket}",
    )
    client, root = BareAws(told, KEYS)._bucket(bucket, region)
    assert (client.origin.host, client.region, root) == (origin, region or "eu-west-1", path)


def test_a_bucket_elsewhere_behind_an_endpoint_of_one_region() -> None:
    told = AwsEndpoints("eu-west-1", None, "https://q", "https://{bucket}.s", "https://s/{bucket}")
    with pytest.raises(errors.WrongRegionError, match="client"):
        BareAws(told, KEYS)._bucket("b-1", "eu-central-1")


@pytest.mark.parametrize("bucket", [ACCESS_POINT, EXPRESS])
async def test_tasks_read_unusual_buckets_through_aiobotocore(bucket: str) -> None:
    told = AwsEndpoints("us-west-2", None, "https://q", "https://{bucket}.s", "https://s/{bucket}")
    aws = BareAws(told, KEYS)
    asked_of = []

    async def call(service: str, action: str, subject: str, **parameters: Any) -> Answer:
        asked_of.append((action, parameters["Bucket"]))
        return Answer({"ContentLength": 3, "ETag": '"e"'})

    aws.call = call  # type: ignore[method-assign]
    try:
        assert await aws.s3().head(bucket, "k") == Stored("k", 3, '"e"')
        await aws.s3().put(bucket, "k", b"abc")
    finally:
        await aws.aclose()
    assert asked_of == [("HeadObject", bucket), ("PutObject", bucket)]


@pytest.mark.parametrize("bucket", [ACCESS_POINT, EXPRESS])
async def test_tasks_without_aiobotocore_say_how_to_get_it(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("aiobotocore", "aiobotocore.session", "botocore"):
        monkeypatch.setitem(sys.modules, name, None)  # as where it is not installed
    told = AwsEndpoints("us-west-2", None, "https://q", "https://{bucket}.s", "https://s/{bucket}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "B")
    unresolved = AwsEndpoints("us-west-2")
    for aws, named in ((connect(told), bucket), (connect(unresolved), "plain")):
        try:
            with pytest.raises(
                errors.ConfigError,
                match=rf's3://{named}/k: .*access point.*`client = "aiobotocore"`.*aflint deploy',
            ):
                await aws.s3().get(named, "k")
        finally:
            await aws.aclose()


LISTED = (
    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>in/a.csv</Key>"
    "<Size>3</Size><ETag>e</ETag></Contents></ListBucketResult>"
)
NOTHING_AT_THE_NAME = [("404 Not Found", b""), ("200 OK", b"<ListBucketResult/>")]
"""The glob is looked for as the name of an object, and of a folder."""

SESSION = (
    "<CreateSessionResult><Credentials><AccessKeyId>AKIDSESSION</AccessKeyId>"
    "<SecretAccessKey>s</SecretAccessKey><SessionToken>of the session</SessionToken>"
    "<Expiration>2126-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>"
)


@pytest.mark.parametrize("glob", ["in/*.csv", "in/a*"])
async def test_input_of_an_access_point(glob: str, aws_itself: Recorder) -> None:
    aws_itself.body = LISTED.encode()
    async with clients("us-east-1") as aws:
        storage = S3Storage(aws)
        aws_itself.before += NOTHING_AT_THE_NAME
        files = await storage.list(f"s3://{ACCESS_POINT}/{glob}")
        assert [(file.path, file.size) for file in files] == [(f"s3://{ACCESS_POINT}/in/a.csv", 3)]
        aws_itself.body = b"a,b"
        assert await storage.read(files[0].path) == b"a,b"
    seen = [urlsplit(url_of(head)) for head in aws_itself.heads]
    host = "mine-123456789012.s3-accesspoint.us-west-2.amazonaws.com"
    assert {each.netloc for each in seen} == {host}
    assert seen[-1].path == "/in/a.csv us-west-2/s3"


async def test_input_of_a_directory_bucket(aws_itself: Recorder) -> None:
    aws_itself.body = LISTED.encode()
    async with clients("us-east-1") as aws:
        storage = S3Storage(aws)
        aws_itself.before += [("200 OK", SESSION.encode()), *NOTHING_AT_THE_NAME]
        files = await storage.list(f"s3://{EXPRESS}/in/a*.csv")
        assert [file.path for file in files] == [f"s3://{EXPRESS}/in/a.csv"]
        aws_itself.body = b"a,b"
        assert await storage.read(files[0].path) == b"a,b"
    seen = [urlsplit(url_of(head)) for head in aws_itself.heads]
    assert {each.netloc for each in seen} == {
        f"{EXPRESS}.s3express-use1-az4.us-east-1.amazonaws.com"
    }
    assert "session" in seen[0].query
    # such a bucket lists whole folders only
    assert parse_qs(seen[-2].query)["prefix"] == ["in/"]
    for head in aws_itself.heads[1:]:
        assert "Credential=AKIDSESSION/" in head
        assert "/us-east-1/s3express/" in head
        assert "x-amz-s3session-token: of the session" in head.lower()


@pytest.mark.parametrize(
    ("environ", "config", "tries"),
    [
        ({"AWS_MAX_ATTEMPTS": "2"}, "", 2),
        ({}, "[default]\nmax_attempts = 3\nretry_mode = adaptive\n", 3),
        ({"AWS_RETRY_MODE": "legacy", "AWS_MAX_ATTEMPTS": "2"}, "", 2),
        ({"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "4"}, "", 4),
        ({"AWS_MAX_ATTEMPTS": "1"}, "", 1),
        ({}, "", 6),
    ],
)
async def test_calls_are_repeated_as_often_as_awss_settings_say(
    environ: dict[str, str],
    config: str,
    tries: int,
    monkeypatch: pytest.MonkeyPatch,
    settings: Path,
) -> None:
    (settings / "config").write_text(config)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    async def at_once(seconds: float, result: object = None) -> None:
        return None

    monkeypatch.setattr("aiobotocore.endpoint.asyncio", SimpleNamespace(sleep=at_once))
    async with recording(status="500 Oops") as server, clients(endpoint_url=server.url) as aws:
        with pytest.raises(errors.ServiceUnavailableError):
            await aws.sqs().list_queues("q")
    assert len(server.heads) == tries


@pytest.mark.parametrize(("here", "tries"), [(True, 3), (False, 6)])
async def test_a_port_of_this_machine_where_nobody_listens_is_soon_given_up(
    here: bool, tries: int, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def at_once(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("aiobotocore.endpoint.asyncio", SimpleNamespace(sleep=at_once))
    if not here:
        monkeypatch.setattr("aflint.aws.retries.is_loopback", lambda _: False)
    async with clients(endpoint_url=f"http://127.0.0.1:{unused_tcp_port}") as aws:
        with pytest.raises(errors.EndpointUnreachableError, match=str(unused_tcp_port)) as raised:
            await aws.sqs().list_queues("q")
    assert "\n" not in str(raised.value)
    assert len(waits) == tries - 1
    assert not here or sum(waits) <= 3


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
async def test_fewer_tries_than_that_are_those_of_awss_settings(
    mode: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def at_once(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("aiobotocore.endpoint.asyncio", SimpleNamespace(sleep=at_once))
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    async with clients(endpoint_url=f"http://127.0.0.1:{unused_tcp_port}") as aws:
        with pytest.raises(errors.EndpointUnreachableError):
            await aws.sqs().list_queues("q")
    assert len(waits) == 1


async def test_the_certificates_that_the_config_file_names(settings: Path) -> None:
    (settings / "ca.pem").write_text(CERTIFICATE)
    (settings / "key.pem").write_text(KEY)
    (settings / "config").write_text(f"[default]\nca_bundle = {settings / 'ca.pem'}\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings / "ca.pem", settings / "key.pem")
    async with recording(context, body=b"") as server, clients(endpoint_url=server.url) as aws:
        assert await aws.sqs().list_queues("q") == []
        await aws.s3().put("b", "k", b"x")
    assert len(server.heads) == 2


async def test_no_region_and_no_profile(settings: Path) -> None:
    async with clients(None) as aws:
        with pytest.raises(errors.ConfigError, match=r"region.*us-east-1"):
            await aws.find_region()
    (settings / "config").write_text("[profile work]\nregion = eu-north-1\n")
    async with clients(None, profile="work") as aws:
        assert await aws.find_region() == "eu-north-1"
    async with clients(None, profile="nobody") as aws:
        with pytest.raises(errors.ConfigError, match="nobody"):
            await aws.find_region()


async def test_a_profile_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    async with clients(None, credentials=None) as aws:
        with pytest.raises(errors.ConfigError, match=r"no profile 'nosuch', which .* AWS_PROFILE"):
            await aws.sqs().list_queues("q")


@pytest.mark.parametrize("environ", [{}, {"AWS_ACCESS_KEY_ID": "A"}])
async def test_no_credentials(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with clients(credentials=None) as aws:
        with pytest.raises(errors.CredentialsError, match=r"aws configure"):
            await aws.sqs().list_queues("q")


PORTAL = "https://d-1.awsapps.com/start"
BY_PROFILE = f"sso_start_url = {PORTAL}\nsso_region = us-east-1\n"
BY_SESSION = "sso_session = mine\n"
SSO_SESSION = f"[sso-session mine]\nsso_start_url = {PORTAL}\nsso_region = us-east-1\n"


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize(
    ("profile", "rest", "name"), [(BY_PROFILE, "", PORTAL), (BY_SESSION, SSO_SESSION, "mine")]
)
async def test_an_expired_sign_in(
    signed_in: bool,
    profile: str,
    rest: str,
    name: str,
    settings: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = "sso_account_id = 123456789012\nsso_role_name = reader\n"
    (settings / "config").write_text(f"[default]\n{profile}{where}{rest}")
    for provider in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(settings))
    if signed_in:
        token = {"accessToken": "t", "expiresAt": "2020-01-01T00:00:00Z", "startUrl": PORTAL}
        kept = settings / f"{hashlib.sha1(name.encode()).hexdigest()}.json"
        kept.write_text(json.dumps(token))
    async with clients(credentials=None) as aws:
        with pytest.raises(errors.CredentialsError, match=r"aws sso login") as raised:
            await aws.sqs().list_queues("q")
    assert "\n" not in str(raised.value)
    assert signed_in == ("expired" in str(raised.value))


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_certificates_that_cannot_be_read(
    content: str | None, monkeypatch: pytest.MonkeyPatch, settings: Path
) -> None:
    bundle = settings / "ca.pem"
    if content:
        bundle.write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    async with clients() as aws:
        with pytest.raises(errors.ConfigError, match=r"ca\.pem.*AWS_CA_BUNDLE.*PEM"):
            await aws.sqs().list_queues("q")


async def test_clients_are_made_once() -> None:
    async with clients() as aws:
        found = await asyncio.gather(*(aws.client("sqs") for _ in range(5)))
        assert all(each is found[0] for each in found)
