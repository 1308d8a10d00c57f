from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aflint.cost.forecast import (
    Setup,
    StageSample,
    StageWork,
    extrapolate,
    forecast,
    makespan,
    shuffle_requests,
)
from aflint.cost.load import StageLoad
from aflint.cost.prediction import PredictedJob, Prediction, athena_usd, emr_usd
from aflint.cost.prices import US_EAST_1
from aflint.cost.requests import checked, of_reading, of_writing
from aflint.limits import SQS_OLD_MESSAGE_BYTES

SETUP = Setup(1769, "hybrid", slots=10, warm=10, cold_s=0.5, latency_s=0.0, write_s=0.0, read_s=0.0)
MAPS = StageWork(0, "map", 100, work_s=100.0, write_bytes=1e6, write_records=1e5, partitions=10)
REDUCES = StageWork(1, "reduce", 10, parents=(0,), work_s=10.0, read_bytes=1e6)


def test_tasks_of_one_length_run_in_whole_waves() -> None:
    assert makespan(2.0, StageWork(0, "s", 11), 10) == 4.0
    assert makespan(2.0, StageWork(0, "s", 10), 10) == 2.0
    assert makespan(2.0, StageWork(0, "s", 0), 10) == 0.0
    assert makespan(2.0, StageWork(0, "s", 4, longest=3.0), 10) == 6.0  # the longest alone


def test_a_stage_begins_when_those_it_reads_have_ended() -> None:
    found = forecast([MAPS, REDUCES], SETUP)
    maps, reduces = found.stages
    assert reduces.begins == maps.ends
    assert found.seconds == reduces.ends
    assert maps.usage.gb_seconds == pytest.approx(100 * 1769 / 1024)
    assert (maps.usage.lambda_requests, reduces.usage.lambda_requests) == (100, 10)


def test_only_environments_that_are_not_there_start_cold() -> None:
    assert forecast([MAPS], replace(SETUP, warm=4)).cold == 6
    assert forecast([REDUCES], replace(SETUP, slots=1000, warm=0)).cold == 10
    warm, cold = forecast([MAPS], SETUP), forecast([MAPS], replace(SETUP, warm=0))
    assert cold.usage.gb_seconds - warm.usage.gb_seconds == pytest.approx(10 * 0.5 * 1769 / 1024)
    assert cold.seconds == warm.seconds + 0.5


def test_computing_costs_the_same_on_less_memory_and_waiting_costs_less() -> None:
    computing, waiting = replace(MAPS, cpu_share=1.0), replace(MAPS, cpu_share=0.0)
    half = replace(SETUP, memory_mb=885)
    whole = forecast([computing], SETUP)
    assert forecast([computing], half).usage.gb_seconds == pytest.approx(
        whole.usage.gb_seconds, rel=0.01
    )
    assert forecast([computing], half).seconds == pytest.approx(2 * whole.seconds, rel=0.01)
    assert forecast([waiting], half).usage.gb_seconds == pytest.approx(
        whole.usage.gb_seconds / 2, rel=0.01
    )
    assert forecast([computing], replace(SETUP, memory_mb=3538)).seconds == whole.seconds


def test_each_transport_is_asked_by_its_own_rules() -> None:
    small = ("sqs", "hybrid", "s3")
    queues, mixed, objects = (shuffle_requests(t, 10, 20, 1e5, 1e6) for t in small)
    assert queues.map_sqs == pytest.approx(200, rel=0.01)  # a message for each of the blocks
    assert mixed.map_sqs == queues.map_sqs
    assert (objects.map_puts, objects.map_sqs) == (10, 0)
    assert objects.reduce_gets == pytest.approx(200, rel=0.01)
    large = shuffle_requests("hybrid", 10, 20, 1e9, 1e6)
    # Of 100 MB each map task, an upload in six parts, which is begun and completed, too.
    assert (large.map_puts, large.map_gets, large.map_sqs) == (80, 10, 0)
    assert large.driver_sqs == 41  # its queues are there all the same


