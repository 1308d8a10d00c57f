"""`aflint run`, as the processes that it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pexpect
import pytest
from typer.testing import CliRunner

from aflint.cli import main


def run(folder: Path, program: str, *words: str, **variables: str) -> subprocess.Popen[str]:
    (folder / "app.py").write_text(textwrap.dedent(program))
    return subprocess.Popen(
        [sys.executable, "-m", "aflint", "run", *words],
        cwd=folder,
        env={**os.environ, **variables},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_program_may_await_and_is_given_settings_and_arguments(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        import aflint

        def thrice(x):
            return 3 * x

        async with aflint.connect() as session:
            print(sys.argv[1:], session.config.workers, session.config.split_mb)
            print(await session.range(4).map(thrice).collect())
        raise SystemExit(7)
    """
    (tmp_path / "my.toml").write_text("split_mb = 5\nworkers = 4\n")
    words = ["--file", "my.toml", "--set", "workers=1", "app.py", "--set", "its own"]
    out, err = (process := run(tmp_path, program, *words)).communicate()
    assert out.splitlines() == ["['--set', 'its own'] 1 5", "[0, 3, 6, 9]"], err
    assert (process.returncode, err) == (7, "")


def test_an_error_shows_the_lines_of_the_program_alone(tmp_path: Path) -> None:
    program = """
        import aflint
        session = aflint.connect()
        await session.range(4).sum()
    """
    _, err = (process := run(tmp_path, program, "app.py")).communicate()
    assert process.returncode == 1
    shown = [line for line in err.splitlines() if line.startswith("  File")]
    assert shown == [f'  File "{tmp_path}/app.py", line 4, in <module>']
    assert err.splitlines()[-1].startswith("aflint.errors.SessionError: enter the session first")


def test_ctrl_c_ends_a_program_as_python_does_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
        import time
        import aflint

        async with aflint.connect(workers=1, scratch_dir="scratch") as session:
            print("ready", flush=True)
            await session.range(2).map(lambda x: time.sleep(60)).collect()
    """
    (tmp_path / "scratch").mkdir()
    process = run(tmp_path, program, "app.py")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("status", "words", "said"),
    [
        (
            2,
            ["--set", "worker=1", "app.py"],
            "option --set: there is no setting worker. Did you mean",
        ),
        (2, ["--set", "workers", "app.py"], "--set workers: write it as NAME=VALUE"),
        (2, ["--set", "workers=0", "app.py"], "option --set: workers = 0, but must be"),
        (2, ["--backend", "cloud", "app.py"], 'option --backend: backend = "cloud", but must be'),
        (1, ["--set", "transport=sqs", "app.py"], "option --set transport: "),
        (1, ["--file", "no.toml", "app.py"], "no.toml: there is no such configuration file."),
    ],
)
def test_what_is_wrong_is_told_before_a_program_starts(
    status: int, words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main.app, ["run", *words])
    assert result.exit_code == status
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("program", ["no.py", "."])
def test_a_program_that_is_not_there_is_one_line(program: str, tmp_path: Path) -> None:
    _, err = (process := run(tmp_path, "", program)).communicate()
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")


def test_submit_shows_progress_in_a_terminal_of_forty_columns(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    (tmp_path / "app.py").write_text(
        "import time\nfrom pyspark import SparkContext\n"
        "sc = SparkContext()\n"
        "print(sc.range(2).map(lambda x: time.sleep(0.7) or x).sum())\n"
    )
    out = pexpect.run(
        f"{sys.executable} -m aflint submit --conf spark.aflint.workers=1 app.py",
        cwd=str(tmp_path),
        env={**os.environ, "TERM": "xterm", "COLUMNS": "40"},
        timeout=90,
        encoding="utf-8",
    )
    drawn = [line for line in re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", out) if "0/" in line]
    assert drawn
    assert all(len(line) <= 40 and "1 running" in line for line in drawn if ":0" in line)
    assert "would cost" in out


def test_a_program_that_exits_runs_where_there_is_no_home_no_utf_8_and_no_colour(
    tmp_path: Path,
) -> None:
    program = """
        import aflint

        def shown(x):
            print("caf\u00e9 \u2713", x)
            return x

        async with aflint.connect() as session:
            print(await session.range(3, num_slices=1).map(shown).sum())
            exit(3)
    """
    settings = ["workers=1", "progress=true", "task_logs=true"]
    words = [word for each in settings for word in ("--set", each)]
    poor = {"HOME": "/dev/null", "XDG_STATE_HOME": "", "LC_ALL": "C", "PYTHONUTF8": "0"}
    poor |= {"PYTHONIOENCODING": "ascii", "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "40"}
    process = run(tmp_path, program, *words, "app.py", **poor)
    out, err = process.communicate()
    assert (out, process.returncode) == ("3\n", 3), err
    assert (out + err).isascii()
    assert "\x1b" not in out + err
    assert "Traceback" not in err
    assert err.count("caf\\xe9 \\u2713") == 3
    assert "this run leaves no history" in err or "is not written any further" in err
