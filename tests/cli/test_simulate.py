from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import aflint
from aflint.cli import main, simulate
from aflint.cost.simulator import MOST_TASKS
from aflint.observe.eventlog import FORMAT
from aflint.observe.history import history_folder, logs


@pytest.fixture
def cli() -> CliRunner:
    return CliRunner()


def test_a_job_of_a_hundred_terabytes_is_told_as_json(cli: CliRunner) -> None:
    words = ["--workload", "scan", "--size", "100TB", "--concurrency", "1000", "--json"]
    result = cli.invoke(main.app, ["simulate", *words])
    found = json.loads(result.stdout)
    assert found["fast"]["seconds"] < found["seconds"] < found["slow"]["seconds"]
    assert found["limit"] == "network"
    assert found["in_flight"] == 1000
    assert found["dollars"] == pytest.approx(sum(found["items"].values()), abs=1e-5)
    assert found["s3_get"] >= 100e12 / (4 << 20)


def test_a_job_is_told_in_words_with_what_to_change(cli: CliRunner) -> None:
    words = ["--workload", "sort", "--size", "10GB", "--transport", "s3", "--levels", "2"]
    out = cli.invoke(main.app, ["simulate", *words]).stdout
    assert "sort: map, merged" in out
    assert "in flight at most" in out
    assert "bound by" in out
    assert "\n- " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--workload sort --size 0", "more than 0"),
        ("--workload sort --size ten", "is no size"),
        ("--workload sort", "needs a --size"),
        ("--workload terasort --size 1TB", "no workload is called 'terasort'"),
        ("--workload sort --size 1TB --transport redis", "no rates for transport 'redis'"),
        (
            "--workload sort --size 1TB --region mars-1",
            "'mars-1': give --region us-east-1 to be told",
        ),
        ("--workload sort --from a-1", "give one"),
        ("--from nobody-1", "no run that is kept has a job 'nobody-1'"),
        ("--from a-1 --tasks 5", "--tasks and --reducers are for workloads"),
        ("--size 1TB", "--size is of a job: name it by --workload"),
        ("--tasks 5", "--tasks is of a job: name it by --workload"),
        ("--levels 2", "--levels is of a job: name it by --workload"),
        ("--workload sort --size 1TB --seeds 5", "--seeds is for random jobs"),
        ("--workload sort --size 1TB --faults none", "--faults is for random jobs"),
        ("--workload scan --size 1TB --reducers 5", "scan shuffles nothing"),
        ("--workload scan --size 1TB --levels 2", "scan shuffles nothing"),
        (f"--workload sort --size {'9' * 400}", "is more than can be simulated"),
        ("--workload sort --size 900PB", "or for a smaller size"),
        ("--workload sort --size 1TB --tasks 4999999", "ask for fewer"),
        ("--workload sort --size 1TB --memory-mb 64", "128 to 10,240 MB"),
    ],
)
def test_what_cannot_be_simulated_is_told_in_one_line(
    cli: CliRunner, words: str, said: str
) -> None:
    result = cli.invoke(main.app, ["simulate", *words.split()])
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The id of a job that was recorded, and the state folder that its history is in."""
    state = tmp_path_factory.mktemp("state")
    file = tmp_path_factory.mktemp("in") / "words.txt"
    file.write_text("one two three two\n" * 20_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        return _count_words(file), state


def _count_words(file: Path) -> str:
    async def run() -> str:
        async with aflint.connect(workers=2, progress=False, history_mb=16) as session:
            words = session.text_file(str(file), 4).flat_map(str.split).map(lambda word: (word, 1))
            await words.reduce_by_key(lambda a, b: a + b, 2).collect()
            assert session.last_job is not None
            return session.last_job.id

    return asyncio.run(run())


def test_a_recorded_job_is_simulated_at_another_size(
    cli: CliRunner, recorded: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, state = recorded
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    small, large = (
        json.loads(cli.invoke(main.app, ["simulate", "--from", job, "--json", *size]).stdout)
        for size in ([], ["--size", "36MB"])
    )
    assert [stage["tasks"] for stage in small["stages"]] == [4, 2]
    maps, reduces = (stage["tasks"] for stage in large["stages"])
    assert maps == pytest.approx(2 * reduces, abs=2)
    assert maps > 200
    assert large["dollars"] > maps / 10 * small["dollars"]


def test_a_job_that_another_format_of_aflint_recorded_is_refused(
    cli: CliRunner, recorded: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job, state = recorded
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    log = next(logs(history_folder()))
    text = log.read_text()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history_folder().mkdir(parents=True)
    other = history_folder() / log.name
    other.write_text(text.replace(f'"format":{FORMAT}', f'"format":{FORMAT + 1}', 1))
    result = cli.invoke(main.app, ["simulate", "--from", job])
    assert result.exit_code == 1
    assert f"format {FORMAT + 1}" in result.stderr + result.stdout


def test_as_many_tasks_may_be_asked_for_as_are_simulated() -> None:
    assert simulate._MOST_TASKS == MOST_TASKS


def test_tasks_that_outlast_their_functions_go_on_in_others(cli: CliRunner) -> None:
    words = ["--workload", "scan", "--size", "1TB", "--tasks", "10", "--json"]
    told = json.loads(cli.invoke(main.app, ["simulate", *words]).stdout)
    (stage,) = told["stages"]
    assert stage["task_seconds"] > 900
    assert told["invocations"] >= stage["tasks"] * stage["task_seconds"] / 900
    assert any("go on in another one" in sentence for sentence in told["advice"])


def test_dataframes_without_the_packages_of_sql_are_told_in_one_line(
    cli: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aflint.cli.simulate.find_spec", lambda name: None)
    result = cli.invoke(main.app, ["simulate", "--dataframes", "--seeds", "1"])
    assert result.exit_code == 1
    assert "pip install 'aflint[sql]'" in result.stderr
