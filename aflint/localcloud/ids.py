"""Random identifiers, made cheaply: thousands are needed each second."""

from __future__ import annotations

import os


def new_id() -> str:
    """A random identifier in the shape of a version 4 UUID."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
