from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from bench import show
from bench.report import Gap, Goal, Report, Sample, paired_ratio


def report(*samples: Sample, goals: tuple[Goal, ...] = ()) -> Report:
    return Report("taxi", "Queries", "python -m bench taxi", samples, goals, ("a note",))


def sample(case: str, peer: str, *seconds: float) -> Sample:
    return Sample(case, peer, seconds, tuple(2 * s for s in seconds))


SAMPLES = (
    sample("Q0", "aflint", 1.0, 1.0, 1.0),
    sample("Q0", "hand-written", 2.0, 2.0, 2.0),
    sample("Q1", "aflint", 1.0, 3.0, 2.0),
    sample("Q1", "hand-written", 1.0, 2.0, 2.0),
    sample("Q1", "PySpark", 4.0, 12.0, 6.0),
)


def test_a_ratio_is_taken_within_each_round() -> None:
    assert paired_ratio((1.0, 10.0, 3.0), (1.0, 10.0, 2.0)) == 1.0


def test_ratios_exist_where_both_peers_were_measured() -> None:
    of = report(*SAMPLES)
    assert of.cases == ["Q0", "Q1"]
    assert of.peers == ["aflint", "hand-written", "PySpark"]
    assert of.ratio("Q1", "PySpark", over="aflint") == 4.0
    assert of.ratio("Q0", "PySpark", over="aflint") is None


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("x", 1.15, 1.15), True),
        (Goal("x", 1.15, 1.16), False),
        (Goal("x", 3, 3.5, at_most=False), True),
        (Goal("x", 3, 2.9, at_most=False), False),
    ],
)
def test_a_goal_is_met_on_its_side_of_the_limit(goal: Goal, met: bool) -> None:
    assert goal.met is met


def test_table_and_markdown_show_every_peer_the_ratios_the_gaps_and_the_goals() -> None:
    of = report(*SAMPLES, goals=(Goal("Q1, times", 1.15, 1.3),))
    of = replace(of, gaps=(Gap("Q1", "Lithops", "no shuffle"),))
    console = Console(file=StringIO(), width=160)
    show.tell(of, console)
    assert isinstance(console.file, StringIO)
    drawn, written = console.file.getvalue(), show.markdown(of)
    assert "aflint : PySpark" in written
    assert "1 / 4.0" in written
    assert "x hand-written" in drawn
    assert "Q1, Lithops: no shuffle" in drawn
    assert "✗ Q1, times: 1.3, promised at most 1.15" in drawn
    assert "MISSED: Q1, times: 1.3, promised at most 1.15" in written
    assert "`python -m bench taxi`" in written


def test_json_carries_the_medians_and_the_machine() -> None:
    found = json.loads(json.dumps(report(*SAMPLES).to_json()))
    assert [s["median"] for s in found["samples"]] == [1.0, 2.0, 2.0, 2.0, 6.0]
    assert found["machine"]["cpus"]


def test_a_report_is_read_back_as_it_was_written() -> None:
    of = replace(
        report(*SAMPLES, goals=(Goal("Q1, times", 1.15, 1.3),)),
        samples=(Sample("Q0", "aflint", (1.0, 2.0), (0.5, 0.6), 1_000, 20),),
        gaps=(Gap("Q1", "Lithops", "no shuffle"),),
    )
    assert Report.from_json(json.loads(json.dumps(of.to_json()))) == of


def test_cpu_is_left_out_where_the_system_does_not_tell() -> None:
    blind = Sample("Q0", "aflint", (1.0,), (float("nan"),))
    assert "CPU" not in show.markdown(report(blind))
    assert "CPU" in show.markdown(report(*SAMPLES))
