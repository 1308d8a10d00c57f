from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aflint.codec.secret import Secret
from aflint.config import load_config
from aflint.deploy.bucket import BucketState
from aflint.deploy.errors import NameTakenError
from aflint.deploy.functions import Code, FunctionState
from aflint.deploy.names import OWNER_TAG, names_of
from aflint.deploy.options import DeployOptions
from aflint.deploy.plan import Parts, plan, wanted_parts
from aflint.deploy.steps import Step
from aflint.deploy.target import lambda_target

CONFIG = load_config()
NAMES = names_of(CONFIG, "123456789012", "us-east-1")
SECRET = Secret(b"s" * 32)
TARGET = lambda_target("x86_64", "3.12")


def wanted(code: Code = Code("abc"), **options: Any) -> Parts:  # noqa: B008
    return wanted_parts(CONFIG, DeployOptions(**options), NAMES, TARGET, code, SECRET)


def steps(wanted: Parts, there: Parts) -> list[Step]:
    return plan(wanted, there, NAMES)


def actions(steps: list[Step]) -> list[str]:
    return [step.action for step in steps]


def there(state: Parts) -> Parts:
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


def changed(state: Parts, **changes: Any) -> Parts:
    """`state` with one function changed."""
    name, function = next(iter(state.functions.items()))
    return replace(state, functions={**state.functions, name: replace(function, **changes)})


def function(state: Parts) -> FunctionState:
    return next(iter(state.functions.values()))


def test_all_is_made_where_nothing_is() -> None:
    made = steps(wanted(), Parts())
    assert actions(made) == [
        "CreateBucket", "PutBucketTagging", "PutPublicAccessBlock", "PutBucketEncryption",
        "PutBucketLifecycleConfiguration", "CreateRole", "PutRolePolicy", *["CreateFunction"] * 3,
    ]  # fmt: skip
    assert str(made[7]) == "create function aflint-1769 (1769 MB, python3.12)"
    assert [step.function for step in made[7:]] == ["aflint-1769", "aflint-3538", "aflint-7076"]
    assert [step.creates for step in made if step.action.startswith("Create")] == [True] * 5


def test_a_bucket_is_made_where_the_functions_are() -> None:
    names = names_of(CONFIG, "123456789012", "eu-west-1")
    (made, *_) = plan(wanted(), Parts(), names)
    assert made.parameters["CreateBucketConfiguration"] == {"LocationConstraint": "eu-west-1"}
    assert "CreateBucketConfiguration" not in steps(wanted(), Parts())[0].parameters


def test_no_step_shows_a_secret() -> None:
    theirs = replace(function(wanted()).settings, variables={"PASSWORD": "hunter2"}, timeout_s=1)
    (step,) = steps(wanted(sizes=1), there(changed(wanted(sizes=1), settings=theirs)))
    assert step.parameters["Environment"]["Variables"]["PASSWORD"] == "hunter2"
    assert step.secret == SECRET
    for shown in (repr(step), str(step), repr(step.parameters)):
        assert SECRET.to_text() not in shown
    assert "hunter2" not in repr(step)


def test_nothing_is_done_where_all_is_there() -> None:
    assert steps(wanted(), there(wanted())) == []


def test_reserved_concurrency_is_left_alone_unless_asked_for() -> None:
    reserved = changed(wanted(), concurrency=7)
    assert steps(wanted(), there(reserved)) == []
    (step,) = steps(wanted(reserved_concurrency=9), there(reserved))
    assert str(step) == "reserve 9 concurrent invocations for aflint-1769"
    assert step.parameters == {"FunctionName": "aflint-1769", "ReservedConcurrentExecutions": 9}
    assert steps(wanted(reserved_concurrency=7), there(reserved)) == []


def test_other_code_is_an_update_of_every_function() -> None:
    found = steps(wanted(Code("new")), there(wanted()))
    assert actions(found) == ["UpdateFunctionCode"] * 3
    assert [step.function for step in found] == [f"aflint-{size}" for size in (1769, 3538, 7076)]
    assert all(step.needs_code and step.settles for step in found)


