"""What a file's name and its encoding say about how it can be read: pure."""

from __future__ import annotations

import codecs
import os

from aflint.errors import UnsupportedCompressionError

_COMPRESSIONS = {
    ".gz": "gzip",
    ".bz2": "bz2",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".deflate": "deflate",
    ".lz4": "lz4",
    ".xz": "xz",
    ".lzma": "xz",
}
_UNSUPPORTED = frozenset(
    (".snappy", ".sz", ".lzo", ".lzo_deflate", ".z", ".br", ".zip", ".7z", ".rar", ".tgz", ".tbz2")
)
_STATEFUL = ("utf-7", "hz", "iso2022", "idna", "punycode")


def compression_of(path: str) -> str | None:
    """Return how a file is compressed, None if it is not, by the end of its name as Hadoop does."""
    return _COMPRESSIONS.get(_ending(path))


def check_readable(path: str) -> None:
    """Raise UnsupportedCompressionError for a name that says that its content is no text."""
    if (ending := _ending(path)) in _UNSUPPORTED:
        raise UnsupportedCompressionError(
            f"{path}: text cannot be read from {ending} files, of compressed ones only from "
            f"{', '.join(_COMPRESSIONS)}. Compress it in another way, or rename it if it is plain "
            "text; binary_files gives the bytes of any file"
        )


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def is_splittable(encoding: str) -> bool:
    """Say whether the bytes LF and CR always end a line in this encoding, and only they do."""
    if codecs.lookup(encoding).name.startswith(_STATEFUL):
        return False
    try:
        return "\r\n".encode(encoding) == b"\r\n"
    except UnicodeError:
        return False
