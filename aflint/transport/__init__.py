"""Ways to carry a shuffle, and the one place where a transport is made from its description."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aflint.errors import ConfigError
from aflint.transport.base import Transport

if TYPE_CHECKING:
    from aflint.aws.clients import Aws

_CLASSES = {
    "file": ("aflint.transport.file", "FileTransport"),
    "hybrid": ("aflint.transport.hybrid", "HybridTransport"),
    "s3": ("aflint.transport.s3", "S3Transport"),
    "sqs": ("aflint.transport.sqs", "SqsTransport"),
}


def create_transport(description: tuple[Any, ...], aws: Aws | None = None) -> Transport:
    """Return the transport that a description names: (name, *arguments), as tasks carry it.

    Those of AWS call it by `aws`; None is for what AWS's own settings say. Only the module of that
    one is imported. Raises ConfigError for a name that is not known.
    """
    name, *arguments = description
    if name not in _CLASSES:
        raise ConfigError(f"there is no transport {name!r}; there are {', '.join(_CLASSES)}")
    module, cls = _CLASSES[name]
    if name != "file":
        arguments.insert(0, aws or _by_settings())
    transport: Transport = getattr(import_module(module), cls)(*arguments)
    return transport


def _by_settings() -> Aws:
    from aflint.aws.clients import Aws

    return Aws()
