"""`aflint simulate`."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from aflint.cli.main import build_app


def test_it_counts_what_it_did() -> None:
    arguments = ["simulate", "--seeds", "12", "--jobs", "1", "--json"]
    result = CliRunner().invoke(build_app(), arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["seeds"] == 12
    assert report["failures"] == []
    assert report["faults"]["throttle"] > 0


def test_an_unknown_fault_is_an_error() -> None:
    result = CliRunner().invoke(build_app(), ["simulate", "--faults", "bad-luck"])
    assert result.exit_code == 1
    assert "no kind of fault" in result.output
