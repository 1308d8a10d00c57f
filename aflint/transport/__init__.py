"""Ways to carry a shuffle, and the one place where a transport is made from its description."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from aflint.errors import ConfigError
from aflint.transport.base import Transport

_CLASSES = {
    "file": ("aflint.transport.file", "FileTransport"),
    "hybrid": ("aflint.transport.hybrid", "from_config"),
    "s3": ("aflint.transport.s3", "from_config"),
    "sqs": ("aflint.transport.sqs", "from_config"),
}


def create_transport(description: tuple[Any, ...]) -> Transport:
    """Return the transport that a description names: (name, *arguments), as tasks carry it.

    Only the module of that one is imported. Raises ConfigError for a name that is not known.
    """
    name, *arguments = description
    if name not in _CLASSES:
        raise ConfigError(f"there is no transport {name!r}; there are {', '.join(_CLASSES)}")
    module, cls = _CLASSES[name]
    transport: Transport = getattr(import_module(module), cls)(*arguments)
    return transport
