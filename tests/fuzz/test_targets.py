"""The fuzz targets without atheris: real bytes, what was found before, and damaged bytes."""

from __future__ import annotations

import signal
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import FrameType

import pytest

from tests.fuzz.damage import damaged
from tests.fuzz.finds import FINDS
from tests.fuzz.targets import TARGETS

SECONDS = 5.0
"""Of processor time, for one input."""

INPUTS = 250


class HangError(Exception):
    """One input took too long."""


@contextmanager
def bounded(memory_bytes: int, seconds: float = SECONDS) -> Iterator[None]:
    """Fail on too much processor time or memory."""

    def expire(number: int, at: FrameType | None) -> None:
        raise HangError(f"an input took more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, expire)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)
    assert tracemalloc.get_traced_memory()[1] - held < memory_bytes


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("name", TARGETS)
def test_real_bytes(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)


@pytest.mark.parametrize(
    ("name", "data"), [(name, data) for name, finds in FINDS.items() for data in finds]
)
def test_what_was_found_once(name: str, data: bytes) -> None:
    with bounded(TARGETS[name].memory_bytes):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_bytes(name: str) -> None:
    target, random = TARGETS[name], Random(name)
    for number in range(INPUTS):
        data = damaged(random.choice(target.seeds), random)
        if number % 3 == 0:
            data = damaged(data, random)
        with bounded(target.memory_bytes):
            target.run(data)


def test_a_hang_is_seen() -> None:
    def spin() -> None:
        while time.process_time() < ends:
            pass

    ends = time.process_time() + 60
    with pytest.raises(HangError), bounded(1 << 20, seconds=0.1):
        spin()


def test_memory_is_seen() -> None:
    with pytest.raises(AssertionError), bounded(1 << 20):
        bytearray(2 << 20)
