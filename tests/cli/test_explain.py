"""`aflint explain` and `aflint advise`, as the processes that they start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aflint.cli import main


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.txt"
    file.write_text("".join(f"word{line % 97} {line}\n" for line in range(20_000)))
    return file


def explain(folder: Path, program: str, *words: str, options: tuple[str, ...] = ()) -> Result:
    (folder / "app.py").write_text(textwrap.dedent(program))
    options = ("--set", "workers=1", *options)
    return CliRunner().invoke(main.app, ["explain", *options, str(folder / "app.py"), *words])


NATIVE = """
    import sys
    from operator import add
    import aflint

    async with aflint.connect(history_mb=256) as session:
        lines = session.text_file(sys.argv[1], 4)
        counts = lines.map(lambda line: (line.split()[0], 1)).reduce_by_key(add, 3)
        print(await counts.count())
        await counts.save_as_text_file(sys.argv[2])
        if len(sys.argv) > 3:
            await lines.map(int).count()
"""


def test_a_program_is_predicted_and_leaves_nothing(
    tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # without other tests' jobs
    target = tmp_path / "out"
    found = explain(tmp_path, NATIVE, str(words), str(target), options=("--json",))
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    first, second = told["jobs"]
    assert [stage["tasks"] for stage in first["stages"]] == [4, 3]
    assert first["stages"][0]["input_bytes"] == words.stat().st_size
    assert [stage["tasks"] for stage in second["stages"]] == [0, 3]  # its shuffle will be there
    assert told["dollars"]["low"] < told["dollars"]["likely"] < told["dollars"]["high"]
    assert told["athena_dollars"] == pytest.approx(2 * 5 * 10e6 / 1e12)
    assert not target.exists()
    assert "no run" in CliRunner().invoke(main.app, ["jobs"]).output.lower()


def test_the_next_run_of_a_program_tells_the_prediction_beside_the_bill(
    tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*more: str) -> list[dict[str, Any]]:
        """Run the program, and return its jobs as they are listed, the first one first."""
        command = [sys.executable, "-m", "aflint", "run", str(tmp_path / "app.py"), str(words)]
        env = {**os.environ, "AFLINT_WORKERS": "1"}
        subprocess.run(
            [*command, *more], check=True, timeout=300, env=env, stdout=subprocess.DEVNULL
        )
        listed = json.loads(CliRunner().invoke(main.app, ["jobs", "--json"]).stdout)
        return [job for job in reversed(listed) if job["run"] == listed[0]["run"]]

    target = str(tmp_path / "out")
    found = explain(tmp_path, NATIVE, str(words), target, options=("--json",))
    told = json.loads(found.stdout)["jobs"]
    ran = run(target)
    assert [job["name"] for job in ran] == [job["name"] for job in told]
    for job, before in zip(ran, told, strict=True):
        likely = {"dollars": before["dollars"]["likely"], "seconds": before["seconds"]["likely"]}
        assert job["predicted"] == likely
        assert job["dollars"] > 0
        shown = CliRunner().invoke(main.app, ["jobs", job["job"]]).stdout
        assert "predicted)" in " ".join(shown.split())
    # Of other arguments, other functions or another program nothing was predicted.
    assert {job["predicted"] for job in run(str(tmp_path / "other"))} == {None}
    shutil.rmtree(target)
    with monkeypatch.context() as patch:
        patch.setenv("AFLINT_MEMORY_MB", "885")
        assert {job["predicted"] for job in run(target)} == {None}
    shutil.rmtree(target)
    with (tmp_path / "app.py").open("a") as file:
        file.write("# changed")
    assert {job["predicted"] for job in run(target)} == {None}


def test_an_error_is_shown_as_a_run_would_show_it_and_what_came_before_is_told(
    tmp_path: Path, words: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = explain(tmp_path, NATIVE, str(words), str(tmp_path / "out"), "fail")
    assert found.exit_code == 1
    assert "job 2 save to" in found.stdout
    assert "job 3" not in found.stdout
    error = capfd.readouterr().err
    assert "invalid literal for int()" in error
    assert 'app.py", line 12' in error


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('nothing')", "ended without an action"),
        ("import aflint\nasync with aflint.connect() as s: s.range(3)", "ended without an action"),
    ],
)
def test_a_program_that_never_acts_has_nothing_to_predict(
    tmp_path: Path, program: str, said: str
) -> None:
    found = explain(tmp_path, program)
    assert found.exit_code == 1
    assert said in found.output


def test_what_is_missing_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert explain(tmp_path, NATIVE, str(tmp_path / "none"), "out").exit_code == 1
    assert "PathNotFoundError" in capfd.readouterr().err
    assert CliRunner().invoke(main.app, ["explain", str(tmp_path / "no.py")]).exit_code == 1
    assert "there is no program" in capfd.readouterr().err


def test_a_pyspark_program_is_known_by_its_imports(tmp_path: Path, words: Path) -> None:
    pytest.importorskip("pyspark")
    program = """
        import sys
        from pyspark import SparkContext

        sc = SparkContext()
        lines = sc.textFile(sys.argv[1], 4)
        print(lines.map(lambda line: (line[:5], 1)).reduceByKey(lambda a, b: a + b).take(1))
    """
    found = explain(tmp_path, program, str(words), options=("--json",))
    assert found.exit_code == 0, found.output
    (job,) = json.loads(found.stdout)["jobs"]
    assert [stage["tasks"] for stage in job["stages"]] == [4, 1]  # take() reads one partition


@pytest.mark.slow  # a JVM of its own
def test_a_dataframe_explains_its_cost(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    (tmp_path / "app.py").write_text(
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "frame = spark.range(0, 1000, 1, 4).groupBy('id').count()\n"
        "frame.explain()\n"
        "print('-----')\n"
        "frame.explain(mode='cost')\n"
    )
    words = [sys.executable, "-m", "aflint", "submit", str(tmp_path / "app.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    plain, cost = done.stdout.split("-----")
    assert "likely $" not in plain
    assert "== Physical Plan ==" in cost
    assert "likely $" in cost
    assert "EMR Serverless" in cost
