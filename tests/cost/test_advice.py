from __future__ import annotations

from dataclasses import replace

import pytest

from aflint.cost.advice import advise, best_concurrency, best_memory, best_partitions
from aflint.cost.forecast import Setup, StageWork, forecast
from aflint.driver.advising import Measured, advice_for, hint, work_of

SETUP = Setup(1769, "hybrid", slots=10, warm=0)
MB = 1 << 20
MAPS = StageWork(
    0, "map", 100, work_s=1000.0, write_bytes=1e9, write_records=1e7, partitions=100,
    peak_bytes=300 * MB,
)  # fmt: skip
REDUCES = StageWork(1, "reduce", 100, (0,), work_s=500.0, read_bytes=1e9, peak_bytes=400 * MB)


def test_what_waits_is_given_less_memory_and_what_computes_one_cpu() -> None:
    waiting = [replace(MAPS, cpu_share=0.1, partitions=0)]
    computing = [replace(MAPS, cpu_share=1.0, partitions=0)]
    assert best_memory(waiting, SETUP) < 1769
    assert best_memory(computing, replace(SETUP, memory_mb=885)) == 1769
    assert best_memory(computing, replace(SETUP, memory_mb=10240)) == 1769


def test_memory_has_room_for_what_tasks_held() -> None:
    assert best_memory([replace(MAPS, cpu_share=0.1, peak_bytes=3000 * MB)], SETUP) == 7076
    assert best_memory([replace(MAPS, peak_bytes=20_000 * MB)], SETUP) == 10240


def test_as_many_functions_are_advised_as_end_in_the_time_of_one_task() -> None:
    found = best_concurrency([MAPS], SETUP)
    assert found == 100
    assert best_concurrency([MAPS], replace(SETUP, slots=1000)) in (100, 1000)
    assert best_concurrency([], SETUP) == 10


def test_very_small_tasks_are_joined_and_very_large_ones_cut() -> None:
    tiny = [
        replace(MAPS, tasks=10, work_s=0.1, overhead_s=0.1, write_records=100, write_bytes=1e4),
        replace(REDUCES, work_s=0.01, overhead_s=0.1),
    ]
    assert best_partitions(tiny, SETUP) < 100
    large = [replace(MAPS, partitions=4), replace(REDUCES, tasks=4, work_s=5000.0)]
    assert best_partitions(large, replace(SETUP, slots=1000)) > 4
    assert best_partitions([replace(MAPS, partitions=0)], SETUP) == 0


def test_partitions_are_not_joined_beyond_the_memory() -> None:
    full = [
        replace(MAPS, work_s=0.1, overhead_s=0.5, peak_bytes=1400 * MB),
        replace(REDUCES, work_s=0.01, overhead_s=0.5),
    ]
    assert best_partitions(full, SETUP) >= 100


def test_advice_says_what_each_change_gives_by_the_same_model() -> None:
    work = [MAPS, REDUCES]
    found = advise(work, SETUP)
    assert found[0].setting == "concurrency"
    now = forecast(work, SETUP)
    then = forecast(work, replace(SETUP, slots=int(found[0].better)))
    assert found[0].saved_s == pytest.approx(now.seconds - then.seconds)
    assert found[0].matters
    assert "concurrency = 100 in place of 10" in str(found[0])
    assert advise(work, replace(SETUP, slots=int(found[0].better)))[0:1] != found[0:1]


MEASURED = [
    Measured(0, "map", 100, 100, (), 1000.0, 1.0, 950.0, 10**9, 0, 10**8, 10**6, 300 * MB),
    Measured(1, "reduce", 20, 20, (0,), 200.0, 1.0, 190.0, 0, 10**8, 0, 0, 300 * MB),
]


def test_the_work_of_a_job_comes_to_what_it_took() -> None:
    found = forecast(work_of(MEASURED, SETUP), replace(SETUP, warm=10))
    billed = sum(stage.usage.gb_seconds for stage in found.stages)
    assert billed == pytest.approx(1200 * 1769 / 1024, rel=0.01)
    half = replace(SETUP, memory_mb=885, warm=10)
    slow = [replace(each, seconds=each.seconds * 1.95) for each in MEASURED]
    found = forecast(work_of(slow, half), half)
    assert sum(s.usage.gb_seconds for s in found.stages) == pytest.approx(
        1200 * 1.95 * 885 / 1024, rel=0.03
    )


def test_a_job_that_is_small_is_given_no_line() -> None:
    assert hint(MEASURED, SETUP, seconds=1.0, dollars=0.001) == ""
    assert hint(MEASURED, SETUP, seconds=130.0, dollars=0.04).startswith("concurrency = 100")
    assert advice_for(MEASURED, SETUP)[0].setting == "concurrency"


def test_jobs_on_this_machine_are_not_told_settings_of_functions() -> None:
    here = advise([MAPS], replace(SETUP, transport="file", memory_mb=10_000))
    assert [each.setting for each in here] == ["memory_mb"]
    assert str(here[0]).endswith("; on Lambda)")
    there = advise([MAPS], replace(SETUP, memory_mb=10_000))
    assert {each.setting for each in there} >= {"memory_mb", "concurrency"}
    assert "on Lambda" not in "".join(map(str, there))
