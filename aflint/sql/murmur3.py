"""Murmur3 as Spark hashes rows with it, a column at a time: it decides where an exchange puts a
row.
"""

from __future__ import annotations

from typing import Any

import nanoarrow
import numpy as np
import numpy.typing as npt

from aflint.sql.types import Type

Hashes = npt.NDArray[np.uint32]
SEED = 42


def partitions_of(stream: Any, kinds: tuple[Type, ...], partitions: int) -> npt.NDArray[np.int32]:
    """Return the partition of each row of an Arrow stream, whose columns are the keys."""
    placed = [np.empty(0, np.int32)]
    with nanoarrow.c_array_stream(stream) as arrays:
        for array in arrays:
            hashes = np.full(array.length, SEED, np.uint32)
            for place, kind in enumerate(kinds):
                hashes = _hashed(array.child(place), kind, hashes)
            placed.append(np.mod(hashes.view(np.int32), np.int32(partitions)))
    return np.concatenate(placed)


def _hashed(array: Any, kind: Type, seeds: Hashes) -> Hashes:
    """Return the hash of each value by its own seed; that of NULL is its seed."""
    view = array.view()
    buffers = list(view.buffers)
    count = array.length
    hashes = _values(buffers, array, kind, count, seeds)
    if not array.null_count or not len(buffers[0]):
        return hashes
    valid = _bits(buffers[0], array.offset, count)
    return np.where(valid, hashes, seeds)


def _values(buffers: Any, array: Any, kind: Type, count: int, seeds: Hashes) -> Hashes:
    start = array.offset
    match kind.name:
        case "struct":
            for place, (_, part) in enumerate(kind.parts):
                seeds = _hashed(array.child(place), part, seeds)
            return seeds
        case "boolean":
            return _of_int(_bits(buffers[1], start, count).astype(np.int32), seeds)
        case "byte" | "short" | "integer" | "date":
            return _of_int(np.asarray(buffers[1])[start : start + count].astype(np.int32), seeds)
        case "long" | "timestamp" | "timestamp_ntz":
            return _of_long(np.asarray(buffers[1])[start : start + count].astype(np.int64), seeds)
        case "float":
            floats = np.asarray(buffers[1])[start : start + count] + np.float32(0)  # no -0.0
            floats[np.isnan(floats)] = np.float32("nan")
            return _of_int(floats.view(np.int32), seeds)
        case "double":
            doubles = np.asarray(buffers[1])[start : start + count] + 0.0
            doubles[np.isnan(doubles)] = np.float64("nan")
            return _of_long(doubles.view(np.int64), seeds)
        case "decimal":
            halves = np.frombuffer(buffers[1], np.int64).reshape(-1, 2)[start : start + count]
            if kind.precision <= 18:
                return _of_long(np.ascontiguousarray(halves[:, 0]), seeds)
            return _of_bytes(*_decimal_bytes(halves), seeds)
        case "string" | "binary":
            offsets = np.asarray(buffers[1])[start : start + count + 1].astype(np.int64)
            return _of_bytes(np.frombuffer(buffers[2], np.uint8), offsets, seeds)
        case "array":
            return _of_items(buffers, array, kind.part("element"), count, seeds)
        case "map":
            return _of_items(buffers, array, Type("struct", parts=kind.parts), count, seeds)
    raise TypeError(f"{kind} cannot be hashed")


def _of_items(buffers: Any, array: Any, kind: Type, count: int, seeds: Hashes) -> Hashes:
    """Hash the first items of all rows, then the second ones, each by what stands before it."""
    offsets = np.asarray(buffers[1])[array.offset : array.offset + count + 1].astype(np.int64)
    items, sizes, hashes = array.child(0), np.diff(offsets), seeds.copy()
    for place in range(int(sizes.max(initial=0))):
        rows = np.flatnonzero(sizes > place)
        at = offsets[rows] + place
        each = np.zeros(items.length, np.uint32)
        each[at] = hashes[rows]
        hashes[rows] = _hashed(items, kind, each)[at]
    return hashes


def _bits(buffer: Any, start: int, count: int) -> npt.NDArray[np.bool_]:
    unpacked = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")
    return unpacked[start : start + count].astype(np.bool_)


def _decimal_bytes(halves: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the digits of wide decimals as Java's BigInteger.toByteArray has them."""
    pieces = []
    for low, high in halves.tolist():
        whole = (high << 64) | (low & 0xFFFFFFFFFFFFFFFF)
        size = (whole if whole >= 0 else ~whole).bit_length() // 8 + 1
        pieces.append(whole.to_bytes(size, "big", signed=True))
    offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return np.frombuffer(b"".join(pieces), np.uint8), offsets


def _of_int(values: npt.NDArray[np.int32], seeds: Hashes) -> Hashes:
    return _finished(_mixed(seeds, values.view(np.uint32)), np.uint32(4))


def _of_long(values: npt.NDArray[np.int64], seeds: Hashes) -> Hashes:
    words = values.view(np.uint64)
    low = (words & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    high = (words >> np.uint64(32)).astype(np.uint32)
    return _finished(_mixed(_mixed(seeds, low), high), np.uint32(8))


def _of_bytes(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], seeds: Hashes) -> Hashes:
    """Hash word by word, and what is left over byte by byte, each byte as a signed number."""
    starts, sizes = offsets[:-1], np.diff(offsets)
    hashes = seeds.copy()
    words = sizes // 4
    for word in range(int(words.max(initial=0))):
        rows = np.flatnonzero(words > word)
        at = starts[rows] + 4 * word
        value = data[at].astype(np.uint32)
        for byte in (1, 2, 3):
            value |= data[at + byte].astype(np.uint32) << np.uint32(8 * byte)
        hashes[rows] = _mixed(hashes[rows], value)
    for byte in range(3):
        rows = np.flatnonzero(sizes % 4 > byte)
        at = starts[rows] + 4 * words[rows] + byte
        signed = data[at].astype(np.int8).astype(np.int32).view(np.uint32)
        hashes[rows] = _mixed(hashes[rows], signed)
    return _finished(hashes, sizes.astype(np.uint32))


def _mixed(hashes: Hashes, values: Hashes) -> Hashes:
    values = _rotated(values * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    return _rotated(hashes ^ values, 13) * np.uint32(5) + np.uint32(0xE6546B64)


def _rotated(values: Hashes, by: int) -> Hashes:
    return (values << np.uint32(by)) | (values >> np.uint32(32 - by))


def _finished(hashes: Hashes, sizes: Any) -> Hashes:
    hashes = hashes ^ sizes
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))
