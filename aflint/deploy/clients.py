"""The calls to AWS that deploying makes, by way of aiobotocore, with aflint's own errors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, Final

from aflint.aws.credentials import find_region
from aflint.aws.endpoints import endpoint_url, is_loopback
from aflint.aws.failures import Refusal, translate
from aflint.aws.quiet import quiet_botocore
from aflint.aws.signing import Credentials
from aflint.config import Config
from aflint.errors import (
    BackendError,
    ConfigError,
    CredentialsError,
    EndpointUnreachableError,
    InvalidArgumentError,
    ServiceUnavailableError,
)

_CONNECT_S: Final = 3
_READ_S: Final = 120
_ATTEMPTS: Final = 3

Answer = dict[str, Any]


class Clients:
    """One client per service, made when it is first needed; all of one region and profile."""

    def __init__(
        self, session: Any, region: str, endpoint_url: str | None, stack: AsyncExitStack
    ) -> None:
        self.region = region
        self.endpoint_url = endpoint_url
        self._session = session
        self._stack = stack
        self._made: dict[str, Any] = {}
        self._lock = asyncio.Lock()

    async def call(self, service: str, action: str, subject: str, **parameters: Any) -> Answer:
        """Make a call, such as `("lambda", "GetFunction", "function x", FunctionName="x")`.

        Raises a BackendError or ConfigError that says what to do; `subject` is named in it.
        """
        from botocore import xform_name

        client = await self._client(service)
        try:
            answer: Answer = await getattr(client, xform_name(action))(**parameters)
        except Exception as error:
            raise self._explained(error, service, action, subject) from error
        return answer

    async def find(
        self, service: str, action: str, subject: str, absent: Collection[str], **parameters: Any
    ) -> Answer | None:
        """Do as `call` does; None where the service answers by one of the codes in `absent`."""
        try:
            return await self.call(service, action, subject, **parameters)
        except BackendError as error:
            if error.code in absent:
                return None
            raise

    async def pages(
        self, service: str, action: str, subject: str, **parameters: Any
    ) -> AsyncIterator[Answer]:
        """Yield every page of a listing. Raises as `call` does."""
        from botocore import xform_name

        client = await self._client(service)
        try:
            async for page in client.get_paginator(xform_name(action)).paginate(**parameters):
                yield page
        except Exception as error:
            raise self._explained(error, service, action, subject) from error

    async def _client(self, service: str) -> Any:
        async with self._lock:
            if service not in self._made:
                self._made[service] = await self._open(service)
            return self._made[service]

    async def _open(self, service: str) -> Any:
        from aiobotocore.config import AioConfig
        from botocore.exceptions import BotoCoreError

        url = endpoint_url(service, self.region, os.environ, self.endpoint_url)
        config = AioConfig(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            s3={"addressing_style": "path"} if self.endpoint_url else None,
            user_agent_extra="aflint-deploy",
            proxies={} if is_loopback(url) else None,  # None: as the environment says
        )
        opening = self._session.create_client(
            service, region_name=self.region, endpoint_url=self.endpoint_url, config=config
        )
        try:
            return await self._stack.enter_async_context(opening)
        except (BotoCoreError, ValueError) as error:
            raise self._explained(error, service, "client", f"region {self.region}") from error

    def _explained(self, error: Exception, service: str, action: str, subject: str) -> Exception:
        return explain(error, service, action, subject, self.endpoint_url or self.region)


@asynccontextmanager
async def open_clients(
    config: Config, credentials: Credentials | None = None
) -> AsyncIterator[Clients]:
    """Give the clients for a configuration, and close them at the end.

    `credentials` go before those that AWS's settings name.

    Raises:
        ConfigError: no region is known, or the profile is not there; or the backend is localcloud
            and no endpoint is given.
    """
    endpoint = config.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    if config.backend == "localcloud" and not endpoint:
        raise ConfigError(
            f'{config.origin("backend")}: backend = "localcloud" lives inside a session. To deploy '
            "to one by hand, start `aflint localcloud` and set what it prints."
        )
    region = config.region
    if region is None:
        region = await asyncio.to_thread(find_region, config.profile)
    session = await asyncio.to_thread(_session, config.profile)
    if credentials is not None:
        session.set_credentials(credentials.access_key, credentials.secret_key, credentials.token)
    async with AsyncExitStack() as stack:
        stack.enter_context(quiet_botocore())
        yield Clients(session, region, endpoint, stack)


def _session(profile: str | None) -> Any:
    from aiobotocore.session import AioSession
    from botocore.exceptions import BotoCoreError

    session = AioSession(profile=profile)
    session.register_component("data_loader", _loader())
    try:
        session.get_scoped_config()
    except BotoCoreError as error:
        raise ConfigError(f"AWS's settings cannot be read: {error}") from error
    return session


@cache
def _loader() -> Any:
    """Return what reads botocore's models, and keeps them: that is most of a client's cost."""
    from botocore.loaders import create_loader

    return create_loader()


def explain(error: Exception, service: str, action: str, subject: str, where: str) -> Exception:
    """Return aflint's error for one of botocore's; any other is returned as it is."""
    from botocore import exceptions as its
    from botocore.parsers import ResponseParserError

    call, said = f"{service} {action}, {subject}", f"{str(error).rstrip('.')}."
    if isinstance(error, its.ClientError):
        return translate(_refusal(error.response), service, action, subject)
    if isinstance(error, _kinds(its, _NO_CREDENTIALS)):
        return CredentialsError(
            f"{call}: {said} Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` "
            "or `aws sso login`, or name a profile that has credentials (setting `profile`)."
        )
    if isinstance(error, its.HTTPClientError | its.ConnectionError):
        return EndpointUnreachableError(
            f"{call}: {said} Check the network, `region` and `endpoint_url` ({where})."
        )
    if isinstance(error, its.NoRegionError | its.InvalidRegionError):
        return ConfigError(f"{call}: {said} Set `region`, such as us-east-1.")
    if isinstance(error, its.ParamValidationError):
        return InvalidArgumentError(f"{call}: {error}")
    if isinstance(error, ResponseParserError):
        return ServiceUnavailableError(
            f"{call}: what answers is no service of AWS, or a proxy before one. Check "
            f"`endpoint_url` ({where}), or try again."
        )
    if isinstance(error, its.BotoCoreError):
        return BackendError(f"{call}: {error}")
    return error


_NO_CREDENTIALS: Final = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
    "TokenRetrievalError", "SSOError", "MetadataRetrievalError", "ProfileNotFound",
    "NoAuthTokenError", "LoginError",
)  # fmt: skip


def _kinds(module: Any, names: Collection[str]) -> tuple[type[Exception], ...]:
    """Return those of botocore's exceptions that this version of it has."""
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


def _refusal(response: Answer) -> Refusal:
    said, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    return Refusal(
        status=int(meta.get("HTTPStatusCode", 0)),
        code=str(said.get("Code", "")),
        message=str(said.get("Message", "")),
        request_id=str(meta.get("RequestId", "")),
        region=str(headers.get("x-amz-bucket-region") or said.get("Region") or ""),
    )
