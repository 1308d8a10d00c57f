from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import compare
from bench.report import Report, Sample


def results(path: Path, **seconds: float) -> Path:
    samples = tuple(
        Sample("sort", peer.replace("_", "-"), (each,) * 3, (each,) * 3)
        for peer, each in seconds.items()
    )
    report = Report("sort", "A sort", "python -m bench sort", samples)
    path.write_text(json.dumps({"sort": report.to_json()}))
    return path


def test_a_slower_machine_is_no_regression_and_a_slower_engine_is_one(tmp_path: Path) -> None:
    old = results(tmp_path / "old.json", aflint=2.0, hand_written=1.0, PySpark=6.0)
    new = results(tmp_path / "new.json", aflint=9.0, hand_written=3.0, PySpark=18.0)
    worst, level = compare.changes(compare.load(old), compare.load(new))
    assert (worst.engine, worst.peer, worst.before, worst.after) == (
        "aflint",
        "hand-written",
        2.0,
        3.0,
    )
    assert worst.regressed
    assert (level.engine, level.regressed) == ("PySpark", False)


def test_without_a_hand_written_program_another_peer_is_the_measure(tmp_path: Path) -> None:
    old = results(tmp_path / "old.json", aflint=2.0, pickle=1.0)
    new = results(tmp_path / "new.json", aflint=2.0, pickle=2.0)
    (change,) = compare.changes(compare.load(old), compare.load(new))
    assert (change.peer, change.times, change.regressed) == ("pickle", 0.5, False)


@pytest.mark.parametrize("text", ["", "[]", '{"sort": {}}', '{"sort": 1}', '{"a": [1]}'])
def test_a_file_that_holds_no_results_is_one_clear_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(compare.ResultsError, match="holds no results"):
        compare.load(path)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(compare.ResultsError, match="holds no results"):
        compare.load(tmp_path / "x.json")
