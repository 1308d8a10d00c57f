from __future__ import annotations

import enum
import math
from typing import Any

import msgpack
import numpy as np
import pytest

from aflint.codec import records, scalars
from aflint.errors import SerializationError

MSGPACK = scalars.PREFIX[:1]
PICKLE = b"\x80"


class Name(str):
    __slots__ = ()


class Level(enum.IntEnum):
    LOW = 1


def form_of(block: list[Any]) -> bytes:
    return records.encode(block)[:1]


def texts(count: int) -> list[Any]:
    return [f"text {n}" for n in range(count)]


@pytest.mark.parametrize("count", [1, 31, 32, 2048, 2049, 10_000])
@pytest.mark.parametrize("make", [str, lambda n: b"%d" % n])
def test_strings_and_bytes_that_are_not_many_are_written_as_msgpack(make: Any, count: int) -> None:
    block = [make(n + 1000) for n in range(count)]
    data = records.encode(block)
    assert (data[:1] == MSGPACK) == (count <= 2048)
    assert count > 2048 or msgpack.unpackb(data) == ["v", block]
    assert records.decode(data) == records.decode(memoryview(data)) == block


def test_a_few_scalars_of_any_kind_are_written_as_msgpack() -> None:
    block = [None, True, 1, 1.5, "a", b"b", -0.0, 2**63, -(2**63), math.inf]
    assert form_of(block) == MSGPACK
    back = records.decode(records.encode(block))
    assert list(map(repr, back)) == list(map(repr, block))


@pytest.mark.parametrize("number", [7, 1.5, True, None])
def test_many_numbers_are_pickled(number: Any) -> None:
    assert form_of([number] * 31) == MSGPACK
    assert form_of([number] * 32) == PICKLE


@pytest.mark.parametrize(
    "odd", [bytearray(b"a"), Name("a"), Level.LOW, np.float64(1), np.str_("a"), np.bytes_(b"a"),
            (1,), [1], {}, "\ud800", 2**64, -(2**63) - 1, memoryview, Name]
)  # fmt: skip
@pytest.mark.parametrize("count", [5, 500, 5000])
def test_what_msgpack_would_change_or_refuse_is_pickled(odd: Any, count: int) -> None:
    for place in (0, 1, count - 1):
        for block in (texts(count), list[Any](range(count))):
            block[place] = odd
            data = records.encode(block)
            assert data[:1] != MSGPACK
            back = records.decode(data)
            assert back == block
            assert list(map(type, back)) == list(map(type, block))


def test_a_block_can_be_written_after_one_that_msgpack_refused() -> None:
    refused = [*texts(40), "\ud800"]
    assert records.decode(records.encode(refused)) == refused
    assert records.decode(records.encode(texts(40))) == texts(40)


@pytest.mark.parametrize("count", [5, 31, 32, 5000])
def test_a_long_string_shared_by_all_records_is_written_once(count: int) -> None:
    shared = "shared " * 1000
    data = records.encode([shared] * count)
    assert len(data) < 7100 + 8 * count
    back = records.decode(data)
    assert back == [shared] * count
    assert back[0] is back[-1]


def test_a_few_strings_that_come_again_and_again_are_shared_after_reading() -> None:
    kinds = ["cash", "credit card", "no charge"]
    back = records.decode(records.encode([kinds[n % 3] for n in range(1000)]))
    assert len(set(map(id, back))) == 3


def test_a_large_block_is_written_in_a_buffer_of_its_own() -> None:
    block = ["x" * 100_000 + str(n) for n in range(20)]
    assert records.decode(records.encode(block)) == block
    assert records.decode(records.encode(texts(3))) == texts(3)


@pytest.mark.parametrize(
    "value", [["w", [1]], ["v"], ["v", [1], 2], ["v", 1], ["v", "text"], ["v", {}], [1, 2]]
)
def test_other_arrays_are_refused(value: Any) -> None:
    with pytest.raises(SerializationError):
        scalars.loads(msgpack.packb(value))


@pytest.mark.parametrize("count", [3, 300])
def test_damaged_blocks_are_refused(count: int) -> None:
    data = records.encode(texts(count))
    for damaged in (data[:-1], data + b"x", data[:3], data[:4], data[:-1] + b"\xff"):
        with pytest.raises(SerializationError):
            records.decode(damaged)
