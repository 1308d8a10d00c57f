from __future__ import annotations

from dataclasses import replace

import pytest

from aflint import limits
from aflint.cost.load import JobLoad, StageLoad, load_of, parse_size, scaled, two_level
from aflint.cost.rates import RATES, Rate
from aflint.cost.simulator import JOURNAL_S, Cloud, simulate
from aflint.cost.workloads import MERGE_S, WORKLOADS, workload_named
from aflint.driver import commit
from aflint.errors import InvalidArgumentError
from aflint.journal import PAUSE_S

GB = 1e9
EVEN = replace(RATES, spread=0.0, straggler_share=0.0)
"""Rates under which all tasks are alike."""
ENDLESS = Rate(1e15, 1e15, 1e15)
AT_ONCE = replace(EVEN, s3_bytes_per_s=ENDLESS, s3_put_partitions=ENDLESS)
"""With nothing to wait for in moving bytes."""


def sort(size: float, maps: int, reducers: int) -> JobLoad:
    return load_of("sort", WORKLOADS["sort"], size, maps, reducers)


def test_the_same_job_is_forecast_the_same() -> None:
    one, other = (simulate(sort(GB, 50, 20), Cloud(concurrency=20)) for _ in range(2))
    assert (one.seconds, one.cost, one.requests) == (other.seconds, other.cost, other.requests)


def test_every_byte_that_is_written_to_a_shuffle_is_read_from_it() -> None:
    for load in (sort(GB, 50, 20), two_level(sort(GB, 50, 20), MERGE_S)):
        for stage in load.stages:
            written = [load.stages[parent] for parent in stage.parents]
            sent = sum(writer.shuffled_bytes * writer.tasks for writer in written)
            assert stage.fetched_bytes * stage.tasks == pytest.approx(sent)


def test_each_of_two_levels_reads_as_many_blocks_as_square_roots_say() -> None:
    plain = simulate(sort(GB, 400, 400), Cloud(transport="s3"))
    levels = simulate(two_level(sort(GB, 400, 400), MERGE_S), Cloud(transport="s3"))
    assert plain.stages[-1].requests.gets == pytest.approx(400 * 400)
    merged, last = levels.stages[-2:]
    assert merged.requests.gets == pytest.approx(400 * 20 + 400)  # a HEAD for each object written
    assert last.requests.gets == pytest.approx(400 * 20)
    assert levels.requests < plain.requests / 3


def test_twice_the_functions_take_half_the_time_until_something_else_binds() -> None:
    load = load_of("scan", WORKLOADS["scan"], 100 * GB, 800)
    few, many = (simulate(load, Cloud(concurrency=n, rates=EVEN)) for n in (50, 100))
    assert few.seconds / many.seconds == pytest.approx(2, rel=0.05)
    assert few.cost.lambda_compute == pytest.approx(many.cost.lambda_compute, rel=0.03)


def test_more_memory_than_one_thread_uses_costs_more_and_saves_nothing() -> None:
    load = load_of("scan", WORKLOADS["scan"], 10 * GB)
    usual, large = (simulate(load, Cloud(memory_mb=mb, rates=EVEN)) for mb in (1769, 3538))
    assert large.seconds == usual.seconds
    assert large.cost.lambda_compute == pytest.approx(2 * usual.cost.lambda_compute)


def test_environments_beyond_the_burst_start_as_the_ramp_lets_them() -> None:
    stage = StageLoad("work", 3000, 60.0)
    found = simulate(JobLoad("work", (stage,)), Cloud(concurrency=3000, rates=EVEN))
    assert found.peak == 3000
    # The last one starts 20 s after the first, and works for a minute.
    assert found.seconds == pytest.approx(80.5, abs=0.5)


