"""Entries of every kind, for tests of journals."""

from __future__ import annotations

from hypothesis import strategies as st

from aflint.journal.entries import (
    DriverBegan,
    Entry,
    InputListed,
    JobBegan,
    JobClosed,
    SaveCommitted,
    ShuffleClosed,
    ShuffleMade,
    TaskAccepted,
    row_of,
)
from aflint.task import Blob, ShuffleHandle, TaskId, TaskResult

KEY = bytes(range(32))
SESSION = "nightly"


def driver(process: int = 1, aflint: str = "1", python: str = "3.11") -> DriverBegan:
    return DriverBegan(aflint, python, ("python", "job.py"), "/home", {}, "host", process, 12.5)


def accepted(job: str, stage: int, partition: int, value: bytes = b"", attempt: int = 0) -> Entry:
    id = TaskId(job, stage, partition, attempt)
    return TaskAccepted((row_of(TaskResult(id, Blob("d" * 32, len(value), value))),))


def made(job: str, stage: int, shuffle: int, place: str = "place") -> ShuffleMade:
    return ShuffleMade(stage, ShuffleHandle(job, shuffle, 3, (place, 2)))


SOME: tuple[Entry, ...] = (
    driver(),
    InputListed("i" * 32, {"/in": "1:2"}),
    JobBegan("nightly-1", "collect", "f" * 32, "p" * 32, "i" * 32),
    made("nightly-1", 0, 4),
    accepted("nightly-1", 0, 0, b"one"),
    ShuffleClosed(ShuffleHandle("nightly-1", 4, 3, ("place", 2))),
    JobClosed("nightly-1"),
    SaveCommitted("nightly-1"),
)

_text = st.text(max_size=8)
_small = st.integers(0, 2**70)
_results = st.builds(
    TaskResult,
    st.builds(TaskId, _text, _small, _small, _small),
    st.none() | st.builds(Blob, _text, _small, st.none() | st.binary(max_size=20)),
    accumulators=st.none() | st.binary(max_size=9),
    logs=_text,
)
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(
        DriverBegan,
        _text,
        _text,
        st.lists(_text, max_size=3).map(tuple),
        _text,
        st.dictionaries(_text, _text, max_size=3),
        _text,
        _small,
        st.floats(allow_nan=False),
    ),
    st.builds(InputListed, _text, st.dictionaries(_text, _text, max_size=3)),
    st.builds(JobBegan, _text, _text, _text, _text, _text),
    st.builds(ShuffleMade, _small, st.builds(ShuffleHandle, _text, _small, _small, _text)),
    st.builds(TaskAccepted, st.lists(_results, min_size=1, max_size=3).map(tuple)),
    st.builds(ShuffleClosed, st.builds(ShuffleHandle, _text, _small, _small, _text)),
    st.builds(JobClosed, _text),
    st.builds(SaveCommitted, _text),
)
