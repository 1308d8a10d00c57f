"""The driver's clients of AWS: aiobotocore's, one for each service, kept as long as the session.

Credentials, region, endpoints, proxies, certificates and retries are whatever aiobotocore makes of
AWS's own settings. What is set here is set for speed, with what it saves of one Invoke's 870 µs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from functools import cache
from typing import Any, Final

from aflint import __version__
from aflint.aws.answers import Answer, answer_to
from aflint.aws.bare.signing import Credentials
from aflint.aws.endpoints import is_loopback, resolve_endpoints
from aflint.aws.explain import explain, settings_error
from aflint.aws.quiet import quiet_botocore
from aflint.aws.retries import give_up_here
from aflint.aws.s3 import S3
from aflint.aws.sqs import Sqs
from aflint.aws.tls import tls_context
from aflint.errors import BackendError, ConfigError
from aflint.task import AwsEndpoints, TransferCounts

_CONNECT_S: Final = 5
_READ_S: Final = 60
_ATTEMPTS: Final = {"sqs": 6, "s3": 6}
"""Where AWS's settings name no other number. All other services: `_FEW_ATTEMPTS`, so that it shows
soon when nobody answers."""
_FEW_ATTEMPTS: Final = 3

_POOL: Final = 64


class Aws:
    """One client for each service, made when it is first needed; all of one region and profile.

    `region`, `profile`: None for what AWS's own settings say. `endpoint_url`: where services are
    emulated. `credentials` go before those that AWS's settings name. Making one opens nothing; it
    belongs to the loop that first makes a call.
    """

    def __init__(
        self,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.endpoint_url = endpoint_url
        # botocore looks at AWS_DEFAULT_REGION alone; AWS's other tools look at this one first
        self._region = region or (None if profile else os.environ.get("AWS_REGION"))
        self._profile = profile
        self._credentials = credentials
        self._session: Any = None
        self._clients: dict[tuple[Any, ...], Any] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    @property
    def region(self) -> str:
        """The region, once `find_region` has found it."""
        assert self._region is not None
        return self._region

    async def find_region(self) -> str:
        """Return the region that was given, else the one that AWS's own settings name.

        Raises ConfigError where they name none, or cannot be read.
        """
        if self._region is None:
            session = await self._opened()
            found = await asyncio.to_thread(session.get_config_variable, "region")
            if not found:
                raise ConfigError(
                    "No AWS region is set. Set `region` (or AWS_REGION), such as us-east-1, or "
                    "give the profile one with `aws configure`."
                )
            self._region = str(found)
        return self._region

    def sqs(self) -> Sqs:
        """Return the calls of SQS."""
        return Sqs(self)

    def s3(self, counts: TransferCounts | None = None) -> S3:
        """Return the calls of S3; `counts` is told of each that S3 bills."""
        return S3(self, counts)

    async def resolve(self, client: str = "auto") -> AwsEndpoints:
        """Return where executors find SQS and S3: see `aflint.aws.endpoints`."""
        return await resolve_endpoints(self, client)

    async def runs_here(self) -> bool:
        """Say whether functions run on this machine: Lambda is emulated here."""
        return is_loopback((await self.client("lambda")).meta.endpoint_url)

    async def call(self, service: str, action: str, subject: str, **parameters: Any) -> Answer:
        """Make a call, such as `("lambda", "GetFunction", "function x", FunctionName="x")`.

        Raises a BackendError or ConfigError that says what to do; `subject` is named in it.
        """
        try:
            client = await self.client(service)
        except ModuleNotFoundError as error:  # in a function: the driver has it
            raise ConfigError(
                f"{service} {action}, {subject}: this takes aiobotocore, which the functions do "
                "not have. Tasks do without it for buckets with plain names and requests that are "
                "signed as usual, and for no access points or directory buckets. Set "
                '`client = "aiobotocore"` and run `aflint deploy`.'
            ) from error
        try:
            parsed = await getattr(client, _method(action))(**parameters)
        except Exception as error:
            raise self.explained(error, service, action, subject) from error
        return answer_to(f"{service} {action}, {subject}", parsed)

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
        client = await self.client(service)
        try:
            async for page in client.get_paginator(_method(action)).paginate(**parameters):
                yield answer_to(f"{service} {action}, {subject}", page)
        except Exception as error:
            raise self.explained(error, service, action, subject) from error

    async def client(
        self,
        service: str,
        *,
        read_s: float = _READ_S,
        attempts: int | None = None,
        pool: int = _POOL,
    ) -> Any:
        """Return aiobotocore's client of a service, the same one each time.

        `read_s`: how long an answer may take. `attempts`: None for what AWS's settings say. `pool`:
        connections at once, where they go through a proxy.
        """
        key = (service, read_s, attempts, pool)
        if key not in self._clients:
            session = await self._opened()
            async with self._opening:
                if key not in self._clients:
                    self._clients[key] = await self._made(session, *key)
        return self._clients[key]

    async def aclose(self) -> None:
        """Close all connections."""
        self._clients.clear()
        self._session = None
        await self._stack.aclose()

    def explained(self, error: Exception, service: str, action: str, subject: str) -> Exception:
        """Return aflint's error for what a call has raised."""
        where = self.endpoint_url or self._region or "that of AWS's settings"
        return explain(error, service, action, subject, where)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._session is None:
                self._session = await asyncio.to_thread(_session, self._profile)
                self._stack.enter_context(quiet_botocore())
                if self._credentials is not None:
                    keys = self._credentials
                    self._session.set_credentials(keys.access_key, keys.secret_key, keys.token)
        return self._session

    async def _made(
        self, session: Any, service: str, read_s: float, attempts: int | None, pool: int
    ) -> Any:
        from botocore.exceptions import BotoCoreError

        from aflint.aws.http_session import PlainHttpSession
        from aflint.aws.short_way import shortened

        await asyncio.to_thread(_read_models, session, service)
        http = PlainHttpSession.of_one_client()
        config = _config(session, service, http, read_s, attempts, pool)
        opening = session.create_client(
            service, region_name=self._region, endpoint_url=self.endpoint_url, config=config
        )
        try:
            with shortened(session, service, http):
                client = await self._stack.enter_async_context(opening)
        except (BotoCoreError, ValueError) as error:
            subject = f"region {self._region or 'unknown'}"
            raise self.explained(error, service, "client", subject) from error
        service_id = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"needs-retry.{service_id}", give_up_here)
        return client


