"""Where credentials come from: the environment, or all the places that AWS's own tools know."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Protocol

from aflint.aws.quiet import quiet_botocore
from aflint.aws.signing import Credentials
from aflint.errors import ConfigError, CredentialsError

_HELP = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`, or "
    "name a profile that has credentials (setting `profile`)."
)
_ASK_AGAIN_S = 60.0


class CredentialSource(Protocol):
    """Gives the credentials that are valid now."""

    async def get(self, *, fresh: bool = False) -> Credentials:
        """Return credentials; `fresh` says that the last ones were refused as expired.

        Raises CredentialsError.
        """
        ...


class FixedCredentials:
    """Credentials that never change."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self, *, fresh: bool = False) -> Credentials:
        return self._credentials


class SessionCredentials:
    """Credentials by way of aiobotocore: profiles, SSO, roles, containers, instances.

    They are asked for again every minute, which refreshes those that are about to expire.
    """

    def __init__(self, profile: str | None = None) -> None:
        self._profile = profile
        self._source: Any = None
        self._current: Credentials | None = None
        self._asked_at = 0.0
        self._lock = asyncio.Lock()

    async def get(self, *, fresh: bool = False) -> Credentials:
        loop = asyncio.get_running_loop()
        if self._current and not fresh and loop.time() - self._asked_at < _ASK_AGAIN_S:
            return self._current
        async with self._lock:
            if fresh or self._source is None:
                self._source = await self._find()
            self._current = await self._freeze()
            self._asked_at = loop.time()
        return self._current

    async def _find(self) -> Any:
        make = await asyncio.to_thread(_session_class)
        from botocore.exceptions import BotoCoreError

        try:
            with quiet_botocore():
                source = await make(profile=self._profile).get_credentials()
        except BotoCoreError as error:
            raise CredentialsError(
                f"AWS credentials cannot be read: {str(error).rstrip('.')}. {_HELP}"
            ) from error
        if source is None:
            raise CredentialsError(f"No AWS credentials were found. {_HELP}")
        return source

    async def _freeze(self) -> Credentials:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with quiet_botocore():
                frozen = await self._source.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise CredentialsError(
                f"AWS credentials cannot be refreshed: {error}. {_HELP}"
            ) from error
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def credentials_for(profile: str | None, environ: Mapping[str, str]) -> CredentialSource:
    """Return the environment's credentials where it has them and no profile is named.

    This is the order of AWS's own tools; in a Lambda function it spares loading them.
    """
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if profile is None and access and secret:
        token = environ.get("AWS_SESSION_TOKEN") or environ.get("AWS_SECURITY_TOKEN")
        return FixedCredentials(Credentials(access, secret, token or None))
    return SessionCredentials(profile)


def find_region(profile: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the region that AWS's own settings name.

    Raises ConfigError where they name none, or not that profile.
    """
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if profile is None and environ.get(name):
            return environ[name]
    from botocore.exceptions import BotoCoreError

    try:
        found = _session_class()(profile=profile).get_config_variable("region")
    except BotoCoreError as error:
        raise ConfigError(f"AWS's settings cannot be read: {error}") from error
    if not found:
        raise ConfigError(
            "No AWS region is set. Set `region` (or AWS_REGION), such as us-east-1, or give the "
            "profile one with `aws configure`."
        )
    return str(found)


def _session_class() -> Any:
    from aiobotocore.session import AioSession

    return AioSession
