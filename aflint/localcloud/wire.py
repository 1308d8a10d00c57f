"""What passes between the HTTP edge and the services: one request in, one reply or error out."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(slots=True)
class Request:
    """One HTTP request, read whole. `path` is still percent-encoded; `query` is decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes
    id: str


@dataclass(slots=True)
class Reply:
    """One HTTP answer. `length` stands in for a body that is not sent (HEAD)."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    length: int | None = None
    sent: int | None = None
    """The connection ends after so many bytes of the body; with 0, before there is any answer."""


class ServiceError(Exception):
    """A refusal as AWS words it; each service gives it its own shape on the wire."""

    def __init__(
        self, code: str, message: str, status: int = 400, *, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})
        """Further members of the error document."""


class Refusal(enum.Enum):
    """Why a request is turned away before its service looks at it."""

    NO_SIGNATURE = enum.auto()
    UNKNOWN_KEY = enum.auto()
    BAD_TOKEN = enum.auto()
    """Another session token than the key's, or one with a key that has none."""
    BAD_SIGNATURE = enum.auto()
    EXPIRED = enum.auto()
    DENIED = enum.auto()
    WRONG_REGION = enum.auto()
    THROTTLED = enum.auto()


class Service(ABC):
    """One AWS API behind the edge."""

    name: ClassVar[str]
    """As in the scope of a signature and in IAM actions: `sqs`, `s3`, `lambda`, `iam`, `sts`."""
    throttle_fault: ClassVar[str] = "throttle"
    """The fault that turns a call of this service away."""

    @abstractmethod
    def action(self, request: Request) -> str:
        """The API's name of what is asked for; raises ServiceError when it is not served."""

    @abstractmethod
    async def handle(self, action: str, request: Request) -> Reply:
        """Carry it out; raises ServiceError."""

    @abstractmethod
    def render(self, error: ServiceError, request: Request) -> Reply:
        """The error in this API's shape."""

    @abstractmethod
    def refuse(self, refusal: Refusal, action: str, detail: str) -> ServiceError:
        """This API's code and words for a refusal; `detail` is the right region or the actor."""
