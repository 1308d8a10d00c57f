from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import subprocess
import sys
import threading
import uuid
from typing import Any, NamedTuple

import numpy as np
import pytest

from aflint.codec import records
from aflint.errors import SerializationError


@dataclasses.dataclass(frozen=True)
class Trip:
    name: str
    fare: float | None


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


class Name(str):
    __slots__ = ()


class Count(int):
    pass


class Bag(dict[str, int]):
    pass


def through(block: list[Any]) -> list[Any]:
    return records.decode(records.encode(block))


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and (one == other).all())
    return bool(one == other)


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, -(2**63), 2**64, 10**400, 0.0, -0.0, 1.0, math.nan,
    math.inf, "", "text", "\0", "a\0b", "é\U0001f600", "\ud800", "__main__", b"", b"\xc4\x00",
    bytearray(b"x"),
    (), (1,), (1, "a", None), [], [1, (2, [3])], {}, {"a": 1}, {1: 2, "k": (3,)},
    {(1, 2): [3]}, {"b": 1, "a": 2}, {None: 1}, {1.5: 1}, {b"k": {"n": {}}},
    set(), {1, 2}, frozenset({1, 2.5}), 1 + 2j, range(3), slice(1, 2),
    datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    datetime.timedelta(seconds=1), decimal.Decimal("1.10"), fractions.Fraction(1, 3),
    uuid.UUID(int=7),
    np.int64(1), np.float64(1.5), np.float32(0.1), np.bool_(True), np.str_("s"), np.arange(3),
    Trip("a", None), Point(1, 2), Colour.RED, Name("n"), Count(3), Bag(a=1),
    collections.OrderedDict(a=1), collections.Counter("aab"), collections.deque([1]), len, Trip,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{value!r:.20}")
@pytest.mark.parametrize("count", [1, 3, 63, 64, 2049])
def test_types_come_back_exactly(value: Any, count: int) -> None:
    for record in (value, ("key", value), [value, 1], {"a": 1, "b": value}, (1, ([value],))):
        block = [record] * count
        assert same(through(block), block)


@pytest.mark.parametrize("place", [0, 1, 2047, 2048, 4999])
@pytest.mark.parametrize("odd", [True, 1.0, Count(3), np.int64(1), None, [1], bytearray(b"1"), "1"])
def test_one_odd_value_among_many_keeps_its_type(place: int, odd: Any) -> None:
    block: list[Any] = [("k", n) for n in range(5000)]
    block[place] = ("k", odd)
    assert same(through(block), block)


@pytest.mark.parametrize("odd", [("k",), ("k", 1, 2), ["k", 1], Point(1, 2), {"k": 1}, None, "k"])
def test_one_odd_record_among_many_keeps_its_shape(odd: Any) -> None:
    block: list[Any] = [(f"k{n}", n) for n in range(500)]
    block[333] = odd
    assert same(through(block), block)


def test_keys_of_dicts_keep_type_and_order() -> None:
    block: list[Any] = [{"a": 1, "b": 2.0} for _ in range(200)]
    block[77] = {"b": 2.0, "a": 1}
    block[78] = {Name("a"): 1, "b": 2.0}
    block[79] = {1: 1, "b": 2.0}
    block[80] = {True: 1, "b": 2.0}
    back = through(block)
    assert same(back, block)
    assert [type(key) for key in back[78]] == [Name, str]


def test_empty_block() -> None:
    assert through([]) == []


def test_plain_blocks_are_written_without_ordinary_pickle() -> None:
    assert records.encode([("a", n) for n in range(100)])[:1] == b"F"
    assert records.encode([("a", Trip("x", 1.0)) for n in range(100)])[:1] == b"\x80"


def test_objects_keep_their_identity_within_a_block() -> None:
    shared = Trip("a", 1.0)
    first, second = through([(shared, shared)] * 100)[:2]
    assert first[0] is first[1] is second[0]


def test_a_container_shared_by_all_records_is_written_once() -> None:
    table = list(range(1000))
    block = [(n, table) for n in range(1000)]
    encoded = records.encode(block)
    assert len(encoded) < 50_000
    assert records.decode(encoded) == block


def test_a_container_that_holds_itself() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    block: list[Any] = [[n] for n in range(200)]
    block[9] = loop
    back = through(block)[9]
    assert back[1] is back


