"""The commands, against moto: an emulator that was not written here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aflint.cli import main
from aflint.cli.clean import duration_s
from aflint.config import Config
from aflint.deploy import up
from aflint.deploy.bundle import Bundle
from aflint.errors import InvalidArgumentError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Bundle, cache: Path) -> Path:
    """A folder whose aflint.toml says nothing, and the tests' cache for the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("aflint.deploy.bundle.default_cache", lambda: cache)
    monkeypatch.setenv("AFLINT_SCRATCH_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def on_moto(here: Path, moto: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    assert moto.endpoint_url
    monkeypatch.setenv("AFLINT_ENDPOINT_URL", moto.endpoint_url)
    monkeypatch.setenv("AFLINT_REGION", "eu-west-1")


def run(*arguments: str, status: int = 0, typed: str = "") -> Result:
    result = CliRunner().invoke(main.app, list(arguments), input=typed)
    assert result.exit_code == status, result.output + result.stderr
    assert "Traceback" not in result.output
    return result


@pytest.mark.usefixtures("on_moto")
def test_the_whole_life() -> None:
    assert (
        "would create function aflint-512"
        in run("deploy", "--dry-run", "--memory-mb", "512", "--sizes", "2").output
    )
    made = run("deploy", "--memory-mb", "512", "--sizes", "2", "--reserved-concurrency", "3").output
    assert "done create bucket aflint-123456789012-eu-west-1" in made
    assert "done create function aflint-1024 (1024 MB" in made
    again = run("deploy", "--memory-mb", "512", "--sizes", "2").output
    assert "Nothing to change" in again
    changed = run("deploy", "--memory-mb", "512", "--sizes", "2", "--timeout-s", "60").output
    assert "done update timeout of function aflint-512" in changed

    shown = json.loads(run("status", "--json").output)
    assert [each["name"] for each in shown["functions"]] == ["aflint-512", "aflint-1024"]
    assert shown["functions"][0]["reserved_concurrency"] == 3
    assert shown["functions"][0]["timeout_s"] == 60
    assert shown["bucket"] == {
        "name": "aflint-123456789012-eu-west-1",
        "made_by_aflint": True,
        "encrypted": True,
        "public_access_blocked": True,
        "expire_days": 3,
    }
    assert "aflint-512" in run("status").output

    assert run("destroy", typed="n\n", status=1).output.endswith("Aborted.\n")
    removed = run("destroy", "--yes", "--logs").output
    assert "removed function aflint-512" in removed
    assert "removed bucket aflint-123456789012-eu-west-1" in removed
    assert "Nothing to remove." in run("destroy", "--yes").output
    assert "No function aflint-* is there" in run("status").output


@pytest.mark.usefixtures("on_moto")
def test_the_doctor_fails_where_nothing_is_deployed() -> None:
    output = run("doctor", status=1).output
    lines = {line.split(":")[0].split(None, 1)[1]: line for line in output.splitlines()}
    assert lines["credentials"].startswith("ok")
    assert lines["functions"].startswith("fail")
    assert lines["functions"].endswith("Run aflint deploy.")
    assert lines["driver's permissions"].startswith("warn")  # moto cannot simulate


def test_the_doctor_without_credentials(here: Path) -> None:
    output = run("doctor", "--region", "us-east-1", status=1).output
    assert "fail credentials" in output
    assert "AWS_ACCESS_KEY_ID" in output
    findings = json.loads(run("doctor", "--json", status=1).output)
    assert [each["subject"] for each in findings if each["level"] == "fail"] == ["configuration"]


def test_policies_are_printed_without_any_access(here: Path) -> None:
    policies = json.loads(run("deploy", "--print-iam").output)
    assert set(policies) == {"deployer", "driver", "function", "trust"}
    named = run("deploy", "--print-iam", "--account", "123456789012", "--region", "eu-west-1")
    assert "arn:aws:lambda:eu-west-1:123456789012:function:aflint-*" in named.output


def test_an_image_is_written_and_its_commands_are_said(here: Path) -> None:
    output = run("deploy", "--image", "--arch", "arm64", "-o", "ctx", "-p", "six").output
    dockerfile = (here / "ctx" / "Dockerfile").read_text()
    assert dockerfile.startswith("FROM public.ecr.aws/lambda/python:3.")
    assert 'CMD ["aflint.executor.handler.handler"]' in dockerfile
    assert (here / "ctx" / "aflint" / "executor" / "handler.py").is_file()
    assert not (here / "ctx" / "aflint" / "deploy").exists()
    assert "six" in (here / "ctx" / "requirements.txt").read_text().split()
    assert "docker build --platform linux/arm64" in output
    assert "aflint deploy --image-uri" in output
    run("deploy", "--image", "-o", "ctx")
    (here / "full").mkdir()
    (here / "full" / "thesis.txt").write_text("x")
    assert "holds other files" in run("deploy", "--image", "-o", "full", status=1).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deploy", "--tmp-mb", "100"], "tmp_mb = 100, but must be from 512 to 10,240"),
        (["deploy", "--region", "us-east-1", "-p", "?"], "'?' is not a requirement"),
        (["deploy", "--region", "us-east-1", "-r", "no.txt"], "no.txt cannot be read"),
        (["deploy", "--function", "arn:aws:x:y", "--print-iam"], "plain name"),
        (["status"], "No AWS region is set"),
        (["clean", "--older-than", "soon"], "is not a duration"),
    ],
)
def test_bad_input_is_one_line(here: Path, arguments: list[str], words: str) -> None:
    result = run(*arguments, status=1)
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


def test_a_region_that_is_none_is_a_wrong_command_line(here: Path) -> None:
    assert "must be a region" in run("status", "--region", "Frankfurt", status=2).stderr


def test_clean_here(here: Path) -> None:
    dead = here / "aflint-dead"
    dead.mkdir()
    (dead / "owner.lock").touch()
    assert "would remove" in run("clean", "--dry-run").output
    assert dead.is_dir()
    assert f"removed {dead}" in run("clean").output
    assert not dead.exists()
    assert "Nothing to clean." in run("clean").output


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 90), ("1.5m", 90), ("6h", 21600), ("2D", 172800)]
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1w", "x"])
def test_no_durations(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        duration_s(text)


@pytest.mark.parametrize(
    ("url", "environment", "here_"),
    [
        ("http://127.0.0.1:4566", {}, True),
        ("http://localhost", {}, True),
        (None, {"AWS_ENDPOINT_URL": "http://[::1]:1"}, True),
        (None, {"AWS_ENDPOINT_URL_LAMBDA": "https://x", "AWS_ENDPOINT_URL": "http://[::1]"}, False),
        (None, {}, False),
    ],
)  # fmt: skip
def test_what_counts_as_this_machine(
    url: str | None, environment: dict[str, str], here_: bool
) -> None:
    assert up.is_loopback(url, environment) is here_
