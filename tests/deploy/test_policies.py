from __future__ import annotations

import fnmatch
import json
from typing import Any

import pytest

from aflint.config import load_config
from aflint.deploy.names import ANY, Names, names_of
from aflint.deploy.policies import (
    TRUST,
    all_policies,
    canonical,
    data_policy,
    deployer_policy,
    driver_policy,
    function_policy,
)
from aflint.errors import InvalidArgumentError

NAMES = names_of(load_config(), "123456789012", "eu-west-1")


def allows(policy: dict[str, Any], action: str, resource: str) -> bool:
    return any(
        action in part["Action"]
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in part["Resource"])
        for part in policy["Statement"]
    )


QUEUE = "arn:aws:sqs:eu-west-1:123456789012:aflint-0f0f0f0f-1-0-abcdef01-7"
OBJECT = f"arn:aws:s3:::{NAMES.bucket}/aflint/shuffles/x"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:aflint-1769"


def test_a_function_reaches_its_own_and_nothing_else() -> None:
    policy = function_policy(NAMES)
    assert allows(policy, "sqs:SendMessage", QUEUE)
    assert allows(policy, "s3:PutObject", OBJECT)
    assert not allows(policy, "sqs:SendMessage", QUEUE.replace(":aflint-", ":other-"))
    assert not allows(policy, "sqs:SendMessage", QUEUE.replace("123456789012", "210987654321"))
    assert not allows(policy, "s3:GetObject", f"arn:aws:s3:::{NAMES.bucket}/other/x")
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::other/aflint/x")
    actions = {action for part in policy["Statement"] for action in part["Action"]}
    assert not any(action.endswith("*") for action in actions)
    assert {action.partition(":")[0] for action in actions} == {"sqs", "s3", "logs"}
    assert not {"sqs:CreateQueue", "sqs:DeleteQueue"} & actions


def test_a_driver_runs_tasks_and_deploys_nothing() -> None:
    policy = driver_policy(NAMES)
    assert allows(policy, "lambda:InvokeFunction", FUNCTION)
    assert allows(policy, "sqs:CreateQueue", QUEUE)
    assert allows(policy, "sqs:TagQueue", QUEUE)
    assert not allows(policy, "lambda:UpdateFunctionCode", FUNCTION)
    assert not any("iam:" in action for part in policy["Statement"] for action in part["Action"])


def test_a_deployer_passes_its_role_to_lambda_only() -> None:
    (part,) = [s for s in deployer_policy(NAMES)["Statement"] if s["Action"] == ["iam:PassRole"]]
    assert part["Resource"] == [NAMES.role_arn]
    assert part["Condition"]["StringEquals"] == {"iam:PassedToService": "lambda.amazonaws.com"}


def test_data_may_be_read_and_written_where_asked_for() -> None:
    policy = data_policy("eu-west-1", ["s3://in/trips/"], ["s3://out/x"])
    assert allows(policy, "s3:GetObject", "arn:aws:s3:::in/trips/2015.csv")
    assert allows(policy, "s3:GetObject", "arn:aws:s3:::out/x/part-0")
    assert allows(policy, "s3:PutObject", "arn:aws:s3:::out/x/part-0")
    assert not allows(policy, "s3:PutObject", "arn:aws:s3:::in/trips/2015.csv")
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::in/other")
    with pytest.raises(InvalidArgumentError, match="is not of the form s3"):
        data_policy("eu-west-1", ["/home/x"], [])


def test_all_are_json_within_iams_size_and_name_every_policy() -> None:
    policies = all_policies(NAMES)
    assert set(policies) == {"deployer", "driver", "function", "trust"}
    for policy in policies.values():
        assert json.loads(canonical(policy)) == policy
        assert policy["Version"] == "2012-10-17"
        assert len(canonical(policy)) < 6144  # of a managed policy; an inline one may have 10,240
    assert policies["trust"] == TRUST


def test_without_an_account_the_policies_are_still_valid() -> None:
    names = Names("aflint", "aflint", "aflint-*-*", ANY, ANY)
    assert allows(function_policy(names), "sqs:SendMessage", QUEUE)
    assert allows(driver_policy(names), "lambda:InvokeFunction", FUNCTION)
