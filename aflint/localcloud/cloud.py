"""The cloud as a whole: its services put together, and their life from start to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aflint import limits
from aflint.errors import AflintError, InvalidArgumentError
from aflint.localcloud.access import Access, Credentials, new_credentials
from aflint.localcloud.clock import Clock, SystemClock
from aflint.localcloud.faults import Dice, Faults
from aflint.localcloud.household import Household
from aflint.localcloud.iam import Iam, Sts
from aflint.localcloud.lambda_.api import Lambda
from aflint.localcloud.lambda_.environment import Platform
from aflint.localcloud.lambda_.functions import CodeStore, Functions
from aflint.localcloud.lambda_.invoking import Invoking
from aflint.localcloud.lambda_.pool import Concurrency, Pool
from aflint.localcloud.lambda_.process import MemoryWatch
from aflint.localcloud.lambda_.runtime import link_runtime
from aflint.localcloud.loopback import no_proxy
from aflint.localcloud.roles import Roles
from aflint.localcloud.s3.api import S3
from aflint.localcloud.server import Control, Edge
from aflint.localcloud.snapshot import Counters, EnvironmentView, QueueView, Snapshot
from aflint.localcloud.sqs.api import Sqs
from aflint.localcloud.wire import new_id

DEFAULT_CONCURRENCY = 10
"""What AWS grants a new account, and about what a laptop bears: each is a real process."""
_UNRESERVED_MINIMUM = 100


class LocalCloudStartError(AflintError):
    """The emulator could not listen on its port or make its folder, or was entered again."""


class _Stop(Exception):
    """Ends the cloud's task group."""


@dataclass(frozen=True)
class _Options:
    """What a cloud is made with; see `LocalCloud`."""

    message_limit_bytes: int
    in_flight_limit: int
    concurrency: int
    unreserved_minimum: int
    idle_seconds: float
    settle_seconds: float
    freeze: bool
    functions: bool


@dataclass(frozen=True)
class _Services:
    """The services that answer requests, and the parts of Lambda whose state a snapshot shows."""

    sqs: Sqs
    s3: S3
    iam: Iam
    sts: Sts
    lambda_: Lambda
    functions: Functions
    pool: Pool


