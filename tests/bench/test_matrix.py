"""Every workload by aflint and by hand, at a size that shows that it runs."""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from bench import docs, inputs
from bench.__main__ import app
from bench.engine import ROOT, Engine, EngineError, EngineProcess
from bench.environments import install
from bench.matrix import SizeError, count_of, measure, take_turns
from bench.matrix import inputs as inputs_of
from bench.measure import AnswersDifferError
from bench.registry import ENGINES, MATRICES, WORKLOADS
from bench.workload import TINY, Matrix, Options
from examples.taxi import oracle

SUBJECTS = {e.name: e for e in ENGINES if e.name in ("aflint", "hand-written")}
TINY_SIZE = Options(size=TINY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def subjects(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[list[EngineProcess]]:
    logs = tmp_path_factory.mktemp("logs")
    first, second = (EngineProcess(e, logs / f"{e.name}.log") for e in SUBJECTS.values())
    async with first, second:
        yield [first, second]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("matrix", MATRICES, ids=lambda matrix: matrix.name)
async def test_aflint_and_the_hand_written_program_agree(
    matrix: Matrix, subjects: list[EngineProcess], tmp_path: Path
) -> None:
    files = inputs_of(matrix, tmp_path / "in", matrix.tiny, say=lambda text: None)
    cases = matrix.cases or (matrix.name,)
    gaps: dict[tuple[str, str], str] = {}
    cells = await take_turns(
        *(matrix, cases, subjects, files, matrix.tiny, tmp_path, 0, gaps), say=lambda text: None
    )
    assert gaps == {}
    assert {case for case, _ in cells} == set(cases)
    assert all(found[0].seconds > 0 and found[0].cpu >= 0 for found in cells.values())
    assert all(found[0].memory for found in cells.values()) or sys.platform != "linux"
    if matrix.name == "taxi":  # what plain Python says, too
        trips = [Path(path) for path in files["trips"]]
        expected = oracle.answers(trips, Path(files["weather"]))
        found = {case: cells[case, "aflint"][0].answer for case in cases}
        assert found == json.loads(json.dumps(expected))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_does_each_workload_or_says_why_not(engine: Engine) -> None:
    methods = methods_in(f"bench.engines.{engine.module}") if engine.module else set()
    for matrix in MATRICES:
        does, why = matrix.name.replace("-", "_") in methods, engine.why_not(matrix.name)
        assert does != bool(why), f"{matrix.name}: does it {does}, says why not {why}"


def methods_in(module: str) -> set[str]:
    """Return the methods of an engine, by its text: what it imports may not be there."""
    path = Path(*module.split(".")).with_suffix(".py")
    tree = ast.parse((Path(__file__).parents[2] / path).read_text())
    methods = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    methods |= {each.name for each in ast.walk(tree) if isinstance(each, ast.AsyncFunctionDef)}
    for each in ast.walk(tree):
        inherited = ("bench.engines.", "bench.sql_program", "bench.spark_sql_program")
        if isinstance(each, ast.ImportFrom) and (each.module or "").startswith(inherited):
            methods |= methods_in(str(each.module))
    return methods


@pytest.mark.parametrize(
    "path", sorted((ROOT / "bench" / "engines").glob("*.py")), ids=lambda path: path.stem
)
def test_an_engine_is_a_short_file(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 100


async def test_an_engine_that_is_left_out_says_why_in_its_cells(tmp_path: Path) -> None:
    collect = next(matrix for matrix in MATRICES if matrix.name == "collect")
    out = next(engine for engine in ENGINES if engine.left_out)
    options = Options(size=TINY, rounds=1, data=tmp_path, logs=tmp_path)
    report = await measure(collect, [out, SUBJECTS["hand-written"]], options, lambda text: None)
    assert [(gap.peer, gap.why) for gap in report.gaps] == [(out.name, out.left_out)]


def test_the_documentation_says_what_each_engine_cannot_do() -> None:
    rows = [line.split(" | ") for line in docs.figures({}).splitlines() if line.startswith("| ")]
    told = {(row[0].removeprefix("| "), row[-1].removesuffix(" |")) for row in rows}
    for engine in ENGINES:
        assert {(engine.name, why) for why in engine.cannot.values()} <= told
        assert not engine.left_out or (engine.name, engine.left_out) in told


async def test_an_unknown_engine_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    options = Options(size=TINY, peers=frozenset({"Flink"}), data=tmp_path, logs=tmp_path)
    with pytest.raises(EngineError, match=r"called Flink; there are aflint, .*PySpark"):
        await measure(MATRICES[0], ENGINES, options, lambda text: None)
    assert not os.listdir(tmp_path)  # nothing was made, either


async def test_an_engine_that_is_not_installed_says_so_in_its_cells(tmp_path: Path) -> None:
    missing = Engine("Absent", "absent", "", "absent", ("absent",))
    collect = next(matrix for matrix in MATRICES if matrix.name == "collect")
    options = Options(size=TINY, data=tmp_path, logs=tmp_path)
    engines = [missing, SUBJECTS["hand-written"]]
    report = await measure(collect, engines, options, say=lambda text: None)
    assert [(gap.case, gap.peer) for gap in report.gaps] == [("collect", "Absent")]
    assert "make bench-peers" in report.gaps[0].why
    assert [sample.peer for sample in report.samples] == ["hand-written"]


async def test_an_engine_whose_packages_are_missing_says_so(tmp_path: Path) -> None:
    here = Engine("Here", "no_such_engine")
    with pytest.raises(EngineError, match="make bench-peers"):
        async with EngineProcess(here, tmp_path / "log"):
            pass


async def test_files_that_are_wrong_are_an_error_that_names_the_engine(tmp_path: Path) -> None:
    def disorder(out: Path) -> Any:
        raise ValueError(f"{next(out.iterdir()).name} is not in order")

    sort = next(matrix for matrix in MATRICES if matrix.name == "sort")
    options = Options(size=TINY, data=tmp_path, logs=tmp_path)
    with pytest.raises(AnswersDifferError, match=r"hand-written .* is not in order"):
        await measure(
            replace(sort, digest=disorder), [SUBJECTS["hand-written"]], options, lambda text: None
        )


async def test_an_engine_that_takes_too_long_is_ended_and_says_so(tmp_path: Path) -> None:
    options = Options(size=TINY, data=tmp_path, logs=tmp_path, longest=0.0)
    taxi = next(matrix for matrix in MATRICES if matrix.name == "taxi")
    slow = [replace(SUBJECTS["hand-written"], server=("-c", _NEVER_ANSWERS))]
    report = await measure(taxi, slow, options, lambda text: None)
    assert [gap.case for gap in report.gaps] == list(taxi.cases)
    assert {gap.why for gap in report.gaps} == {"Q0 took longer than 0 s (--longest)"}


_NEVER_ANSWERS = """
import sys
print('{"ready": true}', flush=True)
sys.stdin.readlines()
"""


def test_sorted_files_are_told_by_what_they_hold_and_must_be_in_order(tmp_path: Path) -> None:
    path = Path(inputs.sortable(tmp_path, 100)["records"])
    lines = path.read_text().splitlines(keepends=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / "part-0").write_text("".join(sorted(lines)[:50]))
    (out / "part-1").write_text("".join(sorted(lines)[50:]))
    whole = inputs.digest_sorted(out)
    assert whole[0] == 100
    (out / "part-1").write_text("".join(sorted(lines)[50:-1]))
    assert inputs.digest_sorted(out) != whole
    (out / "part-1").write_text("".join(lines))
    with pytest.raises(ValueError, match="not in order"):
        inputs.digest_sorted(out)


def test_records_are_those_of_the_sort_benchmark(tmp_path: Path) -> None:
    path = Path(inputs.sortable(tmp_path, 1_234)["records"])
    lines = path.read_bytes().splitlines(keepends=True)
    assert {len(line) for line in lines} == {inputs.RECORD}
    assert len({line[:10] for line in lines}) == len(lines) == 1_234


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "much"])
def test_a_size_that_is_none_is_one_clear_error(size: str) -> None:
    told = CliRunner().invoke(app, ["run", "sort", "--size", size])
    assert told.exit_code == 2
    assert "is no size" in told.output


def test_a_size_of_less_than_one_record_is_one_clear_error() -> None:
    with pytest.raises(SizeError, match="more than 0"):
        count_of(MATRICES[0], Options(size=1e-9))


def test_a_workload_larger_than_the_disk_is_one_clear_error(tmp_path: Path) -> None:
    folders = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out.json")]
    told = CliRunner().invoke(app, ["run", "sort", "--size", "1e9", *folders])
    assert told.exit_code == 1
    assert "GB of disk" in told.output
    assert list((tmp_path / "data").iterdir()) == []


def test_packages_that_do_not_install_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.environments.PEERS", tmp_path)
    python = tmp_path / "broken" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'ERROR: No matching distribution' >&2\nexit 1\n")
    python.chmod(0o755)
    assert install([Engine("Broken", "x", "", "broken", ("broken",)), Engine("Fine", "y")]) == {
        "broken": "ERROR: No matching distribution"
    }


def test_the_list_names_every_workload_and_every_engine() -> None:
    told = CliRunner().invoke(app, ["list"])
    assert told.exit_code == 0
    assert all(name in told.output for name in WORKLOADS)
    assert all(engine.name in told.output for engine in ENGINES)


def test_an_unknown_workload_is_an_error_that_names_the_known() -> None:
    told = CliRunner().invoke(app, ["run", "taxis"])
    assert told.exit_code == 2
    assert "taxis" in told.output
    assert "empty-tasks" in told.output
