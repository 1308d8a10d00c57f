"""Every block of code in README.md, CONTRIBUTING.md and docs/ is run, a page at a time."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest
import typer

from aflint.cli.main import app
from tests.docs.pages import PAGES, ROOT, Block, Reader, blocks, commands

NOT_RUN = {
    "aws configure": "it asks for the keys of a real account",
    "aflint deploy --image-uri": "it deploys an image out of a registry of a real account",
    "python -m bench": "it takes minutes; tests/bench runs each workload at its smallest size",
    "pip install": "it changes the environment of the tests: the extras it names are looked up",
}
"""Commands by their beginning, each with the reason why none of them is run."""

FAILS = ("aflint run --backend aws --set keep_failed=true app.py", "aflint replay a1b2c3d4-1/0/7")
"""The commands that end with 1, because the page is about a task that fails."""

FEWER_SEEDS = 5
"""How many random jobs `aflint simulate` runs here, at most."""

TYPED = {"aflint destroy": "y\n", "aflint replay a1b2c3d4-1/0/7 --": "continue\nquit\n"}
"""What a reader types into a command."""

APP = """\
import aflint

async with aflint.connect() as session:
    lines = session.parallelize(["a b a"]).flat_map(str.split)
    print(sorted((await lines.count_by_value()).items()))
"""
PYSPARK_APP = """\
from pyspark import SparkContext

sc = SparkContext()
print(sorted(sc.parallelize(["a b a"]).flatMap(str.split).countByValue().items()))
"""
FOUR_JOBS = """\
import aflint

async with aflint.connect(run_id="3f0c9a12") as session:
    for _ in range(4):
        await session.text_file("long.txt").count()
"""
KILLED = """\
import os, signal
import aflint

async with aflint.connect(run_id="nightly") as session:
    print(await session.range(10, num_slices=2).sum())
    if not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    print("went on")
"""
LAST_TASK_FAILS = """\
import aflint


def share(x):
    rest = 7 - x
    # Three comments have the next statement stand in the line
    # at which docs/observability.md sets a breakpoint,
    # the first of the function that is to be run again.
    whole = 100



    return whole // rest


async with aflint.connect(run_id="a1b2c3d4") as session:
    print(await session.range(8, num_slices=8).map(share).collect())
