"""Decides what a deployment takes: what is wanted and what is there in, steps out. Pure.

What nobody asked for is left as it is: others' rules in a bucket that aflint did not make, further
variables and tags of a function, concurrency that was reserved by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from aflint.deploy.errors import NameTakenError
from aflint.deploy.names import OWNER_TAG
from aflint.deploy.state import BucketState, Deployed, FunctionState, RoleState, Settings
from aflint.deploy.steps import (
    CloseBucket,
    CreateBucket,
    CreateFunction,
    CreateRole,
    EncryptBucket,
    PutPolicy,
    ReserveConcurrency,
    SetLifecycle,
    SetTrust,
    Step,
    TagBucket,
    TagFunction,
    UpdateCode,
    UpdateSettings,
)

RULE_START: Final = "aflint-expire-"
"""What the ID of each of aflint's rules in a bucket begins with."""

_WORDS: Final = {
    "role_arn": "role", "memory_mb": "memory", "tmp_mb": "/tmp", "timeout_s": "timeout",
    "variables": "environment",
}  # fmt: skip


def plan(wanted: Deployed, actual: Deployed) -> list[Step]:
    """Return the steps that lead from `actual` to `wanted`, in order; none where they agree.

    Raises:
        NameTakenError: a role or function of a wanted name is there and is not aflint's.
    """
    steps: list[Step] = []
    if wanted.bucket:
        steps += _bucket(wanted.bucket, actual.bucket)
    if wanted.role:
        steps += _role(wanted.role, actual.role)
    for name, function in wanted.functions.items():
        steps += _function(function, actual.functions.get(name))
    return steps


def lifecycle_rule(prefix: str, days: int) -> dict[str, Any]:
    """Return the rule that removes objects, and parts of unfinished ones, after some days."""
    return {
        "ID": f"{RULE_START}{prefix}",
        "Status": "Enabled",
        "Filter": {"Prefix": f"{prefix}/"},
        "Expiration": {"Days": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }


def _bucket(wanted: BucketState, actual: BucketState | None) -> Iterator[Step]:
    there = actual or BucketState(wanted.name, wanted.tags)
    if actual is None:
        yield CreateBucket(wanted.name)
        yield TagBucket(wanted.name, wanted.tags)
    # A bucket that the user brought may be open on purpose: only its rule is aflint's to set.
    if _owned(there.tags, wanted.tags):
        if wanted.closed and not there.closed:
            yield CloseBucket(wanted.name)
        if wanted.encrypted and not there.encrypted:
            yield EncryptBucket(wanted.name)
    rules = _merged(there.rules, wanted.rules)
    if rules != there.rules:
        yield SetLifecycle(wanted.name, rules, wanted.rules[0]["Expiration"]["Days"])


def _merged(
    there: tuple[Mapping[str, Any], ...], wanted: tuple[Mapping[str, Any], ...]
) -> tuple[Mapping[str, Any], ...]:
    """Return `there` with the wanted rules in it, those of the same ID replaced."""
    ours = {rule["ID"]: rule for rule in wanted}
    kept = [ours.pop(rule["ID"], rule) if "ID" in rule else rule for rule in there]
    return (*kept, *ours.values())


def _role(wanted: RoleState, actual: RoleState | None) -> Iterator[Step]:
    if actual is None:
        yield CreateRole(wanted.name, wanted.trust, wanted.tags)
    else:
        _check_owner("role", wanted.name, wanted.tags, actual.tags)
        if actual.trust != wanted.trust:
            yield SetTrust(wanted.name, wanted.trust)
    there = actual.policies if actual else {}
    for name, policy in wanted.policies.items():
        if there.get(name) != policy:
            yield PutPolicy(wanted.name, name, policy)


def _function(wanted: FunctionState, actual: FunctionState | None) -> Iterator[Step]:
    if actual is None:
        yield CreateFunction(wanted)
    else:
        _check_owner("function", wanted.name, wanted.tags, actual.tags)
        yield from _changes(wanted, actual)
    if wanted.concurrency is not None and (
        actual is None or actual.concurrency != wanted.concurrency
    ):
        yield ReserveConcurrency(wanted.name, wanted.concurrency)


def _changes(wanted: FunctionState, actual: FunctionState) -> Iterator[Step]:
    if bool(wanted.code.image_uri) != bool(actual.code.image_uri):
        raise NameTakenError(
            f"Function {wanted.name} was deployed as {_kind(actual)}, and Lambda cannot make it "
            f"{_kind(wanted)}: remove it first with aflint destroy, or choose another `function`."
        )
    if wanted.code != actual.code or wanted.architecture != actual.architecture:
        yield UpdateCode(wanted.name, wanted.code, wanted.architecture)
    variables = {**actual.settings.variables, **wanted.settings.variables}
    settings = replace(wanted.settings, variables=variables)
    if changed := _differing(settings, actual.settings):
        yield UpdateSettings(wanted.name, settings, changed)
    if not wanted.tags.items() <= actual.tags.items():
        yield TagFunction(wanted.name, actual.arn, wanted.tags)


def _kind(function: FunctionState) -> str:
    return "an image" if function.code.image_uri else "a zip"


def _differing(wanted: Settings, actual: Settings) -> tuple[str, ...]:
    names = (field.name for field in fields(Settings))
    return tuple(
        _WORDS.get(name, name) for name in names if getattr(wanted, name) != getattr(actual, name)
    )


def _owned(there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return there.get(OWNER_TAG) == wanted.get(OWNER_TAG)


def _check_owner(kind: str, name: str, wanted: Mapping[str, str], there: Mapping[str, str]) -> None:
    if not _owned(there, wanted):
        raise NameTakenError(
            f"A {kind} {name} is there already, and does not carry aflint's tag {OWNER_TAG}: it is "
            "left alone. Choose another `function` in the configuration, or remove that one."
        )
