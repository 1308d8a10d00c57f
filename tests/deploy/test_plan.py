from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aflint.codec.secret import Secret
from aflint.config import load_config
from aflint.deploy.errors import NameTakenError
from aflint.deploy.names import OWNER_TAG, names_of
from aflint.deploy.options import DeployOptions
from aflint.deploy.plan import plan
from aflint.deploy.state import BucketState, Code, Deployed, FunctionState
from aflint.deploy.steps import (
    CloseBucket,
    CreateBucket,
    CreateFunction,
    CreateRole,
    PutPolicy,
    ReserveConcurrency,
    SetLifecycle,
    SetTrust,
    TagFunction,
    UpdateCode,
    UpdateSettings,
)
from aflint.deploy.target import lambda_target
from aflint.deploy.wanted import wanted_of

CONFIG = load_config()
NAMES = names_of(CONFIG, "123456789012", "us-east-1")
SECRET = Secret(b"s" * 32)
TARGET = lambda_target("x86_64", "3.12")


def wanted(code: Code = Code("abc"), **options: Any) -> Deployed:  # noqa: B008
    return wanted_of(CONFIG, DeployOptions(**options), NAMES, TARGET, code, SECRET)


def there(state: Deployed) -> Deployed:
    """What AWS shows once `state` is reached, with what others have added to it."""
    functions = {
        name: replace(
            each,
            arn=f"arn:{name}",
            tags={**each.tags, "team": "x"},
            settings=replace(each.settings, variables={**each.settings.variables, "THEIRS": "1"}),
        )
        for name, each in state.functions.items()
    }
    return replace(state, functions=functions)


def changed(state: Deployed, **changes: Any) -> Deployed:
    """`state` with one function changed."""
    name, function = next(iter(state.functions.items()))
    return replace(state, functions={**state.functions, name: replace(function, **changes)})


def function(state: Deployed) -> FunctionState:
    return next(iter(state.functions.values()))


def test_all_is_made_where_nothing_is() -> None:
    steps = plan(wanted(), Deployed())
    kinds = [type(step) for step in steps]
    assert kinds[0] is CreateBucket
    assert kinds.index(CreateRole) < kinds.index(CreateFunction)
    assert kinds.count(CreateFunction) == 3
    assert next(str(s) for s in steps if isinstance(s, CreateFunction)) == (
        "create function aflint-1769 (1769 MB, python3.12)"
    )


def test_nothing_is_done_where_all_is_there() -> None:
    assert plan(wanted(), there(wanted())) == []


def test_reserved_concurrency_is_left_alone_unless_asked_for() -> None:
    reserved = changed(wanted(), concurrency=7)
    assert plan(wanted(), there(reserved)) == []
    steps = plan(wanted(reserved_concurrency=9), there(reserved))
    assert steps == [ReserveConcurrency("aflint-1769", 9)]
    assert plan(wanted(reserved_concurrency=7), there(reserved)) == []


def test_other_code_is_an_update_of_every_function() -> None:
    steps = plan(wanted(Code("new")), there(wanted()))
    assert steps == [
        UpdateCode(f"aflint-{size}", Code("new"), "x86_64") for size in (1769, 3538, 7076)
    ]


def test_settings_are_updated_and_others_variables_stay() -> None:
    steps = plan(wanted(timeout_s=60, sizes=1), there(wanted(sizes=1)))
    (step,) = steps
    assert isinstance(step, UpdateSettings)
    assert step.changed == ("timeout",)
    assert step.settings.variables.items() >= {"THEIRS": "1", "PYTHONHASHSEED": "0"}.items()
    assert str(step) == "update timeout of function aflint-1769"


def test_tags_follow_what_was_deployed() -> None:
    old = changed(wanted(sizes=1), tags={OWNER_TAG: "aflint", "aflint:version": "0.0.1"})
    (step,) = plan(wanted(sizes=1), there(old))
    assert isinstance(step, TagFunction)
    assert step.arn == "arn:aflint-1769"


def test_a_changed_trust_and_policy_are_put_right() -> None:
    state = there(wanted())
    assert state.role
    spoiled = replace(state, role=replace(state.role, trust={"x": 1}, policies={"aflint": {}}))
    assert [type(step) for step in plan(wanted(), spoiled)] == [SetTrust, PutPolicy]


def test_data_once_granted_stays_until_other_data_is_asked_for() -> None:
    granted = there(wanted(reads=["s3://a"]))
    assert plan(wanted(), granted) == []
    assert plan(wanted(reads=["s3://a"]), granted) == []
    (step,) = plan(wanted(reads=["s3://b"]), granted)
    assert isinstance(step, PutPolicy)
    assert step.name == "aflint-data"


def test_a_role_made_by_somebody_else_is_used_and_not_touched() -> None:
    steps = plan(wanted(role_arn="arn:theirs"), Deployed())
    assert not any(isinstance(step, CreateRole | PutPolicy) for step in steps)
    assert {s.function.settings.role_arn for s in steps if isinstance(s, CreateFunction)} == {
        "arn:theirs"
    }


def test_a_bucket_that_the_user_brought_gets_a_rule_and_nothing_else() -> None:
    theirs = BucketState(NAMES.bucket, tags={}, rules=({"ID": "theirs", "Status": "Enabled"},))
    steps = plan(wanted(), replace(there(wanted()), bucket=theirs))
    (step,) = steps
    assert isinstance(step, SetLifecycle)
    assert [rule["ID"] for rule in step.rules] == ["theirs", "aflint-expire-aflint"]


def test_a_bucket_of_ours_that_was_opened_is_closed() -> None:
    state = there(wanted())
    assert state.bucket
    opened = replace(state, bucket=replace(state.bucket, closed=False))
    assert plan(wanted(), opened) == [CloseBucket(NAMES.bucket)]


def test_another_number_of_days_replaces_our_rule() -> None:
    (step,) = plan(wanted(expire_days=9), there(wanted()))
    assert isinstance(step, SetLifecycle)
    assert [rule["Expiration"]["Days"] for rule in step.rules] == [9]


def test_what_is_not_ours_is_not_touched() -> None:
    with pytest.raises(NameTakenError, match="A function aflint-1769 is there already"):
        plan(wanted(), changed(wanted(), tags={}))
    state = wanted()
    assert state.role
    with pytest.raises(NameTakenError, match="A role aflint-us-east-1 is there already"):
        plan(wanted(), replace(state, role=replace(state.role, tags={})))


def test_a_zip_does_not_become_an_image() -> None:
    with pytest.raises(NameTakenError, match="deployed as a zip"):
        plan(wanted(Code(image_uri="x")), there(wanted()))


def test_an_image_brings_no_runtime_and_no_handler() -> None:
    settings = function(wanted(Code(image_uri="x"))).settings
    assert (settings.runtime, settings.handler) == ("", "")
    assert plan(wanted(Code(image_uri="x")), there(wanted(Code(image_uri="x")))) == []