def test_few_records_fill_few_blocks() -> None:
    assert shuffle_requests("sqs", 10, 1000, 1e4, 30).map_sqs == pytest.approx(30, rel=0.01)
    # Queues are made and removed, whatever comes.
    assert shuffle_requests("sqs", 10, 1000, 0, 0).usage.sqs_requests == 2001


def sample(id: int, **figures: Any) -> StageSample:
    found = StageSample(id, f"s{id}", tasks=100, ran=1, sampled_partitions=1, cpu_seconds=1.0)
    return replace(found, **figures)


def test_work_grows_with_the_bytes_that_were_listed() -> None:
    found = extrapolate([sample(0, share=50.0, seconds=2.0, fixed_s=0.5, input_bytes=10)], SETUP)
    assert found[0].work_s == 25.0  # of computing
    assert found[0].overhead_s == 1.5  # with the waiting of each task
    assert found[0].input_bytes == 500


def test_a_reduce_stage_grows_with_what_its_maps_write() -> None:
    maps = sample(0, share=50.0, seconds=1.0, write_bytes=10, write_records=8, records=8)
    reduces = sample(1, parents=(0,), seconds=1.0, read_bytes=10, write_bytes=10, write_records=9)
    _, found = extrapolate([maps, reduces], SETUP)
    assert (found.work_s, found.read_bytes, found.write_bytes) == (50.0, 500, 500)


def test_what_is_combined_to_few_keys_does_not_grow_beyond_them() -> None:
    maps = replace(
        sample(0, share=50.0, write_bytes=10, write_records=8, records=1000), combines=True
    )
    reduces = sample(1, parents=(0,), seconds=1.0, read_bytes=10, write_bytes=10)
    assert extrapolate([maps, reduces], SETUP)[1].write_bytes == 10
    assert extrapolate([maps, reduces], SETUP, few_keys=False)[1].write_bytes == 500


def test_a_skipped_stage_costs_nothing_and_is_read_all_the_same() -> None:
    maps = replace(
        sample(0, share=50.0, seconds=1.0, write_bytes=10, write_records=8), skipped=True
    )
    reduces = sample(1, parents=(0,), seconds=1.0, read_bytes=10)
    first, second = extrapolate([maps, reduces], SETUP)
    assert (first.tasks, first.work_s) == (0, 0.0)
    assert second.read_bytes == 500


def test_the_likely_lies_within_the_range() -> None:
    job = PredictedJob("j", (sample(0, share=50.0, seconds=1.0, input_bytes=1000),), SETUP)
    found = Prediction((job, job))
    for span in (found.dollars, found.seconds):
        assert 0 < span.low < span.likely < span.high
    assert found.dollars.likely == pytest.approx(2 * job.dollars.likely)
    assert found.as_dict()["jobs"][0]["stages"][0]["tasks"] == 100
    assert "100 tasks" in str(found)


def test_others_bill_by_their_own_least() -> None:
    assert athena_usd(0) == pytest.approx(5 * 10e6 / 1e12)
    assert athena_usd(1e12) == 5.0
    assert emr_usd(0.0) == emr_usd(1.0)  # a minute
    assert emr_usd(0.0) == pytest.approx(4 / 60 * (4 * 0.052624 + 16 * 0.0057785))


def test_what_tasks_write_grows_with_their_input_as_half_the_sample_shows() -> None:
    sizes = ((2, 1.0), (4, 0.25))
    whole = sample(0, sizes=sizes, combines=True, write_bytes=100, write_records=8, records=9000)
    # As many out of half as much: one for each key. Half as many: it is no matter of keys.
    for half, written in ((8, 600), (4, 300), (2, 300), (20, 600)):
        (work,) = extrapolate([replace(whole, half_records=half)], SETUP)
        assert work.write_bytes == pytest.approx(written), half
        assert sum(count * share for count, share in work.parts) == pytest.approx(1.0)
    (half_way,) = extrapolate([replace(whole, half_records=8 / 2**0.5)], SETUP)
    assert half_way.write_bytes == pytest.approx(400)
    # What is not combined grows with the input.
    (work,) = extrapolate([replace(whole, combines=False)], SETUP)
    assert work.write_bytes == pytest.approx(300)