def test_settings_are_updated_and_others_variables_stay() -> None:
    (step,) = steps(wanted(timeout_s=60, sizes=1), there(wanted(sizes=1)))
    assert str(step) == "update timeout of function aflint-1769"
    assert step.parameters["Timeout"] == 60
    variables = step.parameters["Environment"]["Variables"]
    assert variables.items() >= {"THEIRS": "1", "PYTHONHASHSEED": "0"}.items()


def test_tags_follow_what_was_deployed() -> None:
    old = changed(wanted(sizes=1), tags={OWNER_TAG: "aflint", "aflint:version": "0.0.1"})
    (step,) = steps(wanted(sizes=1), there(old))
    assert step.action == "TagResource"
    assert step.parameters["Resource"] == "arn:aflint-1769"


def test_a_changed_trust_and_policy_are_put_right() -> None:
    state = there(wanted())
    assert state.role
    spoiled = replace(state, role=replace(state.role, trust={"x": 1}, policies={"aflint": {}}))
    assert actions(steps(wanted(), spoiled)) == ["UpdateAssumeRolePolicy", "PutRolePolicy"]


def test_data_once_granted_stays_until_other_data_is_asked_for() -> None:
    granted = there(wanted(reads=["s3://a"]))
    assert steps(wanted(), granted) == []
    assert steps(wanted(reads=["s3://a"]), granted) == []
    (step,) = steps(wanted(reads=["s3://b"]), granted)
    assert (step.action, step.parameters["PolicyName"]) == ("PutRolePolicy", "aflint-data")


def test_a_role_that_an_admin_made_is_used_and_not_touched() -> None:
    found = steps(wanted(role_arn="arn:theirs"), Parts())
    assert not any(step.service == "iam" for step in found)
    made = [step for step in found if step.action == "CreateFunction"]
    assert {step.parameters["Role"] for step in made} == {"arn:theirs"}


def test_a_bucket_that_the_user_brought_gets_a_rule_and_nothing_else() -> None:
    theirs = BucketState(NAMES.bucket, tags={}, rules=({"ID": "theirs", "Status": "Enabled"},))
    (step,) = steps(wanted(), replace(there(wanted()), bucket=theirs))
    assert step.action == "PutBucketLifecycleConfiguration"
    rules = step.parameters["LifecycleConfiguration"]["Rules"]
    assert [rule["ID"] for rule in rules] == ["theirs", "aflint-expire-aflint"]


def test_a_bucket_of_ours_that_was_opened_is_closed() -> None:
    state = there(wanted())
    assert state.bucket
    opened = replace(state, bucket=replace(state.bucket, closed=False))
    (step,) = steps(wanted(), opened)
    assert str(step) == f"block public access to bucket {NAMES.bucket}"
    assert set(step.parameters["PublicAccessBlockConfiguration"].values()) == {True}


def test_another_number_of_days_replaces_our_rule() -> None:
    (step,) = steps(wanted(expire_days=9), there(wanted()))
    assert str(step).endswith("after 9 days")
    rules = step.parameters["LifecycleConfiguration"]["Rules"]
    assert [rule["Expiration"]["Days"] for rule in rules] == [9]


def test_what_is_not_ours_is_not_touched() -> None:
    with pytest.raises(NameTakenError, match="A function aflint-1769 is there already"):
        steps(wanted(), changed(wanted(), tags={}))
    state = wanted()
    assert state.role
    with pytest.raises(NameTakenError, match="A role aflint-us-east-1 is there already"):
        steps(wanted(), replace(state, role=replace(state.role, tags={})))


def test_a_zip_does_not_become_an_image() -> None:
    with pytest.raises(NameTakenError, match="deployed as a zip"):
        steps(wanted(Code(image_uri="x")), there(wanted()))


def test_an_image_brings_no_runtime_and_no_handler() -> None:
    settings = function(wanted(Code(image_uri="x"))).settings
    assert (settings.runtime, settings.handler) == ("", "")
    assert steps(wanted(Code(image_uri="x")), there(wanted(Code(image_uri="x")))) == []
    made = steps(wanted(Code(image_uri="x")), Parts())[-1]
    assert (made.parameters["Code"], made.needs_code) == ({"ImageUri": "x"}, False)
