from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import JournalDamagedError, JournalVersionError
from aflint.journal.entries import Entry
from aflint.journal.segment import decode, encode
from tests.journal.entries import KEY, SESSION, SOME, entries

SMALL = encode(SESSION, "run", 3, SOME[1:2], KEY)


@given(st.lists(entries, max_size=4), st.text(max_size=20), st.integers(0, 10**9))
def test_what_is_written_is_read(some: list[Entry], session: str, number: int) -> None:
    data = encode(session, "run", number, some, KEY)
    assert decode(data, session, number, KEY, "it") == ("run", tuple(some))


def test_entries_come_back_with_their_types() -> None:
    assert decode(encode(SESSION, "run", 0, SOME, KEY), SESSION, 0, KEY, "it") == ("run", SOME)


def test_any_altered_byte_is_told() -> None:
    for place in range(len(SMALL)):
        for flip in (0x01, 0x80, 0xFF):
            data = bytearray(SMALL)
            data[place] ^= flip
            error = JournalVersionError if place == 7 else JournalDamagedError
            with pytest.raises(error, match="segment path/3"):
                decode(bytes(data), SESSION, 3, KEY, "path/3")


def test_any_cut_is_told() -> None:
    for end in range(len(SMALL)):
        with pytest.raises(JournalDamagedError, match="segment path/3 of a journal is damaged"):
            decode(SMALL[:end], SESSION, 3, KEY, "path/3")
    with pytest.raises(JournalDamagedError):
        decode(SMALL + b"\0", SESSION, 3, KEY, "path/3")


@pytest.mark.parametrize(
    ("session", "number", "key"),
    [("nightlx", 3, KEY), (SESSION, 4, KEY), (SESSION, 3, KEY[::-1]), ("", 3, KEY)],
)
def test_what_belongs_elsewhere_is_told(session: str, number: int, key: bytes) -> None:
    with pytest.raises(JournalDamagedError, match="nothing was changed"):
        decode(SMALL, session, number, key, "it")


@given(st.binary(max_size=200))
def test_other_bytes_are_told(data: bytes) -> None:
    with pytest.raises(JournalDamagedError):
        decode(data, SESSION, 0, KEY, "it")


def test_an_empty_segment_is_one() -> None:
    assert decode(encode(SESSION, "run", 0, [], KEY), SESSION, 0, KEY, "it") == ("run", ())
