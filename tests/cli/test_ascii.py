from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from aflint.cli import main
from aflint.cli.ascii import write_in_any_encoding


def commands() -> list[str]:
    """Return all but `submit`, which hands its options to another program."""
    found = typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
    return sorted(set(found) - {"submit"})


@pytest.fixture
def ascii_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A command line whose output takes ASCII only, and raises at any other character."""
    monkeypatch.chdir(tmp_path)
    return CliRunner(charset="ascii")


@pytest.mark.parametrize("command", [None, *commands()])
def test_every_help_is_written_to_an_ascii_terminal(
    command: str | None, ascii_cli: CliRunner
) -> None:
    result = ascii_cli.invoke(main.app, [command, "--help"] if command else ["--help"])
    assert result.exit_code == 0
    assert result.exception is None
    assert "\\u" not in result.stdout


@pytest.mark.parametrize("command", [["config"], ["config", "--json"], ["clean", "--dry-run"]])
def test_values_that_ascii_lacks_are_escaped(command: list[str], ascii_cli: CliRunner) -> None:
    Path("aflint.toml").write_text('scratch_dir = "/tmp/\u00fcber\u2713"\n', encoding="utf-8")
    result = ascii_cli.invoke(main.app, command)
    assert result.exit_code == 0, result.exception
    if command[0] == "config":
        assert "ber" in result.stdout


def test_an_error_that_ascii_lacks_is_still_a_message(ascii_cli: CliRunner) -> None:
    Path("aflint.toml").write_text('backend = "\u2713"\n', encoding="utf-8")
    result = ascii_cli.invoke(main.app, ["config"])
    assert result.exit_code == 1
    assert 'backend = "+", but must be' in result.stderr


def test_doctor_and_simulate_write_ascii(ascii_cli: CliRunner) -> None:
    for command in (["doctor"], ["simulate", "--seeds", "1", "--jobs", "1"]):
        result = ascii_cli.invoke(main.app, command)
        assert not isinstance(result.exception, UnicodeError)
        assert result.stdout.isascii()


def test_what_an_encoding_has_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, written in (("utf-8", "\u2713 \u00fc \u96ea"), ("latin-1", "+ \u00fc \\u96ea"),
                              ("ascii", "+ \\xfc \\u96ea")):  # fmt: skip
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
        write_in_any_encoding()
        print("\u2713 \u00fc \u96ea", end="", flush=True)
        assert raw.getvalue().decode(encoding) == written
