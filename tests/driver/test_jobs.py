from __future__ import annotations

from typing import Any

import pytest

from aflint.driver.jobs import JobRunner
from aflint.journal import Journal, Unjournaled
from aflint.journal.entries import Entry
from aflint.task import Blob

NOTHING: Any = None
BLOB = Blob("d" * 32, 3, b"abc")


class Kept(Journal):
    def record(self, entry: Entry) -> None:
        raise AssertionError("nothing is recorded here")


class Refuses:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ZeroDivisionError


def endless() -> Any:
    value: list[Any] = []
    for _ in range(50_000):
        value = [value]
    return value


def fingerprint(program: Any, journal: Journal) -> str:
    runner = JobRunner("run", NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, journal)
    return runner.fingerprint(program, BLOB)


@pytest.mark.parametrize("program", [Refuses(), [1, {"x": Refuses()}], endless()])
def test_what_cannot_be_taken_apart_counts_by_its_pickle(program: Any) -> None:
    assert fingerprint(program, Kept()) == BLOB.digest


def test_what_can_does_not() -> None:
    assert fingerprint([1], Kept()) == fingerprint([1], Kept()) != BLOB.digest


def test_a_run_that_is_not_to_be_resumed_takes_nothing_apart() -> None:
    assert fingerprint(Refuses(), Unjournaled()) == ""
