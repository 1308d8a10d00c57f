"""The page of figures, written from results."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench import compare, docs
from bench.report import Gap, Goal, Report, Sample


def report(workload: str, size: str = "", *, case: str = "", peer: str = "hand-written") -> Report:
    samples = (
        Sample(case or workload, "aflint", (1.0, 2.0, 3.0), (1.5,) * 3, 7_000_000),
        Sample(case or workload, peer, (4.0,) * 3, (3.0,) * 3),
    )
    goals = (Goal(f"{workload}, a figure", 3, 2, at_most=False),)
    gaps = (Gap(case or workload, "Flink", "it was not asked"),)
    return Report(
        workload, workload, f"python -m bench {workload}", samples, goals, gaps=gaps, size=size
    )


def test_the_page_the_charts_and_the_results_are_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("matplotlib") is None:  # an extra of benchmarks
        monkeypatch.setattr(docs, "chart", lambda reports, field, title, path: path.touch())
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Benchmarks\n\nby hand\n\n{docs.BEGIN}\n\nold figures\n")
    reports = (
        report("codec", case="ints", peer="pickle 5"),
        report("sort", "9 records"),
        report("taxi", "5 trips", case="Q0"),
        report("sort", "90 records"),
    )
    results = {each.name: each.to_json() for each in reports}
    docs.write(results, tmp_path)
    text = page.read_text()
    assert text.startswith(f"# Benchmarks\n\nby hand\n\n{docs.BEGIN}\n\n## Every engine\n")
    assert "old figures" not in text
    seconds = text.partition("### Median seconds")[2].partition("###")[0].splitlines()
    assert [line for line in seconds if line.startswith("| ")][2:] == [
        "| taxi, 5 trips: Q0 | 2 ± 1 | 4 ± 0 |",
        "| sort, 9 records | 2 ± 1 | 4 ± 0 |",
        "| sort, 90 records | 2 ± 1 | 4 ± 0 |",
    ]
    assert "| Flink | taxi, sort | it was not asked |" in text
    assert "- MISSED: sort, a figure: 2, promised at least 3 (90 records)" in text
    assert text.partition("## codec")[2].splitlines()[4:7] == [
        "|  | aflint s | pickle 5 s | aflint CPU s | pickle 5 CPU s | aflint : pickle 5 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| ints | 2.000 | 4.000 | 1.50 | 3.00 | 1 / 2.0 |",
    ]
    assert "- ints, Flink: it was not asked" in text
    assert compare.load(tmp_path / "benchmarks.json") == json.loads(json.dumps(results))
    assert all((tmp_path / f"benchmarks-{field}.svg").exists() for field in docs.CHARTS)
    docs.write(results, tmp_path)
    assert page.read_text() == text
