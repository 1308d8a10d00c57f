"""Whether policies allow a call, as IAM decides it. Pure.

Of conditions only StringEquals and StringLike are known; a statement with any other allows nothing,
and denies as if it had none: what cannot be judged is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
"""The one policy of AWS's own that grants anything here."""


@dataclass(frozen=True)
class Asked:
    """One thing that a request does. `context` are the keys that conditions may look at."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def allows(documents: Iterable[str], asked: Asked) -> bool:
    """Whether some statement allows it and none denies it."""
    allowed = False
    for document in documents:
        for statement in _statements(document):
            if not _names(statement, asked):
                continue
            holds = _holds(statement.get("Condition", {}), asked.context)
            if statement.get("Effect") == "Deny":
                if holds is not False:
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
    """Whether all conditions hold; None where one is not known here."""
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
