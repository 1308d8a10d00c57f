from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import InputChangedError, JournalVersionError, ProgramChangedError
from aflint.journal import JobIdentity, Past
from aflint.journal.entries import (
    Entry,
    InputListed,
    JobBegan,
    JobClosed,
    SaveAborted,
    SaveCommitted,
    ShuffleClosed,
)
from tests.journal.entries import accepted, driver, made


def began(number: int, fingerprint: str | None = None, name: str = "collect") -> JobBegan:
    return JobBegan(f"nightly-{number}", name, fingerprint or f"f{number}")


def past(*entries: Entry) -> Past:
    return Past("nightly", entries)


def ids(jobs: Iterable[object]) -> list[str]:
    return [getattr(job, "id", "") for job in jobs]


def test_a_new_run_has_none() -> None:
    new = past()
    assert (new.generation, new.numbers, new.unmet) == (0, 0, ())
    assert new.meet(JobIdentity("f"), "collect", alone=True) is None
    assert not new.refused
    assert not new.saving("collect")
    new.check_versions("9", "3.99")


def test_jobs_are_met_in_order_and_once() -> None:
    run = past(driver(), began(1), began(2), began(3))
    assert (run.generation, run.numbers) == (1, 3)
    for number in (1, 2, 3):
        met = run.meet(JobIdentity(f"f{number}"), "collect", alone=True)
        assert met is not None
        assert met.id == f"nightly-{number}"
    assert run.unmet == ()
    assert run.meet(JobIdentity("f3"), "collect", alone=True) is None
    assert not run.refused


def test_jobs_that_compute_the_same_are_met_one_after_the_other() -> None:
    run = past(driver(), began(1, "same"), began(2, "same"))
    met = [run.meet(JobIdentity("same"), "collect", alone=True) for _ in range(3)]
    assert ids(met) == ["nightly-1", "nightly-2", ""]


@given(st.permutations(range(1, 6)))
def test_with_several_at_once_they_are_met_in_any_order(order: list[int]) -> None:
    run = past(driver(), *map(began, range(1, 6)))
    met = [run.meet(JobIdentity(f"f{number}"), "collect", alone=False) for number in order]
    assert ids(met) == [f"nightly-{number}" for number in order]


def test_one_that_is_new_among_several_at_once_is_no_change() -> None:
    run = past(driver(), began(1), began(2))
    assert run.meet(JobIdentity("new"), "collect", alone=False) is None
    assert ids(run.unmet) == ["nightly-1", "nightly-2"]
    assert not run.refused


def test_another_program_is_refused() -> None:
    run = past(driver(), began(1), JobClosed("nightly-1"), began(2, name="save to out"))
    run.meet(JobIdentity("f1"), "collect", alone=True)
    with pytest.raises(ProgramChangedError, match=r"nightly-2 \(save to out\).*'count'") as told:
        run.meet(JobIdentity("other"), "count", alone=True)
    assert "Nothing was changed" in str(told.value)
    assert run.refused
    assert ids(run.unmet) == ["nightly-2"]


ONE, OTHER = {"/a": "1", "/b": "1"}, {"/x": "1"}


@pytest.mark.parametrize(
    ("now", "program", "told"),
    [
        ({"/a": "1", "/b": "2"}, "same", "/b was changed or replaced since nightly-1 (collect)"),
        ({"/a": "2", "/b": "2"}, "same", "/a was changed or replaced (and 1 more) since"),
        ({"/a": "1"}, "same", "/b is gone since"),
        ({**ONE, "/c": "1"}, "same", "/c was added since"),
        ({"/a": "1", "/b": "2"}, "of another count of partitions", "/b was changed or replaced"),
        (OTHER, "another", None),
        (ONE, "same", None),  # it is other data of the driver's
    ],
)
def test_a_changed_input_is_told_from_a_changed_program(
    now: dict[str, str], program: str, told: str | None
) -> None:
    job = JobBegan("nightly-1", "collect", "f", "same", "i")
    run = past(driver(), InputListed("i", ONE), job)
    expected = InputChangedError if told else ProgramChangedError
    with pytest.raises(expected, match=re.escape(told or "its program has changed")) as error:
        run.meet(JobIdentity("g", program, "j", now), "collect", alone=True)
    assert run.refused is error.value
    assert "Nothing was changed" in str(error.value)


def test_what_ran_beside_others_may_be_planned_otherwise() -> None:
    run = past(driver(), began(1), began(2), JobClosed("nightly-1"), began(3))
    assert [job.beside for job in run.jobs.values()] == [True, True, True]
    run.meet(JobIdentity("f1"), "collect", alone=True)
    assert run.meet(JobIdentity("reads what the first cached"), "collect", alone=True) is None
    assert not run.refused


def test_what_comes_after_jobs_beside_each_other_may_be_one_of_them() -> None:
    ended = JobClosed("nightly-1"), JobClosed("nightly-2")
    run = past(driver(), began(1), began(2), *ended, began(3))
    assert [job.beside for job in run.jobs.values()] == [True, True, False]
    assert run.meet(JobIdentity("planned otherwise"), "count", alone=True) is None
    assert not run.refused
    assert run.meet(JobIdentity("f3"), "collect", alone=True)


def test_what_a_killed_driver_had_under_way_runs_beside_nothing_of_the_next() -> None:
    run = past(driver(), began(1), driver(2), began(1), JobClosed("nightly-1"), began(2))
    assert [job.beside for job in run.jobs.values()] == [False, False]


