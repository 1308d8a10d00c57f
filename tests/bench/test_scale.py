"""The model's own check: recorded sorts, the rates taken from them, and forecasts by these."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aflint.cost.bill import price
from aflint.cost.load import Workload, load_of
from aflint.cost.prices import US_EAST_1
from aflint.cost.requests import Requests, checked, of_reading, of_writing
from aflint.cost.simulator import PARALLEL_GETS, SENDS
from aflint.limits import SQS_OLD_MESSAGE_BYTES
from aflint.observe.reading import Job, Run, Stage, Task
from bench.emulator_rates import fit
from bench.recorded_sort import MEMORY_MB, WORKERS, Case, Measured, record
from bench.scale import FITTED, FORECAST, Checked, forecast, report

TRUE = Workload(20e-9, 100e-9, shuffled=0.45, written=2.2)
HANDLER_S, INVOKE_S = 0.004, 0.002
GET_S, PUT_S, SEND_S, RECEIVE_S = 0.006, 0.003, 0.008, 0.009
OPEN_S, QUEUE_S, MOVE_S, COPY_S = 0.006, 0.0015, 0.005, 2e-9


def ran(case: Case) -> Measured:
    """Return a sort that took exactly what the constants say, two tasks at a time."""
    maps, reduces = load_of("sort", TRUE, case.mb * 1e6, case.maps, case.reduces).stages
    wrote = of_writing(maps, checked(case.transport), US_EAST_1, SQS_OLD_MESSAGE_BYTES)
    read = of_reading(reduces, (maps,), checked(case.transport), US_EAST_1)
    write_s = SEND_S * max(1.0, wrote.sqs / SENDS) if wrote.sqs else GET_S + PUT_S
    fetch_s = GET_S * max(1.0, read.gets / PARALLEL_GETS) if read.gets else 0.0
    fetch_s += RECEIVE_S * max(1.0, read.sqs / SENDS) if read.sqs else 0.0
    mapping = {"read": GET_S, "write": write_s, "fetch": 0.0, "compute": maps.cpu_s}
    reducing = {"read": 0.0, "write": 0.0, "fetch": fetch_s, "compute": reduces.cpu_s + PUT_S}
    moment = OPEN_S + (0.0 if case.transport == "s3" else QUEUE_S * case.reduces)
    stages = []
    for number, (load, phases, asked) in enumerate(
        ((maps, mapping, wrote + Requests(gets=1)), (reduces, reducing, read + Requests(puts=1)))
    ):
        stage = Stage(number, "sort", load.tasks, (0,) * number, submitted=moment)
        took = HANDLER_S + sum(phases.values())
        for place in range(load.tasks):
            task = Task(place, place, moment, finished=moment + took + INVOKE_S, status="done")
            task.phases = {"queued": 0.1} | phases
            task.read, task.shuffled = round(load.input_bytes), round(load.shuffled_bytes)
            task.fetched, task.written = round(load.fetched_bytes), round(load.output_bytes)
            task.sqs, task.puts, task.gets = map(round, (asked.sqs_billed, asked.puts, asked.gets))
            task.dollars = took * MEMORY_MB / 1024 * US_EAST_1.lambda_gb_second_x86
            task.dollars += US_EAST_1.lambda_request + task.sqs * US_EAST_1.sqs_request
            task.dollars += task.puts * US_EAST_1.s3_put + task.gets * US_EAST_1.s3_get
            stage.tasks[place] = task
        moment += (took + INVOKE_S) * load.tasks / WORKERS
        stage.completed = moment
        stages.append(stage)
    written = reduces.output_bytes * reduces.tasks
    moment += MOVE_S * (reduces.tasks + 1) + COPY_S * written
    return Measured(
        case, Run(backend="localcloud"), Job("a-1", "sort", stages, 0.0, completed=moment)
    )


def test_rates_that_are_taken_from_sorts_are_those_they_ran_under() -> None:
    workload, rates = fit([ran(case) for case in FITTED])
    found = [
        workload.map_s, workload.reduce_s, workload.shuffled, workload.written,
        rates.handler_s.likely, rates.invoke_s.likely, rates.s3_get_s.likely,
        rates.s3_put_s.likely, rates.sqs_send_s.likely, rates.sqs_receive_s.likely,
        rates.queue_s.likely, rates.move_s.likely, 1 / rates.copy_bytes_per_s.likely,
    ]  # fmt: skip
    assert found == pytest.approx([
        TRUE.map_s, TRUE.reduce_s, TRUE.shuffled, TRUE.written, HANDLER_S, INVOKE_S, GET_S, PUT_S,
        SEND_S, RECEIVE_S, QUEUE_S, MOVE_S, COPY_S,
    ], rel=0.01)  # fmt: skip
    assert rates.spread == pytest.approx(0.0, abs=1e-6)


def test_sorts_that_were_not_recorded_are_forecast_to_take_what_they_take() -> None:
    fitted = fit([ran(case) for case in FITTED])
    for case in FORECAST:
        # What opening takes is in no rate.
        assert forecast(case, *fitted).seconds == pytest.approx(
            ran(case).seconds - OPEN_S, rel=0.02
        )


def test_a_report_has_a_row_in_markdown_for_each_sort() -> None:
    fitted = fit([ran(case) for case in FITTED])
    checked = []
    for case in FORECAST[:2]:
        each = ran(case)
        each.job.billed = forecast(case, *fitted).cost.total
        checked.append(Checked([each], forecast(case, *fitted)))
    told = report(checked)
    assert [note for note in told.notes if note.startswith(f"| {FORECAST[0]} | ")]
    assert {goal.what for goal in told.goals if goal.met} >= {"dollars: of 2, within 20%"}


def test_a_sort_on_localcloud_asks_what_the_model_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    case = Case(0.2, 2, 3, "hybrid")
    measured = asyncio.run(record(case, tmp_path))
    workload, rates = fit([ran(case) for case in FITTED])
    found = forecast(case, workload, rates)
    asked = [stage.requests for stage in found.stages]
    assert [sum(task.gets for task in measured.tasks), sum(t.puts for t in measured.tasks)] == [
        sum(each.gets for each in asked), sum(each.puts for each in asked),
    ]  # fmt: skip
    # The driver's own: all but the journal, whose entries depend on the time, and the removal of
    # queues, which the session does when it ends.
    own = measured.job.dollars - sum(stage.dollars for stage in measured.job.stages)
    of_driver = found.usage._replace(
        gb_seconds=0.0, lambda_requests=0,
        s3_get=found.usage.s3_get - round(sum(each.gets for each in asked)),
        s3_put=found.usage.s3_put - round(sum(each.puts for each in asked)),
        sqs_requests=case.reduces + 1,
    )  # fmt: skip
    # In half GETs, as the log rounds dollars: a PUT is 25 of them, and a GET 2.
    journal = (own - price(of_driver).total) / (US_EAST_1.s3_get / 2)
    assert journal == pytest.approx(round(journal), abs=0.1)
    entries, looks = divmod(round(journal), 25)
    assert 0 <= looks / 2 <= entries + 1
