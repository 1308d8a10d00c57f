"""What is sealed is opened once, by who knows the secret, and not at all when anything is amiss."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aflint.codec import sealed
from aflint.codec.sealed import FRESH_S, MOST_ADDED, Opener, seal
from aflint.codec.secret import Secret
from aflint.errors import InvalidArgumentError, PayloadRefusedError
from aflint.map_outputs import ManifestLines, MapAttempts, MapColumns, map_status
from aflint.task import (
    Blob,
    Input,
    Manifest,
    MapStatus,
    RangeSplit,
    ShuffleHandle,
    TaskDescription,
    TaskId,
)
from aflint.wire import pack

SECRET = Secret(b"s" * 32)
NOW = 1_764_000_000.0
TASK = TaskDescription(TaskId("job-1", 0, 3, 0), Blob("digest", 3, b"abc"), ())
names = st.text(max_size=40)


def opener(now: float = NOW, secret: Secret = SECRET, **settings: int) -> Opener:
    return Opener(secret, lambda: now, **settings)


def refusal(opening: Callable[[], object]) -> str:
    with pytest.raises(PayloadRefusedError) as caught:
        opening()
    return str(caught.value)


@given(job=names, purpose=names, body=st.binary(max_size=300))
def test_what_is_sealed_comes_back(job: str, purpose: str, body: bytes) -> None:
    made = seal(SECRET, purpose, job, body, NOW)
    assert len(made) - len(body) <= MOST_ADDED
    found, opened = opener().open(made, purpose)
    assert (found, bytes(opened)) == (job, body)


@given(data=st.data(), body=st.binary(min_size=1, max_size=50))
def test_any_change_is_refused(data: st.DataObject, body: bytes) -> None:
    made = bytearray(seal(SECRET, "task", "job-1", body, NOW))
    at = data.draw(st.integers(0, len(made) - 1))
    made[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PayloadRefusedError):
        opener().open(bytes(made), "task")


@given(data=st.data())
def test_any_truncation_or_addition_is_refused(data: st.DataObject) -> None:
    made = seal(SECRET, "task", "job-1", b"body", NOW)
    cut = data.draw(st.integers(0, len(made) - 1))
    with pytest.raises(PayloadRefusedError):
        opener().open(made[:cut], "task")
    with pytest.raises(PayloadRefusedError):
        opener().open(made + data.draw(st.binary(min_size=1, max_size=9)), "task")


@given(job=names, other=names)
def test_a_payload_of_one_job_is_none_of_another(job: str, other: str) -> None:
    made = seal(SECRET, "task", job, b"body", NOW)
    start = made.index(job.encode() + b"body") if job else len(made) - 4
    forged = bytearray(made[:start] + other.encode() + b"body")
    forged[58] = len(other.encode())
    if job == other:
        assert opener().open(bytes(forged), "task")[0] == job
    else:
        assert "altered" in refusal(lambda: opener().open(bytes(forged), "task"))


def test_each_refusal_says_what_is_wrong_and_what_to_do() -> None:
    made = seal(SECRET, "task", "job-1", b"body", NOW)
    assert "cut short" in refusal(lambda: opener().open(b"", "task"))
    assert "aflint deploy" in refusal(lambda: opener().open(b"\x09" + made[1:], "task"))
    assert "another purpose (task, not hold)" in refusal(lambda: opener().open(made, "hold"))
    other = opener(secret=Secret(b"t" * 32))
    assert "connect again" in refusal(lambda: other.open(made, "task"))
    late = refusal(lambda: opener(NOW + FRESH_S + 1).open(made, "task"))
    assert "+901 s" in late
    assert "clock" in late
    assert "-901 s" in refusal(lambda: opener(NOW - FRESH_S - 1).open(made, "task"))
    for edge in (NOW - FRESH_S, NOW + FRESH_S):
        assert opener(edge).open(made, "task")


def test_a_payload_is_opened_once() -> None:
    one, made = opener(), seal(SECRET, "task", "job-1", b"body", NOW)
    one.open(made, "task")
    assert "before" in refusal(lambda: one.open(made, "task"))
    one.open(seal(SECRET, "task", "job-1", b"body", NOW), "task")


def test_what_was_refused_is_not_remembered() -> None:
    one, made = opener(), seal(SECRET, "task", "job-1", b"body", NOW)
    forged = bytearray(made)
    forged[-1] ^= 1
    refusal(lambda: one.open(bytes(forged), "task"))
    refusal(lambda: one.open(made, "hold"))
    one.open(made, "task")


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 8))
def test_no_replay_gets_through_a_bounded_memory(ages: list[int], most: int) -> None:
    one = opener(most=most)
    all_made = [seal(SECRET, "task", "j", b"", NOW - age) for age in ages]
    for made in all_made:
        try:
            one.open(made, "task")
        except PayloadRefusedError:
            continue
    assert len(one._seen) == len(one._by_time) <= most
    for made in all_made:
        assert "before" in refusal(lambda made=made: one.open(made, "task"))  # type: ignore[misc]


def test_nonces_are_forgotten_when_their_payloads_are_too_old_anyway() -> None:
    time = [NOW]
    one = Opener(SECRET, lambda: time[0])
    for step in range(50):
        time[0] = NOW + step * 100
        one.open(seal(SECRET, "task", "j", b"", time[0]), "task")
    assert len(one._seen) <= 2 * FRESH_S / 100 + 1


def test_payloads_and_frames_have_tags_of_their_own() -> None:
    from aflint.codec import frame

    made = seal(SECRET, "task", "job-1", b"body", NOW)
    with pytest.raises(PayloadRefusedError):
        opener().open(frame.encode_frame(frame.FrameHeader("job-1", *range(7)), made, b"k"), "task")
    assert sealed.TAG_BYTES != frame.TAG_BYTES


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="too long"):
        seal(SECRET, "task", "j" * 256, b"")


# ---- tasks


def test_a_task_comes_back() -> None:
    assert sealed.open_task(opener(), sealed.seal_task(SECRET, TASK, NOW)) == TASK


def test_nothing_is_unpacked_before_the_tag_was_checked() -> None:
    made = bytearray(sealed.seal_task(SECRET, TASK, NOW))
    made[-1] ^= 1
    with (
        patch.object(sealed, "unpack", side_effect=AssertionError("unpacked")),
        patch.object(pickle, "loads", side_effect=AssertionError("unpickled")),
    ):
        refusal(lambda: sealed.open_task(opener(), bytes(made)))
        refusal(lambda: sealed.open_task(opener(NOW + 9999), sealed.seal_task(SECRET, TASK, NOW)))


def test_a_task_of_another_job_is_refused() -> None:
    body = bytes(opener().open(sealed.seal_task(SECRET, TASK, NOW), "task")[1])
    made = seal(SECRET, "task", "job-2", body, NOW)
    assert "no task of job job-2" in refusal(lambda: sealed.open_task(opener(), made))
    for other in (pack(7), b"", b"ab", body[:-1], body + b"\x00", b"\0\0\0\1" + pack(7) + pack(7)):
        made = seal(SECRET, "task", "job-1", other, NOW)
        assert "no task" in refusal(partial(sealed.open_task, opener(), made))


def test_tasks_of_several_stages_and_jobs_come_back_whichever_was_sealed_before() -> None:
    sealer, found = sealed.TaskSealer(SECRET), opener()
    for turn in range(3):
        for number in range(20):
            task = TaskDescription(
                TaskId(f"job-{number % 2}", number, turn, 0),
                Blob(f"digest{number // 2}", 3, b"abc"),
                (Input(0, turn, RangeSplit(0, number, 1)),),
                memory_mb=number,
            )
            packed = sealer.pack(task)
            made = packed.seal(NOW)
            assert len(packed) <= len(made) <= len(packed) + MOST_ADDED
            assert sealed.open_task(found, made) == task
            # It is sealed anew for each time that it is sent.
            assert sealed.open_task(found, packed.seal(NOW)) == task
            assert "opened here before" in refusal(partial(sealed.open_task, found, made))


def test_every_field_of_a_task_travels() -> None:
    own = {"id", "inputs", "continuation", "executor"}
    assert {*sealed._COMMON} | own == {each.name for each in fields(TaskDescription)}


def test_the_attempts_that_all_reduce_tasks_read_are_packed_once_for_all_of_them() -> None:
    ones = [1] * 9
    columns = [
        MapColumns(
            [map_status((m, 0, 0), ones, [m + 9] * 9, f"s3://b/{m:030}") for m in range(500)]
        )
        for _ in range(2)
    ]
    handle, sealer = ShuffleHandle("job-1", 0, 9), sealed.TaskSealer(SECRET)
    packings = 0

    def counted(statuses: Sequence[MapStatus]) -> MapAttempts:
        nonlocal packings
        packings += 1
        return real(statuses)

    real = MapAttempts.of
    with patch.object(MapAttempts, "of", counted):
        for partition in range(9):
            inputs = tuple(
                Input(leaf, partition, Manifest(handle, partition, ManifestLines(each, partition)))
                for leaf, each in enumerate(columns)
            )
            task = TaskDescription(TaskId("job-1", 1, partition, 0), Blob("p", 1, b"p"), inputs)
            packed = sealer.pack(task)
            assert len(packed._own) < 2_500  # two sizes of two bytes each, for 500 maps
            opened = sealed.open_task(opener(), packed.seal(NOW))
            assert opened.inputs == inputs
            assert [len(item.split.outputs) for item in opened.inputs] == [500, 500]
    assert packings == 2
    assert len(sealer._latest) == 1


def test_addresses_and_waits_come_back_and_are_not_each_other() -> None:
    address = sealed.seal_address(SECRET, "job-1", "s3://bucket/ä", None, NOW)
    hold = sealed.seal_hold(SECRET, 0.5, NOW)
    refusal(lambda: sealed.open_hold(opener(), address))
    refusal(lambda: sealed.open_address(opener(), hold))
    refusal(lambda: sealed.open_task(opener(), hold))
    assert sealed.open_address(opener(), address) == ("s3://bucket/ä", None)
    assert sealed.open_hold(opener(), hold) == 0.5


def test_what_is_to_be_dropped_is_told_from_tasks_and_opened_once() -> None:
    found = opener()
    files = ["a/1-0-x", "b/2-1-y"]
    made = sealed.seal_drop(SECRET, files, NOW)
    assert sealed.asks_to_drop(made)
    assert sealed.open_drop(found, made) == files
    assert "opened here before" in refusal(partial(sealed.open_drop, found, made))
    task = sealed.seal_task(SECRET, TASK, NOW)
    assert not sealed.asks_to_drop(task)
    assert "another purpose" in refusal(partial(sealed.open_drop, found, task))