def test_large_and_small_tasks_of_a_stage_choose_their_transport_each() -> None:
    parts = ((2, 0.45), (10, 0.01))
    mixed = shuffle_requests("hybrid", 12, 10, 1e7, 1e6, parts=parts)
    large = shuffle_requests("hybrid", 2, 10, 9e6, 9e5)
    small = shuffle_requests("hybrid", 10, 10, 1e6, 1e5)
    assert (large.map_puts, large.map_sqs) == (2, 0)
    assert small.map_puts == 0
    assert small.map_sqs == pytest.approx(100)
    assert mixed.map_puts == large.map_puts
    assert mixed.map_sqs == pytest.approx(small.map_sqs)
    assert mixed.reduce_gets == pytest.approx(large.reduce_gets)
    # What is sorted already goes to few partitions.
    few = shuffle_requests("hybrid", 2, 10, 9e6, 9e5, most_blocks=3)
    assert few.reduce_gets == pytest.approx(6)


def test_a_partition_that_gets_nothing_asks_for_nothing() -> None:
    found = shuffle_requests("sqs", 10, 1000, 1e4, 10)
    assert found.reduce_sqs == pytest.approx(20, rel=0.01)


def test_what_is_saved_in_s3_is_moved_into_place_and_paid_for() -> None:
    saving = sample(0, tasks=1000, ran=1, puts=1, share=1000.0, saved_bytes=6e6, seconds=1.0)
    (work,) = extrapolate([saving], SETUP)
    assert work.saved_bytes == 6e9
    moved, kept = forecast([work], SETUP), forecast([replace(work, saved_bytes=0.0)], SETUP)
    assert moved.usage.s3_put - kept.usage.s3_put == 1003
    assert moved.usage.s3_get - kept.usage.s3_get == 1001
    assert moved.seconds - kept.seconds == pytest.approx(1000 / 256 * 0.2 + 0.1)


def test_requests_take_no_longer_than_the_sample_had() -> None:
    maps = sample(
        0, share=100.0, seconds=1.0, partitions=10, sampled_partitions=10,
        write_bytes=1000, write_records=1000,
    )  # fmt: skip
    slow = replace(SETUP, transport="sqs", write_s=10.0)
    (work,) = extrapolate([replace(maps, cpu_seconds=0.4)], slow)
    asked = shuffle_requests("sqs", 1, 10, 1000, 1000).writes
    assert work.calls_share * asked * slow.write_s == pytest.approx(0.6)


@pytest.mark.parametrize("transport", ["sqs", "s3", "hybrid"])
@pytest.mark.parametrize("block", [100, 30_000, 400_000, 30_000_000])
def test_a_forecast_and_the_simulator_count_the_same_requests(transport: str, block: int) -> None:
    maps, reduces = 12, 7
    written = maps * reduces * block
    asked = shuffle_requests(transport, maps, reduces, written, 1e9)
    writer = StageLoad("map", maps, 0.0, shuffled_bytes=written / maps, targets=reduces)
    reader = StageLoad("reduce", reduces, 0.0, fetched_bytes=written / reduces, parents=(0,))
    name = checked(transport)
    wrote = of_writing(writer, name, US_EAST_1, SQS_OLD_MESSAGE_BYTES)
    read = of_reading(reader, (writer,), name, US_EAST_1)
    assert asked.map_puts == pytest.approx(maps * wrote.puts)
    assert asked.map_sqs == pytest.approx(maps * wrote.sqs_billed)
    assert asked.reduce_sqs == pytest.approx(reduces * read.sqs_billed, rel=1e-4)
    assert asked.map_gets + asked.reduce_gets == pytest.approx(
        maps * wrote.gets + reduces * read.gets
    )
