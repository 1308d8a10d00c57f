"""The little XML that S3 and IAM speak: nested dicts and lists to text, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree
from xml.sax.saxutils import escape

Value = str | int | bool | Mapping[str, "Value"] | Sequence["Value"] | None
_S3 = "http://s3.amazonaws.com/doc/2006-03-01/"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\r\x0e-\x1f]")


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
