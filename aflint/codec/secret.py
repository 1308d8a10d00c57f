"""The secret that driver and executors share, the keys derived from it, and tags under those keys.

A deployment has one (on `local`, a session has one). No key travels: a process that knows the
secret derives the key of a job by its id, so that frames and payloads can be checked, and a resumed
driver can read what tasks of the one before it wrote.
"""

from __future__ import annotations

import hmac
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, NoReturn

BYTES: Final = 32
_KEY_BYTES: Final = 32

SECRET_FILE: Final = "secret"
"""The file of a local session's folder that holds the session's."""

SECRET_VARIABLE: Final = "AFLINT__SECRET"
"""The environment variable of a deployed function that holds the deployment's."""


def tag(key: bytes, *parts: bytes | bytearray | memoryview, size: int, use: bytes = b"") -> bytes:
    """Return the keyed BLAKE2b digest of `parts`, one after the other: `size` bytes.

    `use`, of up to 16 bytes, names what is tagged: a tag for one use is none for another, even
    under the same key. Compare tags with `hmac.compare_digest`. Raises ValueError for an empty key,
    under which anyone could make tags.
    """
    digest = tagging(key, size=size, use=use)
    for part in parts:
        digest.update(part)
    return digest.digest()


def tagging(key: bytes, *, size: int, use: bytes = b"") -> blake2b:
    """Return what makes a `tag` out of parts that it is updated with."""
    if not key:
        raise ValueError("a tag's key is empty: anyone could make that tag")
    return blake2b(key=key, digest_size=size, person=use)


class Secret:
    """Bytes that no repr, log, event or pickle may hold. Raises ValueError for fewer than 16."""

    __slots__ = ("_bytes", "_latest")

    def __init__(self, value: bytes) -> None:
        if len(value) < 16:
            raise ValueError(f"a secret of {len(value)} bytes can be guessed; it takes 16 or more")
        self._bytes = bytes(value)
        # The key that was asked for last, by its name: that of one job, time and again.
        self._latest: tuple[tuple[str, str], bytes] = ("", ""), b""

    @classmethod
    def fresh(cls) -> Secret:
        """Return a new one, from the system's source of randomness."""
        return cls(secrets.token_bytes(BYTES))

    @classmethod
    def kept_in(cls, path: Path) -> Secret:
        """Return the one in a file that only its owner can read, made where there is none.

        Raises ValueError for a file that holds none, and OSError.
        """
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:
                file.write(secrets.token_bytes(BYTES))
        return cls(path.read_bytes())

    @classmethod
    def from_text(cls, text: str) -> Secret:
        """Return the secret that `to_text` wrote. Raises ValueError for what is none."""
        return cls(urlsafe_b64decode(text))

    def to_text(self) -> str:
        """Return it as text, for an environment variable."""
        return urlsafe_b64encode(self._bytes).decode()

    def reveal(self) -> bytes:
        """Return the bytes, to hand them to an executor or to keep them where only it can read."""
        return self._bytes

    def key(self, purpose: str, name: str) -> bytes:
        """Return the key of 32 bytes for one purpose ("job", "journal") and one name.

        Keys of different purposes or names tell nothing of each other, or of the secret.
        """
        known, key = self._latest
        if not key or known != (purpose, name):
            words = f"{len(purpose)}:{purpose}:{name}".encode()
            key = tag(self._bytes[:64], words, size=_KEY_BYTES)
            # One assignment: threads that ask at once never see the key of another name.
            self._latest = (purpose, name), key
        return key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes, other._bytes)

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be pickled: derive a key where it is needed")
