"""The short way of an Invoke through aiobotocore: 200 µs of CPU in place of 700.

aiobotocore checks the arguments, finds the endpoint and the credentials, and raises the errors.
What it does in between, for any call of any service, is done here for this one: its event
`before-call` takes an answer in place of sending. A request that is not to be signed by plain SigV4
goes the long way.
"""

from __future__ import annotations

import time
from functools import lru_cache
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from botocore.auth import SIGNED_HEADERS_BLACKLIST

from aflint.aws.bare.signing import Credentials, Signer
from aflint.aws.failures import read_refusal
from aflint.aws.http_session import PlainHttpSession, Received
from aflint.aws.parser import Response


def shorten(client: Any, credentials: Any, session: PlainHttpSession) -> None:
    """Have a client of Lambda send its Invokes the short way, over its own HTTP session.

    `credentials` are aiobotocore's, which refresh themselves.
    """

    async def instead(params: dict[str, Any], context: dict[str, Any], **_: Any) -> Any:
        asked_for = context.get("auth_type") or client.meta.config.signature_version
        if asked_for != "v4" or credentials is None:
            return None
        keys = await credentials.get_frozen_credentials()
        signing = context.get("signing") or {}
        region = signing.get("region") or client.meta.region_name
        signer = _signer(signing.get("signing_name") or "lambda", region)
        headers = _signed(signer, _kept(keys.access_key, keys.secret_key, keys.token), params)
        request = SimpleNamespace(
            method=params["method"],
            url=params["url"],
            headers=headers,
            body=params["body"],
            stream_output=False,
            context=context,
        )
        answer = await session.send(request)
        response = Response(answer.status_code, dict(answer.headers), await answer.content)
        return answer, _parsed(response, params["url"])

    client.meta.events.register("before-call.lambda.Invoke", instead)


def _signed(signer: Signer, keys: Credentials, params: dict[str, Any]) -> dict[str, str]:
    """Return the headers to send, the signature's among them."""
    base, _, query = params["url"].partition("?")
    host, _, path = base.partition("://")[2].partition("/")
    headers = {name.lower(): value for name, value in params["headers"].items()}
    unsigned = {name: headers.pop(name) for name in SIGNED_HEADERS_BLACKLIST if name in headers}
    digest = sha256(params["body"]).hexdigest()
    to_sign = {"host": host, **headers}
    signed = signer.sign(keys, params["method"], f"/{path}", query, to_sign, digest, time.time())
    return signed | unsigned


def _parsed(response: Response, url: str) -> dict[str, Any]:
    """Return what aiobotocore makes of an answer to Invoke."""
    headers = response.headers
    meta = {
        "RequestId": headers.get("x-amzn-requestid", ""),
        "HTTPStatusCode": response.status,
        "HTTPHeaders": headers,
    }
    if response.status >= 300:
        refusal = read_refusal(response)
        said = {"Code": refusal.code, "Message": refusal.message}
        return {"Error": said, "ResponseMetadata": meta}
    return {
        "StatusCode": response.status,
        "FunctionError": headers.get("x-amz-function-error", ""),
        "LogResult": headers.get("x-amz-log-result", ""),
        "Payload": Received(url, response.body),
        "ResponseMetadata": meta,
    }


@lru_cache(maxsize=8)
def _signer(service: str, region: str) -> Signer:
    return Signer(service, region)


@lru_cache(maxsize=8)
def _kept(access_key: str, secret_key: str, token: str | None) -> Credentials:
    return Credentials(access_key, secret_key, token)
