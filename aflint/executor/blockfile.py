"""A file of record blocks: what `save_as_pickle_file`, `cache` and `checkpoint` write.

Layout: MAGIC, then for each block three little-endian unsigned 32-bit integers (its bytes, its
records, its CRC-32 begun with the number of records) and the block, encoded by the record codec and
compressed; at the end a head of zeros. A block is decoded only after its sum was found right: a
damaged pickle can do anything.

What only aflint's own tasks read (cached partitions, what a continued task carries) is tagged: with
another MAGIC, and after each head, the last one, too, a BLAKE2b tag under the file's own key over
the block's place in the file, its head and its bytes. Its pairs are written as a shuffle's are,
keys and values apart, which takes little more than half as long to decode.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aflint.codec import frame, pairs, records
from aflint.codec.pairs import Block
from aflint.codec.secret import tag
from aflint.errors import CorruptInputError, PayloadRefusedError
from aflint.executor.pieces import Pieces

MAGIC = b"aflint\x00\x01"
TAGGED_MAGIC = b"aflint\x00\x02"
END = bytes(12)

_HEAD = struct.Struct("<III")
_TAG_BYTES = 16


def pack_block(block: list[Any]) -> bytes:
    """Return records as bytes: the form of every block that is stored or handed over."""
    return frame.compress(records.encode(block))


def unpack_block(data: bytes) -> list[Any]:
    """Return the records of `pack_block`."""
    block: list[Any] = records.decode(frame.decompress(data))
    return block


def frame_encoded(encoded: bytes, count: int) -> bytes:
    """Return an encoded block of `count` records with its head, as it lies in a file."""
    data = frame.compress(encoded)
    return _HEAD.pack(len(data), count, _sum(data, count)) + data


def frame_tagged(encoded: bytes, count: int, key: bytes, index: int) -> bytes:
    """Return an encoded block as it lies, as number `index`, in a file that is tagged."""
    data = frame.compress(encoded)
    head = _HEAD.pack(len(data), count, _sum(data, count))
    return b"".join((head, _tag(key, index, head, data), data))


def tagged_end(key: bytes, index: int) -> bytes:
    """Return the end of a tagged file of `index` blocks."""
    return END + _tag(key, index, END, b"")


def _tag(key: bytes, index: int, head: bytes, data: bytes) -> bytes:
    return tag(key, index.to_bytes(8, "little"), head, data, size=_TAG_BYTES)


def _sum(data: bytes, count: int) -> int:
    return zlib.crc32(data, count)  # so that the number of records is summed, too


def parse(
    pieces: Iterable[bytes],
    path: str,
    skip: int = 0,
    decode: bool = True,
    key: bytes | None = None,
) -> Iterator[tuple[int, Block]]:
    """Yield (number of records, records) for each block after the first `skip`.

    With `decode=False` no block is decoded, and the records are left out. With a `key`, the file is
    one that is tagged. Raises CorruptInputError for a file that is truncated or damaged, or is of
    another kind, and PayloadRefusedError for one that does not carry the tags of that key.
    """
    read = _exact_reader(pieces, path)
    if read(len(MAGIC)) != (MAGIC if key is None else TAGGED_MAGIC):
        raise CorruptInputError(f"{path} is not a file of records that aflint saved as pickles")
    index = 0
    while True:
        head = read(_HEAD.size)
        size, count, expected = _HEAD.unpack(head)
        found = read(_TAG_BYTES) if key is not None else b""
        data = read(size)
        if key is not None and not hmac.compare_digest(found, _tag(key, index, head, data)):
            raise PayloadRefusedError(
                f"block {index} of {path} was altered in storage; it was not decoded. Run the job "
                "again, and check who may write there"
            )
        # Only behind its tag: else a file could be cut at any block.
        if head == END:
            return
        if _sum(data, count) != expected:
            raise CorruptInputError(f"{path} is damaged in its block {index}; write it again")
        index += 1
        if index > skip:
            yield count, pairs.decode(frame.decompress(data)) if decode else []


def _exact_reader(pieces: Iterable[bytes], path: str) -> Callable[[int], bytes]:
    source = Pieces(pieces)

    def read(size: int) -> bytes:
        try:
            return source.read(size)
        except EOFError:
            raise CorruptInputError(
                f"{path} is truncated: the writer did not finish it; write it again"
            ) from None

    return read
