"""AWS Signature Version 4, checked: the same arithmetic as the client's. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Authorization:
    """What an Authorization header, or a presigned URL, claims."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    token: str = ""
    """The session token that came with it."""
    presigned: bool = False


def read_authorization(
    headers: Mapping[str, str], query: Mapping[str, str]
) -> Authorization | None:
    """The claim of a request; None when it makes none that can be read."""
    header = headers.get("authorization", "")
    if header.startswith(_ALGORITHM + " "):
        parts = dict(
            part.strip().partition("=")[::2] for part in header[len(_ALGORITHM) :].split(",")
        )
        token = headers.get("x-amz-security-token", "")
        names = ("Credential", "SignedHeaders", "Signature")
        return _claim(parts, names, token, presigned=False)
    if "X-Amz-Credential" in query:
        token = query.get("X-Amz-Security-Token", "")
        names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature")
        return _claim(query, names, token, presigned=True)
    return None


def _claim(
    parts: Mapping[str, str], names: tuple[str, str, str], token: str, *, presigned: bool
) -> Authorization | None:
    credential, signed, signature = names
    scope = parts.get(credential, "").split("/")
    if len(scope) != 5:
        return None
    return Authorization(
        scope[0],
        scope[1],
        scope[2],
        scope[3],
        tuple(parts.get(signed, "").split(";")),
        parts.get(signature, ""),
        token,
        presigned,
    )


def signs(
    claim: Authorization,
    secret: str,
    method: str,
    path: str,
    raw_query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> bool:
    """Whether the claim's signature is the one that `secret` makes; `path` as sent."""
    payload = headers.get("x-amz-content-sha256")
    if claim.presigned:
        payload = payload or "UNSIGNED-PAYLOAD"
    elif payload is None or not payload.startswith(("UNSIGNED", "STREAMING")):
        # A body that was altered on its way fails here, also where the header was not signed.
        actual = hashlib.sha256(body).hexdigest()
        if payload is not None and payload != actual:
            return False
        payload = actual
    # All services but S3 sign the path encoded once more.
    if claim.service != "s3":
        path = quote(path, safe="/-_.~")
    pairs = parse_qsl(raw_query, keep_blank_values=True)
    # Sorted after they are encoded, as SigV4 asks; a presigned URL's signature signs the others.
    canonical_query = "&".join(
        sorted(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in pairs
            if name != "X-Amz-Signature"
        )
    )
    lines = [
        method,
        path or "/",
        canonical_query,
        *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in claim.signed_headers),
        "",
        ";".join(claim.signed_headers),
        payload,
    ]
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
    stamp = headers.get("x-amz-date") or dict(pairs).get("X-Amz-Date", "")
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{canonical}"
    key = ("AWS4" + secret).encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, text.encode(), "sha256").hexdigest()
    return hmac.compare_digest(expected, claim.signature)
