"""AWS's Signature Version 4, with all that does not change from call to call computed once."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import NoReturn
from urllib.parse import quote

EMPTY_SHA256 = sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request is signed with. `token` is that of a session, where there is one.

    They are shown in no repr, and cannot be pickled.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @staticmethod
    def of(environ: Mapping[str, str]) -> Credentials | None:
        """Return the credentials that the environment holds, as it does in a function."""
        access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
        if not access or not secret:
            return None
        return Credentials(access, secret, environ.get("AWS_SESSION_TOKEN") or None)

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not to be pickled: each process finds its own")


class Signer:
    """Signs requests to one service in one region.

    `service` is as in the scope of a signature: "sqs" or "s3".
    """

    def __init__(self, service: str, region: str) -> None:
        self.service = service
        self.region = region
        self._is_s3 = service == "s3"
        self._key = b""
        self._key_is_for: tuple[str, Credentials | None] = ("", None)

    def sign(
        self,
        credentials: Credentials,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body_sha256: str,
        now: float,
    ) -> dict[str, str]:
        """Return the headers to send: those given, and those of the signature.

        `path` and `query` are as sent, percent-encoded, the query sorted by name. `headers` have
        lower-case names, "host" among them, and every one is signed. `body_sha256` is in hex,
        `now` in seconds since 1970.
        """
        stamp = _stamp(int(now))
        signed = dict(headers)
        signed["x-amz-date"] = stamp
        if self._is_s3:
            signed["x-amz-content-sha256"] = body_sha256
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        lines = "".join([f"{name}:{' '.join(signed[name].split())}\n" for name in names])
        listed = ";".join(names)
        canonical_path = path if self._is_s3 else _encoded_again(path)
        canonical = f"{method}\n{canonical_path}\n{query}\n{lines}\n{listed}\n{body_sha256}"
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        digest = sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        key = self._signing_key(credentials, stamp[:8])
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _signing_key(self, credentials: Credentials, day: str) -> bytes:
        """Return the key, derived anew only on another day or with other credentials."""
        if self._key_is_for != (day, credentials):
            key = b"AWS4" + credentials.secret_key.encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key, self._key_is_for = key, (day, credentials)
        return self._key


@lru_cache(maxsize=8)
def _stamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@lru_cache(maxsize=256)
def _encoded_again(path: str) -> str:
    """All services but S3 sign the path encoded a second time."""
    return quote(path, safe="/~")
