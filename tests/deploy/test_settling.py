from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest

from aflint.aws.clients import Answer, Aws
from aflint.deploy.errors import FunctionFailedError
from aflint.deploy.reading import status_of
from aflint.deploy.settling import FUNCTION_WAIT_S, ROLE_WAIT_S, Waiting, pauses
from aflint.errors import BackendError


class Slept:
    """A sleep that only adds up."""

    def __init__(self) -> None:
        self.total = 0.0

    async def __call__(self, seconds: float) -> None:
        self.total += seconds


class Answers:
    """Aws that give one answer after another."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.left = list(answers)

    async def call(self, *_: str, **__: Any) -> Answer:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


async def wait_for(*answers: Answer) -> float:
    slept = Slept()
    await Waiting(slept).for_function(cast(Aws, Answers(answers)), "f")
    return slept.total


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
    with pytest.raises(FunctionFailedError, match="Pending"):
        await Waiting(slept).for_function(cast(Aws, Answers([{"State": "Pending"}])), "f")
    assert FUNCTION_WAIT_S <= slept.total < FUNCTION_WAIT_S + 6


async def test_a_new_role_is_waited_for() -> None:
    slept, failures = Slept(), [too_new(), too_new()]

    async def create() -> Answer:
        if failures:
            raise failures.pop()
        return {"made": True}

    assert await Waiting(slept).for_role(create) == {"made": True}
    assert slept.total > 0


async def test_a_role_that_lambda_never_takes_is_an_error_in_the_end() -> None:
    slept = Slept()

    async def create() -> Answer:
        raise too_new()

    with pytest.raises(BackendError, match="cannot be assumed"):
        await Waiting(slept).for_role(create)
    assert ROLE_WAIT_S <= slept.total < ROLE_WAIT_S + 6


async def test_other_refusals_are_not_waited_out() -> None:
    slept = Slept()

    async def create() -> Answer:
        error = BackendError("MemorySize is too large")
        error.code = "InvalidParameterValueException"
        raise error

    with pytest.raises(BackendError, match="MemorySize"):
        await Waiting(slept).for_role(create)
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