@pytest.mark.parametrize(
    ("then", "now", "refused"),
    [
        ("", "", True),
        ("TaskError", "TaskError", True),
        ("TaskError", "JobCancelledError", False),
        ("TaskError", "", False),
        ("", "JobCancelledError", False),
    ],
)
def test_a_job_that_ends_otherwise_than_it_did_may_lead_the_program_another_way(
    then: str, now: str, refused: bool
) -> None:
    run = past(driver(), began(1), JobClosed("nightly-1", then), began(2))
    job = run.meet(JobIdentity("f1"), "collect", alone=True)
    assert job
    run.ended(job, now)
    if refused:
        with pytest.raises(ProgramChangedError):
            run.meet(JobIdentity("f1"), "collect", alone=True)
    else:
        assert run.meet(JobIdentity("f1"), "collect", alone=True) is None
        assert run.meet(JobIdentity("f2"), "collect", alone=True)


def test_how_a_job_ends_says_nothing_where_a_killed_driver_had_begun_it_anew() -> None:
    ended = JobClosed("nightly-1", "TaskError"), began(2), JobClosed("nightly-2")
    run = past(driver(), began(1), *ended, driver(2), began(1))
    job = run.meet(JobIdentity("f1"), "collect", alone=True)
    assert job
    run.ended(job, "")
    with pytest.raises(ProgramChangedError):
        run.meet(JobIdentity("f1"), "collect", alone=True)


def test_a_program_that_asks_for_more_goes_on() -> None:
    run = past(driver(), began(1))
    run.meet(JobIdentity("f1"), "collect", alone=True)
    assert run.meet(JobIdentity("more"), "collect", alone=True) is None
    assert not run.refused


def test_saving_jobs_are_known_by_name_until_met() -> None:
    run = past(driver(), began(1, name="save to out"))
    assert run.saving("save to out")
    assert not run.saving("save to elsewhere")
    run.meet(JobIdentity("f1"), "save to out", alone=True)
    assert not run.saving("save to out")


def test_later_results_take_the_place_of_earlier_ones() -> None:
    first, second = accepted("nightly-1", 0, 1, b"a"), accepted("nightly-1", 0, 1, b"b", attempt=2)
    run = past(driver(), began(1), first, second, accepted("nightly-1", 0, 2, b"c"))
    results = run.jobs["nightly-1"].results
    assert sorted(results) == [(0, 1), (0, 2)]
    assert results[0, 1][-1].id.attempt == 2


def test_what_was_accepted_first_is_what_counts() -> None:
    first, second = accepted("nightly-1", 0, 1, b"a"), accepted("nightly-1", 0, 1, b"b", attempt=2)
    job = past(driver(), began(1), first, second).jobs["nightly-1"]
    assert [links[-1].id.attempt for links in job.counted.values()] == [0]


def test_what_lay_in_a_shuffle_that_was_made_anew_is_outdated_until_done_again() -> None:
    before = [accepted("nightly-1", stage, part) for stage in (0, 1) for part in (0, 1)]
    entries: list[Entry] = [driver(), began(1), made("nightly-1", 0, 7, "old"), *before]
    assert past(*entries).jobs["nightly-1"].outdated == set()
    entries += [driver(2), began(1), made("nightly-1", 0, 7, "new")]
    job = past(*entries).jobs["nightly-1"]
    assert job.outdated == {(0, 0), (0, 1)}
    assert job.handles[7].address == ("new", 2)
    job = past(*entries, accepted("nightly-1", 0, 1, attempt=1)).jobs["nightly-1"]
    assert job.outdated == {(0, 0)}
    assert len(job.results) == 4


def test_a_job_that_is_begun_again_stays_committed() -> None:
    entries: list[Entry] = [driver(), began(1), SaveCommitted("nightly-1"), JobClosed("nightly-1")]
    assert past(*entries).jobs["nightly-1"].committed
    run = past(*entries, driver(2), began(1))
    assert run.jobs["nightly-1"].committed
    assert (run.generation, len(run.jobs)) == (2, 1)


def test_a_shuffle_outlives_its_job_until_it_is_closed() -> None:
    kept, other = made("nightly-1", 0, 7, "kept"), made("nightly-1", 1, 8, "other")
    entries: list[Entry] = [driver(), began(1), kept, other, JobClosed("nightly-1")]
    job = past(*entries, ShuffleClosed(other.handle)).jobs["nightly-1"]
    assert job.handles == {7: kept.handle}


def test_a_shuffle_that_was_made_anew_is_not_closed_with_the_old_one() -> None:
    old, new = made("nightly-1", 0, 7, "old"), made("nightly-1", 0, 7, "new")
    entries: list[Entry] = [driver(), began(1), old, driver(2), began(1), new]
    job = past(*entries, ShuffleClosed(old.handle)).jobs["nightly-1"]
    assert job.handles == {7: new.handle}


def test_numbers_are_those_of_jobs_not_their_count() -> None:
    assert past(driver(), began(2), began(11), began(9)).numbers == 11


@pytest.mark.parametrize(("aflint", "python"), [("2", "3.11"), ("1", "3.12")])
def test_another_version_is_refused(aflint: str, python: str) -> None:
    run = past(driver(aflint="1", python="3.11"))
    run.check_versions("1", "3.11")
    with pytest.raises(JournalVersionError, match=r"aflint 1 on Python 3\.11.*Nothing was changed"):
        run.check_versions(aflint, python)


def test_parts_of_a_save_that_was_given_up_are_not_counted_on() -> None:
    run = past(driver(), began(1), accepted("nightly-1", 0, 0), SaveAborted("nightly-1"))
    job = run.jobs["nightly-1"]
    assert not job.results
    assert set(job.counted) == {(0, 0)}  # what it accumulated counts, and once