def test_repeated_strings_cost_little() -> None:
    block = [{"a rather long name of a column": n} for n in range(1000)]
    assert len(records.encode(block)) < 12_000


def test_local_classes_and_functions_travel_by_value() -> None:
    @dataclasses.dataclass
    class Local:
        n: int

    back = through([Local(1), lambda: 7])
    assert back[0] == Local(1)
    assert back[1]() == 7


def test_a_class_of_the_program_itself_travels_by_value() -> None:
    program = (
        "import sys; from aflint.codec import records\n"
        "class Mine:\n"
        "    def __init__(self, n): self.n = n\n"
        "sys.stdout.buffer.write(records.encode([Mine(5), Mine(6)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert [record.n for record in records.decode(done.stdout)] == [5, 6]


def test_a_record_that_cannot_be_pickled_is_named_with_the_path_into_it() -> None:
    lock = threading.Lock()
    with pytest.raises(SerializationError, match=r"record 2 .*\['a'\], \[1\].*_thread\.lock"):
        records.encode([1, 2, {"a": (1, lock)}])


def test_a_class_that_is_missing_here_is_a_clear_error() -> None:
    data = records.encode([Trip("a", 1.0)]).replace(b"Trip", b"Tr1p")
    with pytest.raises(SerializationError, match="Tr1p"):
        records.decode(data)


@pytest.mark.parametrize("data", [b"", b"X123", b"F", b"\x80", b"\x80\x05", b"Fabc"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SerializationError):
        records.decode(data)


def test_decoding_takes_a_memoryview() -> None:
    block = [("a", n) for n in range(100)]
    assert records.decode(memoryview(records.encode(block))) == block


ARRAYS: list[list[Any]] = [
    [(np.arange(3) + n).astype(kind) for n in range(40)]
    for kind in ("i1", "u8", ">i4", "f2", "f8", "g", "c16", "M8[s]", "O")
] + [
    [np.full((2, 3), n, order="F") for n in range(40)],
    [np.full((2, 3), n) for n in range(40)],
    [np.array(n) for n in range(40)],
    [np.zeros((0, 3)) for _ in range(40)],
    [np.arange(8.0)[::2] + n for n in range(40)],
    [np.arange(n, n + 12.0)[::2] for n in range(40)],
    [np.arange(n) for n in range(40)],
    [np.arange(4.0)] * 40,
    [np.ma.masked_array([n, 1], [True, False]) for n in range(40)],
    [*(np.arange(4.0) for _ in range(39)), [0.0]],
    [*(np.arange(4.0) for _ in range(39)), np.arange(4)],
    [np.zeros(3, np.dtype([("a", "i4"), ("b", "f8")])) for _ in range(40)],
    [np.zeros(2000) for _ in range(40)],
    [np.array([True, False]) for _ in range(40)],
]


@pytest.mark.parametrize("arrays", ARRAYS, ids=lambda arrays: f"{type(arrays[0]).__name__}")
def test_arrays_come_back_as_they_were(arrays: list[Any]) -> None:
    found = records.decode(records.encode(arrays))
    assert list(map(type, found)) == list(map(type, arrays))
    for there, array in zip(found, arrays, strict=True):
        if isinstance(array, np.ndarray):
            assert there.dtype == array.dtype
            assert there.shape == array.shape
            assert there.flags.f_contiguous == array.flags.f_contiguous or array.ndim < 2
            assert there.flags.writeable
            assert there.tolist() == array.tolist()
    shared = len(set(map(id, arrays))) < len(arrays)
    assert (len(set(map(id, found))) < len(found)) == shared


def test_small_arrays_of_one_shape_are_written_as_their_numbers() -> None:
    arrays = [np.arange(8.0) + n for n in range(100)]
    data = records.encode(arrays)
    assert len(data) < 100 * 64 + 100
    found = records.decode(memoryview(data))
    found[0] += 1
    assert found[0][0] == 1
    assert found[1].tolist() == arrays[1].tolist()
    assert found[1].base is None, "one that is kept does not keep the block"
    frozen = [np.arange(8.0) for _ in range(100)]
    for array in frozen:
        array.flags.writeable = False
    assert not records.decode(records.encode(frozen))[0].flags.writeable
    with pytest.raises(SerializationError, match="damaged"):
        records.decode(data[:-3])
