"""Attributes asked for by the names that PySpark gives them."""

from __future__ import annotations

import re


def no_attribute(owner: object, name: str) -> AttributeError:
    """Return the error for a missing attribute; for `reduceByKey` it names `reduce_by_key`."""
    kind = type(owner)
    here = re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    if here != name and hasattr(kind, here):
        return AttributeError(f"{kind.__name__} has no {name}: it is {here} here")
    message = f"{kind.__name__!r} object has no attribute {name!r}"
    return AttributeError(message, name=name, obj=owner)
