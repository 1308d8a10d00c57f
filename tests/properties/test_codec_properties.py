from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aflint.codec import frame, hashing, pairs, records
from aflint.codec.frame import FrameHeader
from aflint.errors import FrameError, SerializationError

KEY = b"k" * 32
surrogates_too = st.text(st.characters(codec=None, exclude_categories=()))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | surrogates_too
    | st.binary()
    | st.binary().map(bytearray)
    | st.datetimes()
    | st.decimals(allow_nan=False)
)
hashables = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(hashables, inner)
        | st.frozensets(hashables)
        | st.sets(hashables)
    ),
    max_leaves=12,
)
numbers = st.integers(0, 2**32 - 1)
shorts = st.integers(0, 2**16 - 1)
headers = st.builds(
    FrameHeader, st.text(max_size=20), numbers, numbers, shorts, shorts, numbers, numbers, numbers
)
keys = st.recursive(
    hashables | st.floats() | st.decimals(allow_nan=False) | st.fractions(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)


def shape(value: Any) -> Any:
    """Tell a value from every other, types included: comparing 1 and True would not."""
    if isinstance(value, float):
        return float, "nan" if math.isnan(value) else value.hex()
    if isinstance(value, tuple | list):
        return type(value), [shape(part) for part in value]
    if isinstance(value, dict):
        return dict, [(shape(key), shape(part)) for key, part in value.items()]
    if isinstance(value, set | frozenset):
        return type(value), sorted(map(repr, map(shape, value)))
    return type(value), value


@given(st.lists(values, max_size=5), st.sampled_from([1, 40]))
@example([{"a": 1}, {"a": True}], 40)
@example([None, [frozenset(), frozenset()]], 40)
@example([[[1], frozenset([1])]] * 5, 40)
def test_records_come_back_exactly(block: list[Any], times: int) -> None:
    block = block * times
    assert shape(records.decode(records.encode(block))) == shape(block)


@given(st.lists(st.tuples(surrogates_too, values), min_size=1, max_size=4))
def test_pairs_come_back_exactly(pairs: list[Any]) -> None:
    block = pairs * 20
    assert shape(records.decode(records.encode(block))) == shape(block)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=5), st.sampled_from([1, 40, 600]))
@example([("a", [1]), ("a", [True])], 40)
@example([(b"k", "\ud800"), ("k", "v")], 40)
def test_keys_and_values_apart_come_back_exactly(block: list[Any], times: int) -> None:
    block = block * times
    columns = pairs.Pairs.of(block)
    assert columns is not None
    assert shape(list(pairs.decode(pairs.encode(columns)))) == shape(block)


@given(st.binary(max_size=3))
def test_short_bytes_are_no_block(data: bytes) -> None:
    if data[:1] == b"F":
        return
    with pytest.raises(SerializationError):
        records.decode(data)


@given(headers, st.binary(max_size=300), st.integers(1, 50))
def test_frames_come_back(header: FrameHeader, part: bytes, times: int) -> None:
    payload = part * times
    data = frame.encode_frame(header, payload, KEY)
    assert frame.decode_frame(data, KEY, header.job) == (header, payload)


@given(st.binary(max_size=200))
@example(b"\x9d\x02" + b"\xff" * 60)
def test_arbitrary_bytes_are_rejected(data: bytes) -> None:
    with pytest.raises(FrameError):
        frame.decode_frame(data, KEY, "job")
    with pytest.raises(FrameError):
        frame.decode_frame(b"\x9d\x02" + data, KEY, "job")


@given(headers, st.binary(max_size=100), st.data())
def test_altered_frames_are_rejected(
    header: FrameHeader, payload: bytes, data: st.DataObject
) -> None:
    whole = bytearray(frame.encode_frame(header, payload, KEY))
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start, len(whole)))
    altered = whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:]
    if altered == whole:
        return
    with pytest.raises(FrameError):
        frame.decode_frame(altered, KEY, header.job)


@given(st.binary(max_size=200))
def test_decompressing_arbitrary_bytes_is_a_frame_error_or_right(data: bytes) -> None:
    assert frame.decompress(frame.compress(data)) == data
    with pytest.raises(FrameError):
        frame.decompress(data)


@given(st.lists(keys, max_size=12), st.integers(1, 50))
def test_blocks_of_keys_go_where_each_key_goes(block: list[Any], partitions: int) -> None:
    each = [hashing.portable_hash(key) % partitions for key in block]
    assert hashing.partition_indices(block, partitions) == each


@given(keys, keys)
def test_equal_keys_hash_equal(one: Any, other: Any) -> None:
    if one == other:
        assert hashing.portable_hash(one) == hashing.portable_hash(other)
    if isinstance(one, tuple):
        assert hashing.portable_hash((*one,)) == hashing.portable_hash(one)
