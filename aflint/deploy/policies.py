"""The policies of a deployment, each with no more than its holder needs. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from aflint.deploy.names import ANY, Names, partition_of
from aflint.errors import InvalidArgumentError

Policy = dict[str, Any]

TRUST: Final[Policy] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
"""Lets Lambda alone run as the role."""

_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")


def _policy(*statements: dict[str, Any]) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], **more: Any
) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": list(resources),
        **more,
    }


def _functions(names: Names) -> list[str]:
    return [names.arn("lambda", f"function:{names.base}-*")]


def _queues(names: Names) -> list[str]:
    return [names.arn("sqs", f"{names.queues}*")]


def _own_objects(names: Names) -> list[str]:
    return [f"{names.bucket_arn}/{names.prefix}/*"]


def _list_own(sid: str, names: Names) -> dict[str, Any]:
    return _allow(
        sid,
        ["s3:ListBucket"],
        [names.bucket_arn],
        Condition={"StringLike": {"s3:prefix": [f"{names.prefix}/*"]}},
    )


def function_policy(names: Names) -> Policy:
    """What a running function may do: its own queues, objects under its own prefix, its own log."""
    # No CreateQueue or DeleteQueue: queues are the driver's to make and to remove.
    group = names.arn("logs", f"log-group:/aws/lambda/{names.base}-*")
    return _policy(
        _allow(
            "Shuffle",
            [
                "sqs:SendMessage",
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueUrl",
                "sqs:GetQueueAttributes",
            ],
            _queues(names),
        ),
        _allow("Objects", _OBJECTS, _own_objects(names)),
        _list_own("ListObjects", names),
        _allow(
            "Logs", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [group, f"{group}:*"],
        ),
    )  # fmt: skip


def data_policy(region: str, reads: Sequence[str], writes: Sequence[str]) -> Policy:
    """What a function may read and write of the user's data, given as s3:// prefixes.

    Raises:
        InvalidArgumentError: one of them is no s3:// address.
    """
    statements = []
    every = tuple(dict.fromkeys((*reads, *writes)))
    if every:
        # What is written is read, too: a save looks at what is there, a checkpoint is read again.
        statements.append(_allow("Read", ["s3:GetObject"], [_object_arn(region, a) for a in every]))
        statements.append(
            _allow("List", ["s3:ListBucket"], sorted({_bucket_arn(region, a) for a in every}))
        )
    if writes:
        actions = [action for action in _OBJECTS if action != "s3:GetObject"]
        statements.append(_allow("Write", actions, [_object_arn(region, a) for a in writes]))
    return _policy(*statements)


def _split(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    if parts.scheme not in ("s3", "s3a", "s3n") or not parts.netloc:
        raise InvalidArgumentError(f"{address!r} is not of the form s3://bucket/prefix.")
    return parts.netloc, parts.path.lstrip("/").rstrip("*")


def _bucket_arn(region: str, address: str) -> str:
    return f"arn:{partition_of(region)}:s3:::{_split(address)[0]}"


def _object_arn(region: str, address: str) -> str:
    return f"{_bucket_arn(region, address)}/{_split(address)[1]}*"


def driver_policy(names: Names) -> Policy:
    """What a driver may do: run jobs, but deploy nothing."""
    return _policy(
        _allow(
            "RunTasks",
            ["lambda:InvokeFunction", "lambda:GetFunction", "lambda:GetFunctionConfiguration"],
            _functions(names),
        ),
        # Calls that know no resources: AWS takes only * for them.
        _allow("Look", ["lambda:GetAccountSettings", "sqs:ListQueues"], [ANY]),
        _allow(
            "Shuffle",
            [
                "sqs:CreateQueue",
                "sqs:DeleteQueue",
                "sqs:PurgeQueue",
                "sqs:TagQueue",
                "sqs:SendMessage",
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueUrl",
                "sqs:GetQueueAttributes",
            ],
            _queues(names),
        ),
        _allow("Objects", _OBJECTS, _own_objects(names)),
        _list_own("ListObjects", names),
        _allow(
            "Bucket", ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], [names.bucket_arn]
        ),
    )


def deployer_policy(names: Names) -> Policy:
    """What `aflint deploy`, `status`, `clean`, `doctor` and `destroy` need."""
    role = [names.role_arn]
    groups = names.arn("logs", f"log-group:/aws/lambda/{names.base}-*")
    return _policy(
        _allow(
            "Functions",
            [
                "lambda:CreateFunction",
                "lambda:DeleteFunction",
                "lambda:GetFunction",
                "lambda:GetFunctionConfiguration",
                "lambda:InvokeFunction",
                "lambda:ListTags",
                "lambda:PutFunctionConcurrency",
                "lambda:TagResource",
                "lambda:UpdateFunctionCode",
                "lambda:UpdateFunctionConfiguration",
            ],
            _functions(names),
        ),
        _allow(
            "Role",
            [
                "iam:CreateRole",
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "iam:PutRolePolicy",
                "iam:TagRole",
                "iam:UpdateAssumeRolePolicy",
            ],
            role,
        ),
        # To Lambda alone: passed to another service, the role would lend others what it may do.
        _allow(
            "PassRole", ["iam:PassRole"], role,
            Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
        ),
        _allow(
            "Bucket",
            [
                "s3:CreateBucket",
                "s3:DeleteBucket",
                "s3:GetBucketLocation",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketTagging",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutBucketTagging",
                "s3:PutEncryptionConfiguration",
                "s3:PutLifecycleConfiguration",
            ],
            [names.bucket_arn],
        ),
        _allow("Objects", _OBJECTS, [f"{names.bucket_arn}/*"]),
        _allow(
            "Queues",
            ["sqs:DeleteQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
            _queues(names),
        ),
        _allow("Logs", ["logs:DeleteLogGroup"], [groups, f"{groups}:*"]),
        _allow(
            "Look",
            ["iam:SimulatePrincipalPolicy", "lambda:GetAccountSettings", "lambda:ListFunctions",
             "sqs:ListQueues"],
            [ANY],
        ),
    )  # fmt: skip


def all_policies(names: Names) -> dict[str, Policy]:
    """Return every policy, by whom it is for."""
    return {
        "deployer": deployer_policy(names),
        "driver": driver_policy(names),
        "function": function_policy(names),
        "trust": TRUST,
    }


def actions_of(policy: Policy) -> list[str]:
    """Return every action that a policy allows, sorted."""
    return sorted({action for part in policy["Statement"] for action in part["Action"]})


def canonical(policy: Policy) -> str:
    """Return a policy as JSON text that is equal for equal policies."""
    return json.dumps(policy, sort_keys=True, separators=(",", ":"))
