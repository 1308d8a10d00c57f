"""Spark's `hash` and `xxhash64` of single values, each with the hash of what stands before it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from aflint.sql.spark_random import murmur3_finished, murmur3_mixed

_LONG = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def murmur3(data: bytes, seed: int) -> int:
    """Return the hash of bytes, those after the last whole word as signed numbers each."""
    h, whole = seed & 0xFFFFFFFF, len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        h = murmur3_mixed(h, word)
    for byte in data[whole:]:
        h = murmur3_mixed(h, (byte - 256 if byte > 127 else byte) & 0xFFFFFFFF)
    h = murmur3_finished(h, len(data))
    return h - (1 << 32) if h >> 31 else h


def xxhash64(data: bytes, seed: int) -> int:
    """Return the XXH64 of bytes, as a signed number."""
    seed, size, at = seed & _LONG, len(data), 0
    if size >= 32:
        lanes = [seed + _P1 + _P2, seed + _P2, seed, seed - _P1]
        while at + 32 <= size:
            for i, word in enumerate(struct.unpack_from("<4Q", data, at)):
                lanes[i] = _round(lanes[i], word)
            at += 32
        h = sum(_rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & _LONG
        for lane in lanes:
            h = ((h ^ _round(0, lane)) * _P1 + _P4) & _LONG
    else:
        h = (seed + _P5) & _LONG
    h = (h + size) & _LONG
    while at + 8 <= size:
        (word,) = struct.unpack_from("<Q", data, at)
        h = (_rotated(h ^ _round(0, word), 27) * _P1 + _P4) & _LONG
        at += 8
    if at + 4 <= size:
        (word,) = struct.unpack_from("<I", data, at)
        h = (_rotated(h ^ word * _P1 & _LONG, 23) * _P2 + _P3) & _LONG
        at += 4
    for byte in data[at:]:
        h = _rotated(h ^ byte * _P5 & _LONG, 11) * _P1 & _LONG
    h = (h ^ h >> 33) * _P2 & _LONG
    h = (h ^ h >> 29) * _P3 & _LONG
    h ^= h >> 32
    return h - (1 << 64) if h >> 63 else h


def _round(lane: int, word: int) -> int:
    return _rotated((lane + word * _P2) & _LONG, 31) * _P1 & _LONG


def _rotated(value: int, by: int) -> int:
    value &= _LONG
    return (value << by | value >> (64 - by)) & _LONG


_WRITTEN: dict[str, Callable[[Any], bytes]] = {
    "int": struct.Struct("<i").pack,
    "long": struct.Struct("<q").pack,
    "float": lambda value: struct.pack("<f", value + 0.0),  # no -0.0
    "double": lambda value: struct.pack("<d", value + 0.0),
    "bytes": bytes,
}


def hashing(digest: Callable[[bytes, int], int], kind: str) -> Callable[[Any, int], int]:
    """Return the function of a value of a kind and a seed; the hash of NULL is its seed."""
    written = _WRITTEN[kind]

    def hashed(value: Any, seed: int) -> int:
        return seed if value is None else digest(written(value), seed)

    return hashed
