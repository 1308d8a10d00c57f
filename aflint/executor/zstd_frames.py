"""zstd data cut where it is known how much it can expand to.

The `zstandard` package cannot bound what one call gives, nor tell a truncated file from a whole
one. The format can: a frame is a chain of blocks of at most 128 KiB each, with their sizes ahead of
them (RFC 8878, section 3.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aflint.executor.pieces import Pieces

BLOCK_BYTES = 128 * 1024
"""The most that one block expands to (Block_Maximum_Size)."""

_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"


def cut_frames(pieces: Iterable[bytes], output_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """Yield (part, whether it ends its frame), each giving at most about `output_bytes`.

    Raises EOFError for truncated data, ValueError for what is no zstd data.
    """
    source = Pieces(pieces)
    while not source.at_end():
        magic = source.read(4)
        if magic[1:] == _SKIPPABLE and magic[0] >> 4 == 5:
            source.skip(int.from_bytes(source.read(4), "little"))
        elif magic == _MAGIC:
            yield from _cut_frame(source, output_bytes // BLOCK_BYTES)
        else:
            raise ValueError("no zstd frame begins where one should")


def _cut_frame(source: Pieces, blocks: int) -> Iterator[tuple[bytes, bool]]:
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