"""


def _run(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "aflint", "run", *words]).returncode


def _with_app(text: str = APP) -> None:
    Path("app.py").write_text(text)


def _with_words() -> None:
    (start,) = (each for each in blocks(ROOT / "docs/start.md") if each.language == "python")
    Path("words.py").write_text(start.text)


def _with_four_jobs() -> None:
    # As large as a split: terabytes are simulated as so many tasks like its.
    Path("long.txt").write_text(("x" * 1_000_000 + "\n") * 64)
    _with_app(FOUR_JOBS)
    assert _run("app.py") == 0


def _with_a_killed_run() -> None:
    _with_app(KILLED)
    assert _run("app.py") == -signal.SIGKILL


def _deploy(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "aflint", "deploy", *words], check=True)


def _with_a_failing_app() -> None:
    _deploy()
    _with_app(LAST_TASK_FAILS)


def _with_trips() -> None:
    import duckdb

    Path("trips").mkdir()
    Path("trips.csv").write_text("payment,tip\ncard,2\ncash,0\ncard,1\n")
    Path("query.sql").write_text("select 41 + 1 as answer")
    Path("other.toml").write_text("split_mb = 8\n")
    duckdb.sql("copy (select 1 tip) to 'trips/part.parquet'")
    _with_app()


def _with_orders() -> None:
    import duckdb

    from aflint.sql import catalyst

    # A JVM of earlier tests resolves relative paths where it was started.
    if catalyst._java is not None:
        catalyst._java.close()
    Path("orders").mkdir()
    rows = "select unnest(['open', 'paid', 'paid']) status, unnest([1, 2, 3]) price"
    duckdb.sql(f"copy ({rows}) to 'orders/part.parquet'")


def _with_pyspark_app() -> None:
    _with_app(PYSPARK_APP)
    Path("input.txt").write_text("a b\n")
    Path("input.csv").write_text("a,1\n")


def _with_pyspark_app_and_bucket() -> None:
    _with_pyspark_app()
    _deploy("--bucket", "my-bucket")


def _with_pyspark_app_and_functions() -> None:
    _with_pyspark_app()
    _deploy()


def _with_csv() -> None:
    Path("trips.csv").write_text("card,2\ncash,0\n" * 3)


def _with_packages() -> None:
    Path("requirements.txt").write_text("six\n")
    about = "mine-1.0.dist-info"
    with ZipFile("mine-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("mine.py", "")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")


class Page(NamedTuple):
    """What a page takes, and what its reader has to see in the end."""

    name: str
    shows: tuple[str, ...] = ()
    before: Callable[[], None] = lambda: None
    slow: bool = True
    """Where it deploys, starts a JVM, or takes seconds of CPU."""


SETTINGS = (
    Page("CONTRIBUTING.md", slow=False),
    Page("README.md", ("('the', ", "ok   invocation", "removed bucket")),
    Page("aws.md", ("buckets={", "499500")),
    Page("cli.md", ("[('a', 2), ('b', 1)]", '"answer": 42', "eu-west-1"), _with_trips),
    Page("benchmarks.md", slow=False),
    Page("comparison.md", ("[('card', 3), ('cash', 3)]",), _with_csv, slow=False),
    Page("configuration.md", slow=False),
    Page("cost.md", ("job 1 flat_map", "sort: reduce"), _with_four_jobs),
    Page("dataframes.md", ("paid", "5"), _with_orders),
    Page("deploy.md", ("removed bucket", "docker build"), _with_packages),
    Page("exactly-once.md", ("failures: 0",)),
    Page("first-aws.md", ("sqs:SendMessage", "4/4    $0.0", "removed bucket"), _with_words),
    Page("migrate.md", ("[('a', 2), ('b', 1)]",), _with_pyspark_app_and_functions),
    Page("notebooks.md", slow=False),
    Page("observability.md", ("ZeroDivisionError", "a1b2c3d4-1/0/7"), _with_a_failing_app),
    Page("pyspark.md", ("[('a', 2), ('b', 1)]",), _with_pyspark_app_and_bucket),
    Page("recovery.md", ("nightly", "went on"), _with_a_killed_run, slow=False),
    Page("shuffle.md", slow=False),
    Page("simulation.md", ("failures: 0",)),
    Page("soak.md", slow=False),
    Page("start.md", ("('the', ",), _with_words),
    Page("transport.md", slow=False),
    Page("tuning.md", slow=False),
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of an emulator of AWS, and one cache of bundles, for all pages."""
    command = [sys.executable, "-m", "aflint", "localcloud", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "}\n")
        yield json.loads("".join((*lines, "}"))) | {
            "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))
        }
        process.terminate()


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("AFLINT_SCRATCH_DIR", str(tmp_path))
    monkeypatch.setenv("AFLINT_WORKERS", "1")
    (tmp_path / "README.md").write_bytes((ROOT / "README.md").read_bytes())
    level = logging.getLogger("aflint").level
    reader = Reader(tmp_path, monkeypatch, _typed, _status)
    yield reader
    reader.close()
    logging.getLogger("aflint").setLevel(level)


def _begins(words: Sequence[str], among: Mapping[str, str]) -> str | None:
    line = " ".join(words)
    return next((text for beginning, text in among.items() if line.startswith(beginning)), None)


def _typed(words: Sequence[str]) -> str:
    return _begins(["aflint", *words], TYPED) or ""


def _status(words: Sequence[str]) -> int:
    return int(" ".join(["aflint", *words]).startswith(FAILS))


