from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from bench.soak.__main__ import main
from bench.soak.verdict import Sample, Where, complaints, trends

app = Typer()
app.command()(main)


def samples(what: str, values: list[float], where: Where = "between") -> list[Sample]:
    return [Sample(60.0 * at, where, {what: value}) for at, value in enumerate(values)]


def test_what_never_changes_is_flat() -> None:
    found = [*samples("file descriptors", [8.0] * 12), *samples("driver MB", [99.0] * 12)]
    assert list(complaints(trends(found))) == []


def test_one_file_descriptor_more_is_told() -> None:
    (told,) = complaints(trends(samples("file descriptors", [8.0] * 11 + [9.0])))
    assert "file descriptors between sessions went from 8 to 9" in told


def test_memory_that_grows_is_told_with_its_quarters() -> None:
    growing = samples("driver MB", [100.0 + at for at in range(16)])
    (trend,) = trends(growing)
    assert (trend.second_quarter, trend.last_quarter) == (105.5, 113.5)
    assert trend.slope_per_hour == pytest.approx(60.0)
    (told,) = complaints([trend])
    assert "113.5 in the last quarter, 105.5 in the second" in told


def test_memory_that_goes_up_and_down_is_flat() -> None:
    assert list(complaints(trends(samples("driver MB", [100.0, 104.0] * 8)))) == []


def test_a_queue_is_told_after_the_session_and_more_than_one_rdd_needs_while_no_job_runs() -> None:
    assert list(complaints(trends(samples("queues", [0.0, 9.0], "within")))) == []
    assert list(complaints(trends(samples("queues", [0.0, 3.0], "idle")))) == []
    (told,) = complaints(trends(samples("queues", [0.0, 4.0], "idle")))
    assert "queues: up to 4 were there with no job running" in told
    (told,) = complaints(trends(samples("queues", [0.0, 1.0], "ended")))
    assert "queues: up to 1 were there after the session" in told


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["local", "localcloud"])
def test_a_few_sessions_leave_nothing_and_answer_right(backend: str, tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    options = ["--sessions", "3", "--duty", "1", "--out", str(out)]
    done = CliRunner().invoke(app, ["--backend", backend, *options])
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text())
    assert written["wrong"] == []
    assert sum(written["jobs"].values()) >= 18
    assert {"driver MB", "file descriptors"} <= {trend["what"] for trend in written["trends"]}
    assert out.with_suffix(".md").read_text().startswith("| ")