def _config(
    session: Any, service: str, http: type, read_s: float, attempts: int | None, pool: int
) -> Any:
    from aiobotocore.config import AioConfig

    retries: dict[str, Any] = {}
    if not _names(session, "retry_mode", "AWS_RETRY_MODE"):
        retries["mode"] = "standard"
    if attempts or not _names(session, "max_attempts", "AWS_MAX_ATTEMPTS"):
        retries["total_max_attempts"] = attempts or _ATTEMPTS.get(service, _FEW_ATTEMPTS)
    checks = {
        name: "when_required"
        for name in ("request_checksum_calculation", "response_checksum_validation")
        if not _names(session, name, f"AWS_{name.upper()}")
    }
    return AioConfig(
        connect_timeout=_CONNECT_S,
        read_timeout=read_s,
        max_pool_connections=pool,
        retries=retries,
        user_agent=_user_agent(session),  # 116 µs: it is put together twice for each call otherwise
        parameter_validation=False,  # 24 µs
        http_session_cls=http,  # 300 µs and more
        **checks,  # S3 checks its own; TLS and the tags of frames see to the rest
    )


def _names(session: Any, name: str, variable: str) -> bool:
    """Say whether AWS's settings name a value, rather than leave it to aiobotocore."""
    return bool(os.environ.get(variable) or session.get_scoped_config().get(name))


def _user_agent(session: Any) -> str:
    from aiobotocore import __version__ as theirs

    app = session.get_config_variable("user_agent_appid")
    return f"aflint/{__version__} aiobotocore/{theirs}" + (f" app/{app}" if app else "")


def _session(profile: str | None) -> Any:
    """Return a session whose settings were read. Raises ConfigError where they cannot be used."""
    from aiobotocore.session import AioSession
    from botocore.exceptions import BotoCoreError

    session = AioSession(profile=profile)
    session.register_component("data_loader", _loader())
    try:
        session.get_scoped_config()
        bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    except BotoCoreError as error:
        raise settings_error(error) from error
    try:
        tls_context(bundle or True)
    except OSError as error:  # that of ssl for what is no certificate, too
        raise ConfigError(
            f"The certificates in {bundle} cannot be read: {error}. Have AWS_CA_BUNDLE, or "
            "`ca_bundle` in ~/.aws/config, name a file of certificates in PEM format."
        ) from error
    return session


def _read_models(session: Any, service: str) -> None:
    """Have botocore's models of a service read and kept: a thread's work, as it takes 100 ms."""
    loader = session.get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model(service, kind)
    for name in ("endpoints", "partitions", "_retry", "sdk-default-configuration"):
        loader.load_data(name)


@cache
def _loader() -> Any:
    """Return what reads botocore's models, and keeps them: that is most of a client's cost."""
    from botocore.loaders import create_loader

    return create_loader()


@cache
def _method(action: str) -> str:
    from botocore import xform_name

    return str(xform_name(action))
