from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from bench.__main__ import main
from bench.registry import WORKLOADS

app = Typer()
app.command()(main)


@pytest.mark.parametrize(
    "name",
    [
        "tasks",
        "reuse",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("taxi", "fingerprint")),
    ],
)
def test_a_quick_run_prints_a_table_and_writes_its_report(name: str, tmp_path: Path) -> None:
    folders = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    peers = ["--peers", "aflint,hand-written,PySpark program on aflint"]
    done = CliRunner().invoke(app, [name, "--quick", *peers, *folders])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert report["subject"] in {sample["peer"] for sample in report["samples"]}
    assert report["goals"]
    assert (tmp_path / "out" / f"{name}.md").read_text().startswith("## ")


def test_the_list_names_every_benchmark() -> None:
    told = CliRunner().invoke(app, ["--list"])
    assert told.exit_code == 0
    assert all(name in told.output for name in WORKLOADS)


def test_an_unknown_benchmark_is_an_error_that_names_the_known() -> None:
    told = CliRunner().invoke(app, ["taxis"])
    assert told.exit_code == 2
    assert "taxis" in told.output
    assert "tasks" in told.output
