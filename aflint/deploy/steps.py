"""The steps that a deployment is carried out in, each with its words for people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aflint.deploy.state import Code, FunctionState, Settings


class Step(ABC):
    """One change. `str()` is for people."""

    @abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True)
class CreateBucket(Step):
    """Make the bucket."""

    name: str

    def __str__(self) -> str:
        return f"create bucket {self.name}"


@dataclass(frozen=True)
class TagBucket(Step):
    """Mark the bucket as made by aflint."""

    name: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"tag bucket {self.name}"


@dataclass(frozen=True)
class CloseBucket(Step):
    """Keep the public out of the bucket."""

    name: str

    def __str__(self) -> str:
        return f"block public access to bucket {self.name}"


@dataclass(frozen=True)
class EncryptBucket(Step):
    """Encrypt what comes into the bucket."""

    name: str

    def __str__(self) -> str:
        return f"encrypt bucket {self.name} (AES256)"


@dataclass(frozen=True)
class SetLifecycle(Step):
    """Set the rules of the bucket's life cycle: others' own, and aflint's."""

    name: str
    rules: tuple[Mapping[str, Any], ...]
    days: int

    def __str__(self) -> str:
        return f"expire aflint's objects in bucket {self.name} after {self.days} days"


@dataclass(frozen=True)
class CreateRole(Step):
    """Make the role."""

    name: str
    trust: Mapping[str, Any]
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"create role {self.name}"


@dataclass(frozen=True)
class SetTrust(Step):
    """Say who may run as the role."""

    name: str
    trust: Mapping[str, Any]

    def __str__(self) -> str:
        return f"set who may assume role {self.name}"


@dataclass(frozen=True)
class PutPolicy(Step):
    """Set what the role may do."""

    role: str
    name: str
    policy: Mapping[str, Any]

    def __str__(self) -> str:
        return f"set policy {self.name} of role {self.role}"


@dataclass(frozen=True)
class CreateFunction(Step):
    """Make a function, with its code and settings."""

    function: FunctionState

    def __str__(self) -> str:
        settings = self.function.settings
        kind = settings.runtime or "image"
        return f"create function {self.function.name} ({settings.memory_mb} MB, {kind})"


@dataclass(frozen=True)
class UpdateCode(Step):
    """Give a function other code, or another architecture with it."""

    function: str
    code: Code
    architecture: str

    def __str__(self) -> str:
        return f"update the code of function {self.function}"


@dataclass(frozen=True)
class UpdateSettings(Step):
    """Change a function's settings; `changed` names which."""

    function: str
    settings: Settings
    changed: tuple[str, ...]

    def __str__(self) -> str:
        return f"update {', '.join(self.changed)} of function {self.function}"


@dataclass(frozen=True)
class TagFunction(Step):
    """Note on a function what it was deployed from."""

    function: str
    arn: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"tag function {self.function}"


@dataclass(frozen=True)
class ReserveConcurrency(Step):
    """Reserve concurrency for a function."""

    function: str
    concurrency: int

    def __str__(self) -> str:
        return f"reserve {self.concurrency:,} concurrent invocations for {self.function}"
