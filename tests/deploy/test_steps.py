from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from aflint.aws.clients import Aws
from aflint.codec.secret import SECRET_VARIABLE, Secret
from aflint.deploy.errors import FunctionFailedError, NameTakenError
from aflint.deploy.steps import (
    FUNCTION_WAIT_S,
    ROLE_WAIT_S,
    Step,
    Steps,
    Upload,
    pauses,
    status_of,
)
from aflint.errors import BackendError

Answer = dict[str, Any]


class Slept:
    """A sleep that only adds up."""

    def __init__(self) -> None:
        self.total = 0.0

    async def __call__(self, seconds: float) -> None:
        self.total += seconds


class Answers:
    """Clients that give one answer after another, the last one for ever."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.left = list(answers)

    async def call(self, *_: str, **__: Any) -> Answer:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


class Calls:
    """Clients that note each call; `error` is what those of one action meet."""

    def __init__(self, action: str = "", error: BackendError | None = None) -> None:
        self.made: list[tuple[str, str, dict[str, Any]]] = []
        self._action, self._error = action, error

    async def call(self, service: str, action: str, subject: str, **parameters: Any) -> Answer:
        self.made.append((action, subject, parameters))
        await asyncio.sleep(0)  # as others run while an answer is awaited
        return {"State": "Active"}

    async def find(
        self, service: str, action: str, subject: str, absent: Sequence[str], **parameters: Any
    ) -> Answer | None:
        await self.call(service, action, subject, **parameters)
        if action == self._action and self._error is not None:
            if self._error.code in absent:
                return None
            raise self._error
        return {}


class Placed:
    """An upload that is done."""

    async def place(self) -> dict[str, str]:
        return {"S3Bucket": "b", "S3Key": "k"}


def refusal(code: str) -> BackendError:
    error = BackendError(code)
    error.code = code
    return error


async def take(steps: Sequence[Step], clients: Calls) -> list[str]:
    """Return the calls that steps come to, as words."""
    upload = cast(Upload, Placed())
    await Steps(cast(Aws, clients), upload, Slept()).take(steps)
    return [f"{action} {subject}" for action, subject, _ in clients.made]


def of_function(name: str, action: str, **fields: Any) -> Step:
    return Step(
        "", "lambda", action, f"function {name}", {"FunctionName": name}, function=name, **fields
    )


async def test_functions_come_after_all_else_and_side_by_side() -> None:
    update = {"settles": True}
    steps = [
        of_function("f", "UpdateFunctionCode", **update),
        of_function("g", "UpdateFunctionCode", **update),
        Step("", "iam", "PutRolePolicy", "role r", {}),
        of_function("f", "TagResource"),
    ]
    assert await take(steps, Calls()) == [
        "PutRolePolicy role r",
        "GetFunctionConfiguration function f",
        "GetFunctionConfiguration function g",
        "UpdateFunctionCode function f",
        "UpdateFunctionCode function g",
        "GetFunctionConfiguration function f",
        "GetFunctionConfiguration function g",
        "TagResource function f",
    ]


async def test_a_call_alone_holds_the_secret_and_the_place_of_the_code() -> None:
    calls, secret = Calls(), Secret(b"s" * 32)
    parameters = {"Environment": {"Variables": {"A": "1"}}}
    step = Step("", "lambda", "CreateFunction", "function f", parameters, function="f")
    step = replace(step, creates=True, needs_code=True, settles=True, secret=secret)
    assert await take([step], calls) == [
        "CreateFunction function f", "GetFunctionConfiguration function f",
    ]  # fmt: skip
    assert calls.made[0][2] == {
        "Code": {"S3Bucket": "b", "S3Key": "k"},
        "Environment": {"Variables": {"A": "1", SECRET_VARIABLE: secret.to_text()}},
    }
    assert parameters == {"Environment": {"Variables": {"A": "1"}}}


async def test_what_was_made_meanwhile_is_no_error_where_it_is_to_be_made() -> None:
    there = refusal("EntityAlreadyExists")
    step = Step("", "iam", "CreateRole", "role r", {}, creates=True)
    assert await take([step], Calls("CreateRole", there)) == ["CreateRole role r"]
    with pytest.raises(BackendError, match="EntityAlreadyExists"):
        await take([replace(step, creates=False)], Calls("CreateRole", there))


async def test_a_bucket_of_another_account_is_a_name_that_is_taken() -> None:
    step = Step("", "s3", "CreateBucket", "bucket b", {}, creates=True)
    with pytest.raises(NameTakenError, match="bucket b belongs to another account"):
        await take([step], Calls("CreateBucket", refusal("BucketAlreadyExists")))


async def wait_for(*answers: Answer) -> float:
    slept = Slept()
    await Steps(cast(Aws, Answers(answers)), sleep=slept).until_settled("f")
    return slept.total


async def call(call: Callable[[], Awaitable[Answer]], sleep: Slept) -> Answer:
    return await Steps(cast(Aws, Answers([])), sleep=sleep).once_role_is_usable(call)


def too_new() -> BackendError:
    error = BackendError("The role defined for the function cannot be assumed by Lambda.")
    error.code = "InvalidParameterValueException"
    return error


async def test_a_function_is_waited_for_until_it_is_ready() -> None:
    assert await wait_for({"State": "Active", "LastUpdateStatus": "Successful"}) == 0
    pending, updating = {"State": "Pending"}, {"State": "Active", "LastUpdateStatus": "InProgress"}
    assert await wait_for(pending, pending, updating, {"State": "Active"}) > 0


async def test_a_failed_function_says_why() -> None:
    failed = {"State": "Failed", "StateReason": "the image is gone"}
    with pytest.raises(FunctionFailedError, match=r"Failed.*the image is gone"):
        await wait_for({"State": "Pending"}, failed)
    update = {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no key"}
    with pytest.raises(FunctionFailedError, match="no key"):
        await wait_for(update)


async def test_a_function_is_not_waited_for_for_ever() -> None:
    slept = Slept()
    steps = Steps(cast(Aws, Answers([{"State": "Pending"}])), sleep=slept)
    with pytest.raises(FunctionFailedError, match="Pending"):
        await steps.until_settled("f")
    assert FUNCTION_WAIT_S <= slept.total < FUNCTION_WAIT_S + 6


async def test_a_new_role_is_waited_for() -> None:
    slept, failures = Slept(), [too_new(), too_new()]

    async def create() -> Answer:
        if failures:
            raise failures.pop()
        return {"made": True}

    assert await call(create, slept) == {"made": True}
    assert slept.total > 0


async def test_a_role_that_lambda_never_takes_is_an_error_in_the_end() -> None:
    slept = Slept()

    async def create() -> Answer:
        raise too_new()

    with pytest.raises(BackendError, match="cannot be assumed"):
        await call(create, slept)
    assert ROLE_WAIT_S <= slept.total < ROLE_WAIT_S + 6


async def test_other_refusals_are_not_waited_out() -> None:
    slept = Slept()

    async def create() -> Answer:
        error = BackendError("MemorySize is too large")
        error.code = "InvalidParameterValueException"
        raise error

    with pytest.raises(BackendError, match="MemorySize"):
        await call(create, slept)
    assert slept.total == 0


def test_pauses_grow_and_end() -> None:
    found = list(pauses(60))
    assert found == sorted(found)
    assert sum(found) >= 60


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({}, "Active"),
        ({"State": "Pending"}, "Pending"),
        ({"State": "Active", "LastUpdateStatus": "InProgress"}, "Updating"),
        ({"State": "Inactive", "LastUpdateStatus": "Successful"}, "Inactive"),
        ({"State": "Active", "LastUpdateStatus": "Failed"}, "Failed"),
    ],
)
def test_states_in_a_word(shown: Answer, status: str) -> None:
    assert status_of(shown) == status
