"""The steps of a deployment as data, each a call to AWS with its words for people; and taking them.

What a part of a deployment needs is decided elsewhere (`bucket`, `role`, `functions`): there, what
is wanted and what is there go in, and steps come out.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.codec.secret import SECRET_VARIABLE, Secret
from aflint.deploy.bundle import Bundle
from aflint.deploy.errors import FunctionFailedError, NameTakenError
from aflint.deploy.names import Names
from aflint.errors import BackendError

Sleep = Callable[[float], Awaitable[object]]

ROLE_WAIT_S: Final = 60.0
"""A new role is usable after some 10 s (IAM's user guide: changes are not always visible)."""
FUNCTION_WAIT_S: Final = 300.0
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_SETTLED: Final = ("Active", "Inactive")

_THERE: Final = ("BucketAlreadyOwnedByYou", "EntityAlreadyExists", "ResourceConflictException")
"""What was not there a moment ago has been made since: by a first try whose answer was lost, or by
another deployment at the same time."""


@dataclass(frozen=True)
class Step:
    """One change. `str()` is for people."""

    words: str
    service: str
    action: str
    subject: str
    """What errors name, such as `bucket aflint`."""
    parameters: Mapping[str, Any] = field(repr=False)
    creates: bool = False
    """That it is there already is no error then."""
    function: str = ""
    """The function that is changed, if one is: its steps wait for each other, and for all those
    that change no function."""
    needs_code: bool = False
    """The call is to say, too, where the bundle lies."""
    secret: Secret | None = None
    """Goes into the function's environment; only the call itself holds it as text."""
    after_role: bool = False
    """Lambda may refuse the role for a while, because it is new."""
    settles: bool = False
    """The function is busy for a while afterwards, and takes no change until it is ready."""

    def __str__(self) -> str:
        return self.words


OnStep = Callable[[Step], object]


class Upload:
    """Lays a bundle where Lambda can fetch it: in the deployment's own bucket, for a moment.

    It uploads once, when it is first asked to, and removes the object at the end of its block:
    Lambda copies what it fetches. (Lambda takes zips of up to 50 MB in the call itself, too, but
    then once for each function, and a third larger as base64.)
    """

    def __init__(self, clients: Aws, names: Names, bundle: Bundle) -> None:
        self._clients = clients
        self._bundle = bundle
        self._bucket = names.bucket
        self._key = f"{names.uploads}{uuid4().hex}.zip"
        self._subject = f"s3://{self._bucket}/{self._key}"
        self._begun = self._done = False
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._begun:
            return
        try:
            await self._clients.call(
                "s3", "DeleteObject", self._subject, Bucket=self._bucket, Key=self._key
            )
        except BackendError:
            if error is None:  # else that one says more; the bucket forgets the object in time
                raise

    async def place(self) -> dict[str, str]:
        """Return where the bundle lies, in the words of Lambda's calls. Raises a BackendError."""
        # Functions are made side by side, and one upload is for all of them.
        async with self._lock:
            if not self._done:
                self._begun = True
                content = await asyncio.to_thread(self._bundle.path.read_bytes)
                await self._clients.call(
                    "s3", "PutObject", self._subject,
                    Bucket=self._bucket, Key=self._key, Body=io.BytesIO(content),
                )  # fmt: skip
                self._done = True
        return {"S3Bucket": self._bucket, "S3Key": self._key}


class Steps:
    """Takes steps in one account and region.

    `upload` brings the bundle, if there is one; `sleep` is passed in so that tests need not wait.
    """

    def __init__(
        self, clients: Aws, upload: Upload | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._clients = clients
        self._upload = upload
        self._sleep = sleep

    async def take(self, steps: Sequence[Step], on_step: OnStep = lambda step: None) -> None:
        """Take all steps; those of different functions side by side, after all others.

        `on_step` is called with each step when it is done. Where a step fails, those before it stay
        done: deploying again goes on from there. Raises a BackendError or DeployError.
        """

        async def one_by_one(steps: Sequence[Step]) -> None:
            for step in steps:
                await self._take(step)
                on_step(step)

        # Functions need the bucket and the role, and take seconds each: so they come last, at once.
        by_function: dict[str, list[Step]] = {}
        for step in steps:
            by_function.setdefault(step.function, []).append(step)
        await one_by_one(by_function.pop("", []))
        await together(one_by_one(steps) for steps in by_function.values())

    async def _take(self, step: Step) -> None:
        # Only now is it known where the bundle lies: a dry run uploads nothing.
        step = replace(step, parameters={**step.parameters, **await self._code(step)})
        if step.settles and not step.creates:
            await self.until_settled(step.function)  # another deployment may be changing it
        if step.after_role:
            await self.once_role_is_usable(lambda: self._call(step))
        else:
            await self._call(step)
        if step.settles:
            await self.until_settled(step.function)

    async def _code(self, step: Step) -> dict[str, Any]:
        if not step.needs_code:
            return {}
        assert self._upload is not None
        place = await self._upload.place()
        return {"Code": place} if step.creates else {**place}

    async def _call(self, step: Step) -> dict[str, Any]:
        there = _THERE if step.creates else ()
        try:
            answer = await self._clients.find(
                step.service, step.action, step.subject, there, **_with_secret(step)
            )
        except BackendError as error:
            if error.code != "BucketAlreadyExists":
                raise
            raise NameTakenError(
                f"The {step.subject} belongs to another account: bucket names are worldwide. Set "
                "`bucket` to another name."
            ) from error
        return answer or {}

    # AWS announces neither that a role has spread nor that a function has settled: both are asked
    # for again, after pauses that grow, for a bounded time.

    async def until_settled(self, function: str) -> None:
        """Return when a function is ready to be invoked and to be changed.

        Raises:
            FunctionFailedError: Lambda gave up on it, or it was not ready in time; says why.
        """
        shown: dict[str, Any] = {}
        for pause in pauses(FUNCTION_WAIT_S):
            shown = await self._clients.call(
                "lambda", "GetFunctionConfiguration", f"function {function}", FunctionName=function
            )
            status = status_of(shown)
            if status in _SETTLED:
                return
            if status == "Failed":
                break  # it stays so: waiting longer does not help
            await self._sleep(pause)
        reason = (
            shown.get("StateReason") or shown.get("LastUpdateStatusReason") or "no reason given"
        )
        raise FunctionFailedError(
            f"Function {function} is {status_of(shown)} and not ready to run: {reason}. Deploy "
            "again; if that does not help, aflint destroy and deploy."
        )

    async def once_role_is_usable(
        self, call: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Return what `call` returns; call it again while the role it names is too new to be used.

        Raises what `call` raises, once a minute has gone by.
        """
        for pause in pauses(ROLE_WAIT_S):
            try:
                return await call()
            except BackendError as error:
                if not is_role_too_new(error):
                    raise
            await self._sleep(pause)
        return await call()  # the last time, its error is the caller's


def _with_secret(step: Step) -> Mapping[str, Any]:
    if step.secret is None:
        return step.parameters
    variables = step.parameters["Environment"]["Variables"]
    revealed = {**variables, SECRET_VARIABLE: step.secret.to_text()}
    return {**step.parameters, "Environment": {"Variables": revealed}}


def status_of(shown: Mapping[str, Any]) -> str:
    """Return a function's state in a word: `Active`, `Pending`, `Updating`, `Failed`. Pure."""
    state: str = shown.get("State") or "Active"
    update = shown.get("LastUpdateStatus")
    if state in ("Active", "Inactive") and update == "InProgress":
        return "Updating"
    return "Failed" if update == "Failed" else state


def is_role_too_new(error: BackendError) -> bool:
    """Whether Lambda refused a role that may not have spread yet.

    Lambda has one code for everything that can be wrong with a parameter: its words have to decide.
    """
    return error.code == "InvalidParameterValueException" and "cannot be assumed" in str(error)


def pauses(total_s: float) -> Iterator[float]:
    """Yield growing pauses until together they reach `total_s`. Pure."""
    pause, spent = _FIRST_PAUSE_S, 0.0
    while spent < total_s:
        yield pause
        spent += pause
        pause = min(_LONGEST_PAUSE_S, pause * 1.5)


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as S3 and IAM take them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
