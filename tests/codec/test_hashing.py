from __future__ import annotations

import abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import os
import subprocess
import sys
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import pytest

from aflint.codec import hashing
from aflint.errors import UnportableKeyError


@dataclasses.dataclass(frozen=True)
class Key:
    name: str
    part: int | None
    note: str = dataclasses.field(default="", compare=False)


class Pair(NamedTuple):
    a: int
    b: int | None


class Colour(enum.Enum):
    RED = 1


class ByAddress:
    pass


class Own:
    def __hash__(self) -> int:
        return 42

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own)


def test_pysparks_values() -> None:
    assert hashing.portable_hash(None) == 0
    assert hashing.portable_hash((None, 1)) & 0xFFFFFFFF == 219750521
    assert hashing.portable_hash(()) == 0x345678
    assert hashing.portable_hash("a") == hash("a")
    assert hashing.portable_hash(Own()) == 42


def test_equal_keys_of_different_types_hash_equal() -> None:
    ones: list[Any] = [1, 1.0, True, decimal.Decimal(1), fractions.Fraction(1), 1 + 0j, np.int64(1)]
    assert {hashing.portable_hash(one) for one in ones} == {1}
    assert len({hashing.portable_hash((one, None)) for one in ones}) == 1
    assert hashing.portable_hash((1, None)) == hashing.portable_hash(Pair(1, None))
    assert hashing.portable_hash(range(0)) == hashing.portable_hash(range(5, 5, 2))


def test_nan_is_stable_wherever_it_is() -> None:
    for nan in (float("nan"), math.nan, np.float64("nan"), decimal.Decimal("nan")):
        assert hashing.portable_hash(nan) == 0
        assert hashing.portable_hash((nan, 1)) == hashing.portable_hash((None, 1))
    assert list(hashing.hash_block([1.5, float("nan")])) == [hash(1.5), 0]


PROGRAM = """
import dataclasses, datetime, decimal, enum, fractions, os, typing, uuid
from aflint.codec.hashing import portable_hash
@dataclasses.dataclass(frozen=True)
class Key:
    name: str
    part: object
class Colour(enum.Enum):
    RED = 1
keys = [None, "a", b"a", 1, 1.5, float("nan"), (None, ("a", None)), frozenset({None, "a", (None,)}),
    Key("a", None), Key("b", (None, float("nan"))), Colour.RED, range(0), range(3), complex("nan"),
    decimal.Decimal("nan"), fractions.Fraction(1, 3), uuid.UUID(int=5),
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(1), (Key("a", None),),
    int, Key, Colour, ("a", uuid.UUID), len, os.path.join, str.upper, os, list[int], int | None,
    typing.List[Key], typing.Optional[Key], typing.Callable[[int], str], typing.Literal["a", 1]]
print([portable_hash(key) for key in keys])
"""


def test_hashes_are_the_same_in_every_process() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    answers = {
        subprocess.run(
            [sys.executable, "-c", filler + PROGRAM],
            env=environment,
            capture_output=True,
            check=True,
        ).stdout
        for filler in ("", "filler = [object() for _ in range(10_000)]\n")
    }
    assert len(answers) == 1


@pytest.mark.parametrize(
    "key", [[1], {}, {1}, bytearray(b"a"), ByAddress(), Own().__hash__, lambda: 0, [].append, ...]
)
def test_keys_that_have_no_stable_hash_are_refused(key: Any) -> None:
    for whole in (key, ("a", (key,))):
        with pytest.raises(UnportableKeyError, match="cannot be used as a key"):
            hashing.portable_hash(whole)
        with pytest.raises(UnportableKeyError):
            hashing.partition_indices([whole] * 20, 3)
    with pytest.raises(UnportableKeyError, match="in the key"):
        hashing.portable_hash(("a", key))


def test_the_error_says_which_key_its_type_and_what_to_do() -> None:
    with pytest.raises(UnportableKeyError, match=r"\[1, 2\] \(type list\).*tuple\(key\)"):
        hashing.portable_hash([1, 2])


def test_what_travels_by_name_is_hashed_by_name() -> None:
    keys = [
        int,
        ByAddress,
        Colour,
        abc.ABC,
        len,
        os.path.join,
        str.upper,
        math,
        list[int],
        int | str,
    ]
    hashes = list(map(hashing.portable_hash, keys))
    assert len(set(hashes)) == len(keys)
    assert hashing.portable_hash(("a", int)) == hashing.portable_hash(("a", (3).__class__))
    assert hashing.portable_hash(int | str) == hashing.portable_hash(Union[str, int])  # noqa: UP007
    assert hashing.portable_hash(Optional[int]) == hashing.portable_hash(None | int)  # noqa: UP045


def test_a_class_that_has_a_hash_of_its_own_keeps_it() -> None:
    class Meta(type):
        def __hash__(cls) -> int:
            return 7

    assert hashing.portable_hash(Meta("Made", (), {})) == 7


def test_a_frozen_dataclass_hashes_as_its_compared_fields() -> None:
    assert hashing.portable_hash(Key("a", None, "x")) == hashing.portable_hash(("a", None))
    assert hashing.portable_hash(Key("a", None, "x")) == hashing.portable_hash(Key("a", None, "y"))


BLOCKS: list[list[Any]] = [
    ["a", "b"], [1, -1, 2**70], [1.5, 2.5], [None, "a"], [b"x", True], [(1, None), (2, "b")] * 9,
    [(1,), (1, 2)] * 9, [(("a", None), 1.5)] * 9, [()] * 9, [None, 1.5, "a", (None,)], [Colour.RED],
    [datetime.date(2026, 1, 1)], [Key("a", None)], [], [Pair(1, None)] * 9,
]  # fmt: skip


@pytest.mark.parametrize("keys", BLOCKS, ids=lambda keys: f"{keys!r:.25}")
def test_a_block_is_hashed_as_its_keys_are(keys: list[Any]) -> None:
    assert list(hashing.hash_block(keys)) == [hashing.portable_hash(key) for key in keys]
    assert hashing.partition_indices(keys, 7) == [hashing.portable_hash(key) % 7 for key in keys]
