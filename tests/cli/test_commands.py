from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

import aflint
from aflint.cli import main
from aflint.cli.panels import Panel
from aflint.config import load_config, settings
from aflint.errors import JobError


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def test_version_names_what_both_ends_must_share(cli: CliRunner) -> None:
    result = cli.invoke(main.app, ["version"])
    assert result.exit_code == 0
    lines = dict(line.split() for line in result.stdout.splitlines())
    assert lines["python"] == platform.python_version()
    assert {"aflint", "cloudpickle", "msgpack"} <= set(lines)


def test_no_command_needs_what_extras_bring() -> None:
    """Not PySpark, which is slow to import and takes over programs' own, nor what SQL needs."""
    extras = ("pyspark", "py4j", "duckdb", "nanoarrow", "numpy", "pandas", "IPython", "starlette")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({extras})); "
        "sys.argv = ['aflint', '--help']; from aflint.cli import main; main.app()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "shell" in done.stdout


def test_the_version_option_names_aflint_alone(cli: CliRunner) -> None:
    result = cli.invoke(main.app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"aflint {aflint.__version__}\n")


def test_help_groups_commands_by_what_they_are_for(cli: CliRunner) -> None:
    commands = typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
    assert {command.rich_help_panel for command in commands.values()} == set(Panel) - {Panel.WHICH}
    words = cli.invoke(main.app, ["--help"]).stdout.split()
    places = [words.index(name) for name in ("submit", "config", "simulate", "deploy")]
    assert places == sorted(places)


def test_every_command_has_json_or_gives_its_output_to_another_program() -> None:
    commands = typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
    without = {
        name
        for name, command in commands.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {"run", "shell", "submit", "ui"}


def test_ctrl_c_has_its_exit_status(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aflint.cli.version.versions", interrupted)
    result = cli.invoke(main.app, ["version"])
    assert (result.exit_code, result.output) == (main.INTERRUPTED, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_turned_on(cli: CliRunner, shell: str) -> None:
    result = cli.invoke(main.app, ["--show-completion", shell])
    assert result.exit_code == 0
    assert "_AFLINT_COMPLETE" in result.stdout


def test_help_fits_forty_columns(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    for words in (["--help"], ["deploy", "--help"]):
        out = cli.invoke(main.app, words).stdout
        assert max(map(len, out.splitlines())) <= 40
        assert "\x1b[3" not in out


def test_each_option_of_a_cloud_command_is_said_once(cli: CliRunner) -> None:
    words = cli.invoke(main.app, ["deploy", "--help"]).stdout.split()
    for option in ("--file", "--region", "--profile", "--endpoint-url", "--bucket", "--read"):
        assert words.count(option) == 1


def test_version_as_json(cli: CliRunner) -> None:
    result = cli.invoke(main.app, ["version", "--json"])
    assert json.loads(result.stdout)["python"] == platform.python_version()


def test_config_shows_values_and_origins(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("aflint.toml").write_text('scratch_dir = "/x/[bold]"\n')
    monkeypatch.setenv("AFLINT_TASK_LOGS", "true")
    result = cli.invoke(main.app, ["config"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert set(settings()) <= set(lines)
    assert [part.strip() for part in lines["scratch_dir"]] == [
        '"/x/[bold]"',
        "aflint.toml, line 1",
    ]
    assert lines["task_logs"][1].strip() == "environment variable AFLINT_TASK_LOGS"
    assert [part.strip() for part in lines["deadline_s"]] == ["none", "default"]


def test_config_as_json_of_a_given_file(cli: CliRunner) -> None:
    Path("mine.toml").write_text("workers = 5\n")
    result = cli.invoke(main.app, ["config", "--file", "mine.toml", "--json"])
    shown = json.loads(result.stdout)
    assert shown["workers"] == {"value": 5, "origin": "mine.toml, line 1"}
    assert {name: entry["value"] for name, entry in shown.items()} == {
        name: getattr(load_config("mine.toml"), name) for name in settings()
    }


def test_an_error_is_a_message_and_a_status(cli: CliRunner) -> None:
    Path("aflint.toml").write_text("workers = 0\n")
    result = cli.invoke(main.app, ["config"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: aflint.toml, line 1: workers = 0, but must be")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [["status"], ["deploy"], ["doctor"], ["resume"]])
def test_an_unknown_aws_profile_is_one_line(
    command: list[str], cli: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    monkeypatch.setenv("AFLINT_BACKEND", "aws")
    result = cli.invoke(main.app, command)
    assert result.exit_code == 1
    said = [line for line in result.output.splitlines() if "nosuch" in line]
    assert len(said) == 1
    assert "have no profile 'nosuch', which the setting `profile` or AWS_PROFILE names" in said[0]
    assert "Traceback" not in result.output


def test_any_module_may_add_a_command(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = ModuleType("extra")

    def register(app: typer.Typer) -> None:
        @app.command("fail")
        def fail() -> None:
            raise JobError("stage 3 [x] is lost")

    extra.register = register  # type: ignore[attr-defined]
    modules = [*main.command_modules(), extra]
    monkeypatch.setattr(main, "command_modules", lambda: iter(modules))
    result = cli.invoke(main.build_app(), ["fail"])
    assert result.exit_code == 1
    assert result.stderr == "error: stage 3 [x] is lost\n"


def test_an_unknown_command_is_a_usage_error(cli: CliRunner) -> None:
    assert cli.invoke(main.app, ["confg"]).exit_code == 2


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "aflint", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert platform.python_version() in done.stdout
