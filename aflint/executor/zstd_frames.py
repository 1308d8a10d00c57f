"""zstd data cut where it is known how much it can expand to.

The `zstandard` package cannot bound what one call gives, nor tell a truncated file from a whole
one. The format can: a frame is a chain of blocks of at most 128 KiB each, with their sizes ahead of
them (RFC 8878, section 3.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK_BYTES = 128 * 1024
"""The most that one block expands to (Block_Maximum_Size)."""

_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"


class _Bytes:
    """Pieces, read by exact counts."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0

    def at_end(self) -> bool:
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._piece, self._at = piece, 0
        return False

    def read(self, size: int) -> bytes:
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
        while size:
            size -= len(self.read(min(size, BLOCK_BYTES)))


def cut_frames(pieces: Iterable[bytes], output_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """Yield (part, whether it ends its frame), each giving at most about `output_bytes`.

    Raises EOFError for truncated data, ValueError for what is no zstd data.
    """
    source = _Bytes(pieces)
    while not source.at_end():
        magic = source.read(4)
        if magic[1:] == _SKIPPABLE and magic[0] >> 4 == 5:
            source.skip(int.from_bytes(source.read(4), "little"))
        elif magic == _MAGIC:
            yield from _cut_frame(source, output_bytes // BLOCK_BYTES)
        else:
            raise ValueError("no zstd frame begins where one should")


def _cut_frame(source: _Bytes, blocks: int) -> Iterator[tuple[bytes, bool]]:
    descriptor = source.read(1)
    parts = [_MAGIC, descriptor, source.read(_header_size(descriptor[0]))]
    last = False
    while not last:
        for _ in range(blocks):
            head = source.read(3)
            word = int.from_bytes(head, "little")
            last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
            parts += (head, source.read(1 if kind == 1 else size))
            if last:
                break
        if last and descriptor[0] & 4:
            parts.append(source.read(4))  # the checksum
        yield b"".join(parts), last
        parts = []


def _header_size(descriptor: int) -> int:
    """Return the bytes of a frame's header that follow its descriptor."""
    single = descriptor >> 5 & 1
    content = (single, 2, 4, 8)[descriptor >> 6]
    return (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content