class LocalCloud:
    """SQS, S3, Lambda, IAM and STS on loopback, within AWS's limits.

        async with LocalCloud() as cloud:
            client = session.create_client("sqs", endpoint_url=cloud.endpoint_url, ...)

    It runs on the loop that enters it and listens on 127.0.0.1 only. Every request has to be signed
    with a key made for this cloud: the user's, which may do everything, or that of a function,
    which may do what the policies of its role allow. When the context is left, or the process ends
    in any way, the cloud's processes are killed and its files removed.

    `message_limit_bytes` is the SQS limit of a batch and the default MaximumMessageSize: 1 MiB or
    256 KiB. `concurrency` is the account's. `settle_seconds` is how long a function stays Pending.
    With `functions=False` no function can be created, and awslambdaric is not needed. With
    `freeze`, environments are stopped (SIGSTOP) between invocations.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        region: str = "us-east-1",
        account: str = "123456789012",
        message_limit_bytes: int = limits.SQS_MESSAGE_BYTES,
        in_flight_limit: int = limits.SQS_IN_FLIGHT,
        concurrency: int = DEFAULT_CONCURRENCY,
        unreserved_minimum: int | None = None,
        idle_seconds: float = 600.0,
        settle_seconds: float = 0.0,
        freeze: bool = True,
        functions: bool = True,
        faults: Faults | None = None,
        denied: Iterable[str] = (),
        verify_signatures: bool = True,
        clock: Clock | None = None,
    ) -> None:
        if not limits.KIB <= message_limit_bytes <= limits.SQS_MESSAGE_BYTES:
            raise InvalidArgumentError(
                f"message_limit_bytes={message_limit_bytes} is not between 1 KiB and 1 MiB"
            )
        if concurrency < 1:
            raise InvalidArgumentError(f"concurrency={concurrency} is less than one")
        self.region = region
        self.account = account
        self.endpoint_url = ""
        self._port = port
        self._clock = clock or SystemClock()
        self._dice = Dice(faults or Faults())
        self._counters = Counters()
        self._roles = Roles()
        self._access = Access(region, self._roles, denied, verify=verify_signatures)
        self._user = new_credentials(f"arn:aws:iam::{account}:user/localcloud")
        self._of_roles: dict[str, Credentials] = {}
        self._access.add(self._user)
        if unreserved_minimum is None:
            unreserved_minimum = min(_UNRESERVED_MINIMUM, concurrency)
        self._options = _Options(
            message_limit_bytes=message_limit_bytes,
            in_flight_limit=in_flight_limit,
            concurrency=concurrency,
            unreserved_minimum=unreserved_minimum,
            idle_seconds=idle_seconds,
            settle_seconds=settle_seconds,
            freeze=freeze,
            functions=functions,
        )
        self._group: asyncio.TaskGroup | None = None
        self._main: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    # -- what users read -----------------------------------------------------------------------

    @property
    def credentials(self) -> tuple[str, str]:
        """Access key and secret key of the user; they have no session token."""
        return self._user.access_key, self._user.secret_key

    def environment(self, role: str = "") -> dict[str, str]:
        """Environment variables under which AWS's SDKs use this cloud and nothing else.

        With the ARN of a role, those of functions that run as that role.
        """
        user = self._user_of(role) if role else self._user
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": user.access_key,
            "AWS_SECRET_ACCESS_KEY": user.secret_key,
            "AWS_SESSION_TOKEN": user.session_token,  # a user's is "": it hides one from outside
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            **({} if role else no_proxy(os.environ)),
        }

    def _user_of(self, role: str) -> Credentials:
        """The credentials of functions that run as a role: they may do what its policies allow."""
        if role not in self._of_roles:
            name = role.rpartition("/")[2]
            arn = f"arn:aws:sts::{self.account}:assumed-role/{name}/function"
            self._of_roles[role] = new_credentials(arn, role)
            self._access.add(self._of_roles[role])
        return self._of_roles[role]

    def snapshot(self) -> Snapshot:
        """What exists and what has been counted until now."""
        now, counters, services = self._clock.now(), self._counters, self._services
        buckets = services.s3.buckets.by_name
        return Snapshot(
            queues={
                queue.name: QueueView(queue.visible(now), queue.in_flight(now), queue.delayed(now))
                for queue in services.sqs.queues
            },
            buckets={name: tuple(bucket.keys) for name, bucket in buckets.items()},
            uploads={
                name: tuple(upload.key for upload in bucket.uploads.values())
                for name, bucket in buckets.items()
                if bucket.uploads
            },
            functions=tuple(sorted(services.functions.by_name)),
            roles=tuple(sorted(self._roles.by_name)),
            environments=tuple(
                EnvironmentView(
                    found.name, found.image.function, found.pid, found.busy, found.invocations
                )
                for found in sorted(services.pool.living, key=lambda found: found.name)
            ),
            faults=dict(self._dice.struck),
            **counters.as_dict(),
        )

    # -- what tests change ---------------------------------------------------------------------

    def set_faults(self, faults: Faults) -> None:
        """Have these faults from now on, with new generators."""
        self._dice.set(faults)

    def deny(self, patterns: Iterable[str]) -> None:
        """Deny calls that match, such as `s3:PutObject` or `lambda:*`; replaces earlier denials."""
        self._access.denied = set(patterns)

    def expire_credentials(self, expired: bool = True) -> None:
        """Answer the user's key as a session's that has expired, or as valid again.

        The keys of functions stay valid.
        """
        if expired:
            self._access.expire(self._user.access_key)
        else:
            self._access.renew(self._user.access_key)

    # -- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._main is not None or self._stopping.is_set():
            raise LocalCloudStartError("a LocalCloud can be entered once: make a new one")
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A task of its own holds the task group: what runs in it is not cancelled with the caller,
        # and the context may be left by another task than the one that entered it.
        self._main = asyncio.create_task(self._run(started), name="localcloud")
        try:
            await asyncio.wait((self._main, started), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self.close()
            raise
        if self._main.done():
            await self._main
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every process, drop connections and remove all files; harmless when done before."""
        self._stopping.set()
        if self._main is not None:
            main, self._main = self._main, None
            await main

    async def _run(self, started: asyncio.Future[None]) -> None:
        with _needing_files():
            household = Household()
        edge: Edge | None = None
        failures: tuple[BaseException, ...] = ()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                with _needing_files():
                    edge = self._assemble(household)
                await self._listen(edge)
                started.set_result(None)
                await self._stopping.wait()
                await edge.close()  # first, so that no request starts what the group is to end
                raise _Stop
        except* _Stop:
            pass
        except* AflintError as errors:  # of the start: raised as itself, not in a group
            failures = errors.exceptions
        finally:
            if edge is not None:
                await edge.close()
            household.close()
        for failure in failures:
            raise failure

    async def _listen(self, edge: Edge) -> None:
        try:
            port = await edge.start(self._port)
        except OSError as error:
            raise LocalCloudStartError(
                f"localcloud cannot listen on 127.0.0.1:{self._port}: {error.strerror}; "
                "choose another port, or 0 for any that is free"
            ) from error
        self.endpoint_url = self._services.sqs.endpoint_url = f"http://127.0.0.1:{port}"

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        assert self._group is not None
        return self._group.create_task(work)

    def _assemble(self, household: Household) -> Edge:
        """Build every service; raises RuntimeClientMissingError where functions are wanted."""
        services = self._services = self._build(household)
        control = Control(
            self._user.secret_key,
            self.snapshot,
            self.set_faults,
            self.deny,
            self.expire_credentials,
        )
        served = (services.sqs, services.s3, services.iam, services.sts, services.lambda_)
        by_name = {service.name: service for service in served}
        return Edge(by_name, self._access, self._dice, self._counters, control)

    def _build(self, household: Household) -> _Services:
        options, clock, account, region = self._options, self._clock, self.account, self.region
        runtime = household.subfolder("runtime")
        if options.functions:
            link_runtime(runtime)
        sqs = Sqs(
            clock=clock,
            dice=self._dice,
            counters=self._counters,
            new_id=new_id,
            account=account,
            region=region,
            message_limit_bytes=options.message_limit_bytes,
            in_flight_limit=options.in_flight_limit,
        )
        s3 = S3(
            clock=clock,
            dice=self._dice,
            counters=self._counters,
            new_id=new_id,
            account=account,
            region=region,
            folder=household.subfolder("s3"),
        )
        platform = Platform(
            clock=clock,
            dice=self._dice,
            counters=self._counters,
            household=household,
            memory_watch=MemoryWatch(),
            runtime_folder=runtime,
            variables=self.environment,
            freeze=options.freeze,
        )
        concurrency = Concurrency(options.concurrency, options.unreserved_minimum)
        pool = Pool(
            platform,
            concurrency,
            options.idle_seconds,
            lambda environment: self._spawn(environment.run()),
        )
        functions = Functions(
            clock=clock,
            code=CodeStore(household.subfolder("code")),
            roles=self._roles,
            buckets=s3.buckets,
            arn_prefix=f"arn:aws:lambda:{region}:{account}:function:",
            settle_seconds=options.settle_seconds,
            on_revision=pool.revise,
        )
        invoking = Invoking(pool, clock, self._counters, self._spawn)
        return _Services(
            sqs=sqs,
            s3=s3,
            iam=Iam(self._roles, clock, new_id, account, self._access.is_denied),
            sts=Sts(account),
            lambda_=Lambda(functions, concurrency, invoking, clock),
            functions=functions,
            pool=pool,
        )


@contextmanager
def _needing_files() -> Iterator[None]:
    """Raise LocalCloudStartError where a file of the cloud's own cannot be made."""
    try:
        yield
    except OSError as error:
        raise LocalCloudStartError(
            f"localcloud cannot keep its files in {error.filename or 'the temporary folder'}: "
            f"{error.strerror}; set TMPDIR to a folder that can be written to"
        ) from error
