"""What a file's name and its encoding say about how it can be read: pure."""

from __future__ import annotations

import codecs
import os

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zstd": "zstd"}
_STATEFUL = ("utf-7", "hz", "iso2022", "idna", "punycode")


def compression_of(path: str) -> str | None:
    """Return "gzip", "bz2", "zstd" or None, by the end of a file's name, as Hadoop does."""
    return _COMPRESSIONS.get(os.path.splitext(path)[1].lower())


def is_splittable(encoding: str) -> bool:
    """Say whether the bytes LF and CR always end a line in this encoding, and only they do."""
    if codecs.lookup(encoding).name.startswith(_STATEFUL):
        return False
    try:
        return "\r\n".encode(encoding) == b"\r\n"
    except UnicodeError:
        return False
