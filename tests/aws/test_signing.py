from __future__ import annotations

import datetime
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from aflint.aws.bare.signing import Credentials, Signer

NOW = datetime.datetime(2026, 11, 22, 13, 14, 15, tzinfo=datetime.UTC)
KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", min_size=16, max_size=40)
NAMES = st.from_regex(r"x-amz-[a-z]{1,12}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
SEGMENTS = st.text("abcXYZ019-_.~%:", min_size=1, max_size=8).filter(lambda s: s not in (".", ".."))


def _botocore_signs(
    service: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes,
    credentials: Credentials,
) -> dict[str, str]:  # fmt: skip
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    url = f"https://{headers['host']}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    request.context["payload_signing_enabled"] = True
    theirs = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        signer(theirs, service, "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    service=st.sampled_from(["sqs", "s3", "lambda"]),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    segments=st.lists(SEGMENTS, max_size=3),
    query=st.dictionaries(st.text("abcXYZ", min_size=1), st.text("abc-_.~019"), max_size=3),
    extra=st.dictionaries(NAMES, VALUES, max_size=3),
    body=st.binary(max_size=100),
    access=KEYS,
    secret=KEYS,
    token=st.none() | KEYS,
)
def test_signs_as_botocore_does(
    service: str,
    method: str,
    segments: list[str],
    query: dict[str, str],
    extra: dict[str, str],
    body: bytes,
    access: str,
    secret: str,
    token: str | None,
) -> None:
    from hashlib import sha256
    from urllib.parse import quote

    credentials = Credentials(access, secret, token)
    path = "/" + "/".join(quote(segment, safe="-_.~") for segment in segments)
    text = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
    reserved = {"x-amz-date", "x-amz-security-token"}
    headers = {"host": f"{service}.eu-west-1.amazonaws.com", "content-type": "text/plain"}
    headers |= {name: value for name, value in extra.items() if name not in reserved}
    ours = Signer(service, "eu-west-1").sign(
        credentials, method, path, text, headers, sha256(body).hexdigest(), NOW.timestamp()
    )
    theirs = _botocore_signs(service, method, path, text, headers, body, credentials)
    assert ours["authorization"] == theirs["authorization"]
    assert ours["x-amz-date"] == theirs["x-amz-date"]
    assert ours.get("x-amz-security-token") == theirs.get("x-amz-security-token")


@pytest.mark.parametrize("service", ["sqs", "s3"])
def test_the_key_follows_day_and_credentials(service: str) -> None:
    signer = Signer(service, "us-east-1")
    one, other = Credentials("A", "one"), Credentials("A", "other", "token")

    def sign(credentials: Credentials, now: float) -> str:
        return signer.sign(credentials, "GET", "/", "", {"host": "h"}, "0" * 64, now)[
            "authorization"
        ]

    first = sign(one, 0.0)
    assert sign(one, 86_400.0) != first
    assert sign(other, 0.0) != first
    assert sign(one, 0.0) == first


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Credentials("known", "hidden", "hidden too"))
