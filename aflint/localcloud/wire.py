"""What passes between the HTTP edge and the services: requests, replies, errors, and their XML."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from xml.etree import ElementTree
from xml.sax.saxutils import escape

Value = str | int | bool | Mapping[str, "Value"] | Sequence["Value"] | None
_S3 = "http://s3.amazonaws.com/doc/2006-03-01/"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\r\x0e-\x1f]")


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
    caller: str = ""
    """The ARN of whose credentials it was signed with, once that is certain."""


@dataclass(slots=True)
class Reply:
    """One HTTP answer. `length` stands in for a body that is not sent (HEAD)."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    length: int | None = None
    sent: int | None = None
    """The connection ends after this many bytes of the body; with 0, before any answer is sent."""


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


@dataclass(frozen=True)
class Asked:
    """One thing that a request does; `context` holds the keys that conditions may look at."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


class Service(ABC):
    """One AWS API behind the edge."""

    name: ClassVar[str]
    """As in the scope of a signature and in IAM actions: `sqs`, `s3`, `lambda`, `iam`, `sts`."""
    throttle_fault: ClassVar[str] = "throttle"
    """The fault that turns a call of this service away."""

    @abstractmethod
    def action(self, request: Request) -> str:
        """The name of the API that is called; raises ServiceError when it is not emulated."""

    @abstractmethod
    async def handle(self, action: str, request: Request) -> Reply:
        """Carry it out; raises ServiceError."""

    @abstractmethod
    def render(self, error: ServiceError, request: Request) -> Reply:
        """The error in this API's shape."""

    def asked(self, action: str, request: Request) -> list[Asked]:
        """What the request does to which resources; a role has to be allowed all of it."""
        return [Asked(f"{self.name}:{action}")]


def new_id() -> str:
    """A random identifier in the shape of a version 4 UUID."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def document(root: str, content: Mapping[str, Value], *, namespace: bool | str = True) -> bytes:
    """An XML document. A list repeats its element; None leaves it out.

    `namespace` is S3's, another one, or none at all.
    """
    uri = _S3 if namespace is True else namespace
    attribute = f' xmlns="{uri}"' if uri else ""
    inner = "".join(_element(name, value) for name, value in content.items())
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<{root}{attribute}>{inner}</{root}>".encode()


def _element(name: str, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        inner = "".join(_element(key, item) for key, item in value.items())
        return f"<{name}>{inner}</{name}>"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, bool):
        return f"<{name}>{str(value).lower()}</{name}>"
    text = _CONTROL.sub(lambda found: f"&#x{ord(found[0]):x};", escape(str(value)))
    return f"<{name}>{text}</{name}>"


def parse(body: bytes) -> ElementTree.Element:
    """The root of a document, its tags without namespaces; raises ElementTree.ParseError.

    Documents that declare entities are refused as not well-formed: none of these APIs has any.
    """
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ElementTree.ParseError("a document type is not allowed here")
    root = ElementTree.fromstring(body)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
