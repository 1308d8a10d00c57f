from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.codec import pairs, records
from aflint.codec.pairs import Block, Pairs
from aflint.errors import SerializationError


@dataclass(frozen=True)
class Stop:
    name: str


class Point(NamedTuple):
    x: int
    y: int


def through(block: list[Any]) -> Pairs:
    columns = Pairs.of(block)
    assert columns is not None
    found = pairs.decode(pairs.encode(columns))
    assert isinstance(found, Pairs)
    return found


@pytest.mark.parametrize("odd", [(1,), (1, 2, 3), [1, 2], Point(1, 2), "ab", None, {1: 2}])
def test_only_tuples_of_two_are_pairs(odd: Any) -> None:
    assert Pairs.of([(1, 2), odd]) is None
    assert Pairs.of([odd]) is None
    assert Pairs.of([]) is None


def test_pairs_are_a_sequence_of_tuples() -> None:
    block: list[Any] = [(n, str(n)) for n in range(10)]
    found = through(block)
    assert (len(found), list(found), found[3], list(found[2:5])) == (
        10,
        block,
        (3, "3"),
        block[2:5],
    )


@pytest.mark.parametrize("thing", [Stop("a"), np.arange(3)], ids=["object", "array"])
@pytest.mark.parametrize("count", [2, 500])
def test_what_a_key_shares_with_a_value_is_shared_again(thing: Any, count: int) -> None:
    found = through([(thing, thing)] * count)
    assert len({id(part) for pair in found for part in pair}) == 1


def test_classes_of_the_program_travel_by_value() -> None:
    Local = type("Local", (), {"__module__": "__main__"})
    found = through([("k", Local())] * 3)
    assert type(found[0][1]).__name__ == "Local"


@pytest.mark.parametrize("count", [3, 300])
def test_a_pair_that_cannot_be_pickled_is_named(count: int) -> None:
    block: list[Any] = [(n, "v") for n in range(count)]
    block[2] = (2, threading.Lock())
    with pytest.raises(SerializationError, match="record 2 of a block"):
        through(block)


@pytest.mark.parametrize("values", [list("abc") * 20, [Stop("a")] * 40, list(range(40))])
def test_damaged_columns_are_an_error_of_serialization(values: list[Any]) -> None:
    data = pairs.encode(Pairs(list(range(len(values))), values))
    for end in range(1, len(data), 7):
        with pytest.raises(SerializationError):
            pairs.decode(data[:end])
    with pytest.raises(SerializationError, match="41 keys, 40 values"):
        pairs.decode(pairs.encode(Pairs([0] * 41, [1] * 40)))


blocks = st.lists(st.tuples(st.integers(), st.text()) | st.integers(), max_size=4)


@given(st.lists(blocks, max_size=6))
def test_blocks_of_either_kind_are_joined_in_order(parts: list[list[Any]]) -> None:
    whole: Block = []
    for part in parts:
        before = Pairs.of(part) or part[:]
        whole = pairs.joined(whole, before)
        assert list(before) == part, "the second block is left as it was"
    assert list(whole) == [record for part in parts for record in part]
    assert list(pairs.decode(pairs.encode(whole))) == list(whole)


def test_other_blocks_are_written_as_records_are() -> None:
    assert pairs.encode([1, 2]) == records.encode([1, 2])
