from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aflint.cli import main
from aflint.config import load_config, settings


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def test_each_line_of_the_file_may_be_uncommented(cli: CliRunner) -> None:
    assert cli.invoke(main.app, ["init"]).exit_code == 0
    text = Path("aflint.toml").read_text()
    assert tomllib.loads(text) == {}
    lines = re.findall(r"^# ([a-z_0-9]+ = .*)$", text, flags=re.MULTILINE)
    assert [line.split()[0] for line in lines] == list(settings())
    for line in lines:
        Path("one.toml").write_text(f"{line}\n")
        load_config("one.toml")


def test_options_are_set_in_the_file(cli: CliRunner) -> None:
    options = ["--backend", "aws", "--region", "eu-west-1", "--set", "workers=7"]
    assert cli.invoke(main.app, ["init", *options]).exit_code == 0
    config = load_config()
    assert (config.backend, config.region, config.workers) == ("aws", "eu-west-1", 7)
    assert config.origin("workers").startswith("aflint.toml, line ")


def test_a_file_that_is_there_stays(cli: CliRunner) -> None:
    Path("aflint.toml").write_text("workers = 3\n")
    result = cli.invoke(main.app, ["init"])
    assert result.exit_code == 1
    assert result.stderr == "error: aflint.toml is there already: it stays as it is\n"
    assert Path("aflint.toml").read_text() == "workers = 3\n"


def test_a_folder_that_is_not_there_is_told(cli: CliRunner) -> None:
    result = cli.invoke(main.app, ["init", "--file", "no/where.toml"])
    assert result.exit_code == 1
    assert "no/where.toml cannot be written: No such file or directory" in result.stderr
