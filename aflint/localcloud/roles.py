"""Roles, and what their policies allow, as IAM decides it. Pure.

Of conditions only StringEquals and StringLike are known; a statement with any other allows nothing,
and denies as if it had none: what cannot be judged is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aflint.localcloud.wire import Asked, ServiceError

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
"""The one policy of AWS's own that grants anything here."""
_WHO_AM_I = "sts:GetCallerIdentity"
_NAME = re.compile(r"[\w+=,.@\-]{1,64}", re.ASCII)


@dataclass
class Role:
    """One role; policy documents are kept as JSON text."""

    name: str
    id: str
    arn: str
    path: str
    trust: str
    created: float
    description: str = ""
    inline: dict[str, str] = field(default_factory=dict)
    attached: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def trusts(self, service: str) -> bool:
        """Whether the trust policy lets this service principal assume the role."""
        statements = json.loads(self.trust).get("Statement", [])
        for statement in [statements] if isinstance(statements, dict) else statements:
            principals = statement.get("Principal", {})
            services = principals.get("Service", []) if isinstance(principals, dict) else []
            named = [services] if isinstance(services, str) else services
            if statement.get("Effect") == "Allow" and service in named:
                return True
        return False


class Roles:
    """Roles by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Role] = {}

    def get(self, name: str) -> Role:
        """The role; raises NoSuchEntity."""
        found = self.by_name.get(name)
        if found is None:
            raise ServiceError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
        return found

    def by_arn(self, arn: str) -> Role | None:
        """The role with this ARN, if there is one."""
        return next((role for role in self.by_name.values() if role.arn == arn), None)

    def may(self, arn: str, asked: Sequence[Asked]) -> bool:
        """Whether the policies of a role allow all that is asked.

        A role that is gone allows nothing. Every caller may ask for its own identity.
        """
        role = self.by_arn(arn)
        if role is None:
            return False
        if ADMINISTRATOR in role.attached:  # the only attached policy that is known here
            return True
        documents = tuple(role.inline.values())
        return all(each.action == _WHO_AM_I or allows(documents, each) for each in asked)

    def add(self, role: Role) -> None:
        """A new role; raises EntityAlreadyExists, ValidationError or MalformedPolicyDocument."""
        if not _NAME.fullmatch(role.name):
            raise ServiceError("ValidationError", f"The role name {role.name!r} is invalid.")
        if role.name in self.by_name:
            raise ServiceError(
                "EntityAlreadyExists", f"Role with name {role.name} already exists.", 409
            )
        check_policy(role.trust)
        self.by_name[role.name] = role

    def delete(self, name: str) -> None:
        """Remove a role; raises DeleteConflict while it still has policies."""
        role = self.get(name)
        if role.inline:
            raise ServiceError(
                "DeleteConflict", "Cannot delete entity, must delete policies first.", 409
            )
        if role.attached:
            raise ServiceError(
                "DeleteConflict", "Cannot delete entity, must detach all policies first.", 409
            )
        del self.by_name[name]


def check_policy(document: str) -> str:
    """The document; raises MalformedPolicyDocument unless it is a JSON object with statements."""
    try:
        parsed = json.loads(document)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or not parsed.get("Statement"):
        raise ServiceError("MalformedPolicyDocument", "Syntax errors in policy.")
    return document


def no_policy(name: str) -> ServiceError:
    """The policy is not there."""
    return ServiceError("NoSuchEntity", f"The role policy with name {name} cannot be found.", 404)


def allows(documents: Iterable[str], asked: Asked) -> bool:
    """Whether some statement allows it and none denies it."""
    allowed = False
    for document in documents:
        for statement in _statements(document):
            if not _names(statement, asked):
                continue
            holds = _holds(statement.get("Condition", {}), asked.context)
            if statement.get("Effect") == "Deny":
                if holds is not False:  # a denial whose condition is not known denies
                    return False
            elif holds:
                allowed = True
    return allowed


@lru_cache(maxsize=64)
def _statements(document: str) -> tuple[dict[str, Any], ...]:
    found = json.loads(document)["Statement"]
    return tuple([found] if isinstance(found, dict) else found)


def _names(statement: Mapping[str, Any], asked: Asked) -> bool:
    actions = (pattern.lower() for pattern in _several(statement.get("Action", ())))
    if not any(_like(asked.action.lower(), pattern) for pattern in actions):
        return False
    return any(_like(asked.resource, pattern) for pattern in _several(statement.get("Resource")))


def _holds(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool | None:
    """Whether all conditions hold; None where one of them is not known here."""
    for operator, tests in conditions.items():
        if operator not in ("StringEquals", "StringLike"):
            return None
        for key, wanted in tests.items():
            value = context.get(key)
            if value is None:
                return False
            exact = operator == "StringEquals"
            if not any(value == each if exact else _like(value, each) for each in _several(wanted)):
                return False
    return True


def _several(value: Any) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value or ()


def _like(text: str, pattern: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
    return re.compile("".join(parts), re.DOTALL)