@pytest.mark.parametrize(
    ("load", "cloud", "limit"),
    [
        (JobLoad("w", (StageLoad("w", 100, 60.0),)), Cloud(100), "computing"),
        (load_of("w", WORKLOADS["scan"], 1000 * GB, 1000), Cloud(1000), "network"),
        (sort(100 * GB, 5000, 5000), Cloud(5000, transport="s3"), "S3's rate for the shuffle"),
        (JobLoad("w", (StageLoad("w", 20_000, 0.01),)), Cloud(1000), "driver"),
        (JobLoad("w", (StageLoad("w", 2000, 3.0),)), Cloud(2000), "ramp of environments"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_the_limit_that_binds_is_named_and_what_to_do_about_it(
    load: JobLoad, cloud: Cloud, limit: str
) -> None:
    found = simulate(load, cloud)
    assert found.limit == limit
    assert found.advice


def test_a_quota_is_asked_for_where_the_account_has_less() -> None:
    load = JobLoad("w", (StageLoad("w", 3000, 60.0),))
    assert "quota" in " ".join(simulate(load, Cloud(concurrency=3000)).advice)
    assert "quota" not in " ".join(simulate(load, Cloud(concurrency=1000)).advice)


def test_a_second_attempt_shortens_the_tail_and_is_paid_for() -> None:
    load = JobLoad("w", (StageLoad("w", 1000, 20.0),))
    alone, helped = (simulate(load, Cloud(speculation=on), "high") for on in (False, True))
    assert alone.stragglers
    assert helped.seconds < alone.seconds * 0.8


def test_slow_rates_never_make_a_job_shorter() -> None:
    load = sort(10 * GB, 100, 50)
    fast, likely, slow = (simulate(load, Cloud(), level) for level in ("low", "likely", "high"))
    assert fast.seconds < likely.seconds < slow.seconds


def test_a_hybrid_shuffle_goes_where_blocks_are_cheaper() -> None:
    small, large = (simulate(sort(size, 20, 20), Cloud()) for size in (0.01 * GB, 10 * GB))
    assert small.usage.sqs_bytes > 0
    assert large.usage.sqs_bytes == 0
    for found in (small, large):
        for other in ("sqs", "s3"):
            alone = simulate(found.load, Cloud(transport=other)).cost
            requests = found.cost.sqs + found.cost.s3_put + found.cost.s3_get
            assert requests <= (alone.sqs + alone.s3_put + alone.s3_get) * 1.05


def test_a_scaled_job_has_tasks_of_the_same_size() -> None:
    load = sort(GB, 10, 5)
    large = scaled(load, 7)
    assert [stage.tasks for stage in large.stages] == [70, 70, 35]
    assert large.stages[1].targets == 35
    assert large.input_bytes == pytest.approx(7 * load.input_bytes)
    assert large.stages[2].cpu_s == pytest.approx(load.stages[2].cpu_s)


@pytest.mark.parametrize(
    ("text", "size"), [("100TB", 1e14), ("1.5GiB", 1.5 * 2**30), ("7", 7.0), (" 2 kb ", 2000.0)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: float) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "0GB", "", "-1GB", "10XB", "GB", "1e9", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="size"):
        parse_size(text)


def test_what_there_are_no_rates_for_is_refused() -> None:
    load = sort(GB, 10, 5)
    with pytest.raises(InvalidArgumentError, match="no rates for transport 'redis'"):
        simulate(load, Cloud(transport="redis"))
    with pytest.raises(InvalidArgumentError, match="128 to 10,240 MB"):
        simulate(load, Cloud(memory_mb=64))
    with pytest.raises(InvalidArgumentError, match="more than can be simulated"):
        simulate(JobLoad("w", (StageLoad("w", 10**7, 1.0),)), Cloud())
    with pytest.raises(InvalidArgumentError, match="no workload is called 'terasort'"):
        workload_named("terasort")
    with pytest.raises(InvalidArgumentError, match="tasks must be more than 0"):
        load_of("sort", WORKLOADS["sort"], GB, -1)


def test_what_is_saved_is_moved_into_place_and_paid_for() -> None:
    stage = StageLoad("work", 1000, 1.0)
    saving = replace(stage, output_bytes=600e6)
    # By requests alone: each of 1,000 parts is looked at and copied, and so on.
    kept, saved = (
        simulate(JobLoad("work", (each,)), Cloud(rates=AT_ONCE)) for each in (stage, saving)
    )
    assert saved.usage.s3_get - kept.usage.s3_get >= 1001
    assert saved.usage.s3_put - kept.usage.s3_put >= 1000 + 1000 * 72  # 72 parts of 8 MiB each
    # Four rounds of 256 copies, each of ten seconds.
    assert saved.seconds - kept.seconds == pytest.approx(1000 / 256 * 10.1, rel=0.1)
    assert saved.limit == "moving output into place"
    assert "copy" in saved.advice[0]


def test_a_bucket_that_was_never_split_answers_fewer_reads() -> None:
    load = sort(10 * GB, 1000, 1000)
    used, new = (
        simulate(load, Cloud(transport="s3", rates=replace(EVEN, s3_get_partitions=Rate(n, n, n))))
        for n in (5, 1)
    )
    asked = used.stages[-1].requests.gets
    assert new.stages[-1].seconds - used.stages[-1].seconds == pytest.approx(
        asked / limits.S3_GET_PER_S * 4 / 5, rel=0.05
    )


def test_the_model_has_the_drivers_own_constants() -> None:
    assert RATES.moves == commit.MOVES
    assert JOURNAL_S == PAUSE_S


def test_a_journal_is_paid_for_as_long_as_a_job_runs() -> None:
    short, long = (
        simulate(JobLoad("work", (StageLoad("work", 1, seconds),)), Cloud(rates=EVEN))
        for seconds in (10.0, 110.0)
    )
    assert long.usage.s3_put - short.usage.s3_put == 400


def test_the_first_call_of_several_at_once_is_answered_no_sooner() -> None:
    def reading(blocks: int) -> float:
        load = sort(0.01 * GB, blocks, 1)
        alone = Cloud(transport="s3", rates=replace(EVEN, io_cpu_s_per_byte=0.0))
        *_, reduces = simulate(load, alone).stages
        return reduces.task_s

    one, six, twelve = map(reading, (1, 6, 12))
    assert six == pytest.approx(one)
    assert twelve - six == pytest.approx(RATES.s3_get_s.likely)


@pytest.mark.parametrize("query", ["Q0", "Q1", "Q2", "Q3", "Q4", "Q5", "Q6"])
def test_every_query_of_flints_table_is_below_flints_seconds_and_dollars(query: str) -> None:
    flint = {
        "Q0": (101, 0.20), "Q1": (190, 0.59), "Q2": (203, 0.68), "Q3": (165, 0.48),
        "Q4": (132, 0.33), "Q5": (159, 0.45), "Q6": (277, 0.56),
    }  # fmt: skip
    found = simulate(load_of(query, WORKLOADS[query], 215 * GB, concurrency=80), Cloud(80))
    seconds, dollars = flint[query]
    assert found.seconds < seconds
    assert found.cost.total < dollars
    assert found.peak <= 80


def test_no_task_of_a_hundred_terabytes_outlasts_its_function() -> None:
    load = load_of("sort", WORKLOADS["sort"], 1e14, concurrency=10_000)
    assert max(stage.cpu_s for stage in load.stages) < limits.LAMBDA_TIMEOUT_S
