"""A stream of pieces, read by exact counts of bytes."""

from __future__ import annotations

from collections.abc import Iterable

_SKIPPED_AT_ONCE = 128 * 1024


class Pieces:
    """Reads from pieces of any sizes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0

    def at_end(self) -> bool:
        """Say whether there is nothing left."""
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._piece, self._at = piece, 0
        return False

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises EOFError if fewer are left."""
        parts = []
        while size:
            if self.at_end():
                raise EOFError
            part = self._piece[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over `size` bytes. Raises EOFError if fewer are left."""
        while size:
            size -= len(self.read(min(size, _SKIPPED_AT_ONCE)))

    def rest(self) -> Iterable[bytes]:
        """Yield what is left, in pieces."""
        while not self.at_end():
            yield self.read(len(self._piece) - self._at)
