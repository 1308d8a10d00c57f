"""What a deployment is to look like, and what of it is there: values to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aflint.codec.secret import Secret

HANDLER: Final = "aflint.executor.handler.handler"
ROLE_POLICY: Final = "aflint"
DATA_POLICY: Final = "aflint-data"


@dataclass(frozen=True)
class Code:
    """A function's code: the SHA-256 of a zip in base64, or the URI of an image."""

    sha256: str = ""
    image_uri: str = ""


@dataclass(frozen=True)
class Settings:
    """A function's settings; sizes in MB, `timeout_s` in seconds.

    `secret`, None where there is none yet, is no part of `variables`, which may hold secrets of
    others; neither is shown.
    """

    role_arn: str
    runtime: str
    handler: str
    memory_mb: int
    tmp_mb: int
    timeout_s: int
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: Secret | None = None


@dataclass(frozen=True)
class FunctionState:
    """One function, wanted or there. `concurrency` None: none is reserved, or none is asked for."""

    name: str
    architecture: str
    code: Code
    settings: Settings
    tags: Mapping[str, str]
    concurrency: int | None = None
    arn: str = ""
    size: int = 0
    status: str = ""
    modified: str = ""


@dataclass(frozen=True)
class RoleState:
    """The role. `policies` are its own ones by name; a wanted role names those it must have."""

    name: str
    arn: str
    trust: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class BucketState:
    """The bucket. `rules` are those of its life cycle."""

    name: str
    tags: Mapping[str, str]
    rules: tuple[Mapping[str, Any], ...] = ()
    encrypted: bool = False
    closed: bool = False


@dataclass(frozen=True)
class Deployed:
    """A whole deployment, wanted or there. A wanted `role` None: somebody else makes it."""

    bucket: BucketState | None = None
    role: RoleState | None = None
    functions: Mapping[str, FunctionState] = field(default_factory=dict)


def secret_of(deployed: Deployed) -> Secret | None:
    """Return the secret of a deployment: that of its smallest function which has one."""
    states = sorted(deployed.functions.values(), key=lambda each: each.settings.memory_mb)
    return next((each.settings.secret for each in states if each.settings.secret), None)