def _needs_aws(page: Path) -> bool:
    return bool(re.search(r"aflint deploy|backend[ =]\"?aws", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "page",
    [pytest.param(each, marks=[pytest.mark.slow] if each.slow else []) for each in SETTINGS],
    ids=lambda page: page.name,
)
def test_a_page_says_what_works(
    page: Page,
    reader: Reader,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = next(each for each in PAGES if each.name == page.name)
    if page.slow and _needs_aws(path):
        for name, value in request.getfixturevalue("cloud").items():
            monkeypatch.setenv(name, value)
    page.before()
    for block in blocks(path):
        match block.language:
            case "python":
                reader.python(block, capfd)
            case "toml":
                reader.toml(block)
            case "sh":
                for words in commands(block):
                    _type(reader, words)
            case language:
                assert language in ("mermaid", ""), f"{block} is of a language that nothing checks"
    for part in page.shows:
        assert part in reader.shown, reader.shown


def _type(reader: Reader, words: Sequence[str]) -> None:
    if _begins(words, NOT_RUN):
        return
    match words:
        case ["aflint", "ui", *rest]:
            _interrupted(rest)
        case ["aflint", "simulate", *rest]:
            counts = [at + 1 for at, word in enumerate(rest) if word == "--seeds"]
            for at in counts:
                rest[at] = str(min(int(rest[at]), FEWER_SEEDS))
            reader.aflint(["simulate", *rest])
        case ["aflint", *rest]:
            reader.aflint(rest)
        case ["make", *rest]:
            reader.make(rest)
        case _:
            pytest.fail(f"nothing here runs {words}")


def _interrupted(words: Sequence[str]) -> None:
    """Run the page's server until it says where it is, and end it as its reader would."""
    command = [sys.executable, "-m", "aflint", "ui", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait() in (0, 130)


def test_every_page_with_a_block_is_read() -> None:
    with_blocks = {page.name for page in PAGES if any(True for _ in blocks(page))}
    assert with_blocks == {each.name for each in SETTINGS}


def test_code_stands_in_fences_where_it_is_run() -> None:
    code = re.compile(r"\n\n    (?:(?:aflint|pip|make|import|from|async|await) |session\.|sc\.).*")
    for page in PAGES:
        assert not code.findall(page.read_text(encoding="utf-8")), page.name


def test_extras_that_are_to_be_installed_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        extra
        for page in PAGES
        for extras in re.findall(r"(?:aflint|\.)\[([a-z,]+)\]", page.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    assert named <= set(project["optional-dependencies"])


def test_targets_of_make_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {
        match
        for page in PAGES
        for match in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))
    }
    assert named <= targets


def _every_command_of_aflint() -> list[tuple[Block, list[str]]]:
    return [
        (block, words[1:])
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for words in commands(block)
        if words[0] == "aflint"
    ]


def test_commands_and_their_options_are_there() -> None:
    group = typer.main.get_command(app)
    for block, words in _every_command_of_aflint():
        command = group.commands[words[0]]  # type: ignore[attr-defined]
        known = {opt for each in command.params for opt in (*each.opts, *each.secondary_opts)}
        for word in words[1:]:
            if words[0] == "submit" or (words[0] == "run" and word.endswith(".py")):
                break  # what follows is Spark's, or the program's
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in known, f"{block}: aflint {words[0]} has no {word}"


@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_the_first_program_runs(page: str, tmp_path: Path) -> None:
    (program,) = (each for each in blocks(ROOT / page) if "take_ordered" in each.text)
    (tmp_path / "words.py").write_text(program.text)
    (tmp_path / "README.md").write_text("to be or not to be\n")
    done = subprocess.run(
        [sys.executable, "-m", "aflint", "run", "--set", "workers=1", "words.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "('to', 2)" in done.stdout, done.stderr


@pytest.mark.slow
def test_the_site_builds_and_no_link_is_broken(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in (tmp_path / "site").glob("*.html")} >= pages
