"""Roles and their policies. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from aflint.localcloud.iam.policy import ADMINISTRATOR, Asked, allows
from aflint.localcloud.wire import ServiceError

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
        """Whether the policies of a role allow all that is asked; a role that is gone may nothing.

        Every caller may ask who it is.
        """
        role = self.by_arn(arn)
        if role is None:
            return False
        if ADMINISTRATOR in role.attached:
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
