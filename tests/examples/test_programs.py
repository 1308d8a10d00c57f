"""The programs of examples/, natively in this process, and PySpark's by `aflint submit`."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from examples import page_rank

ROOT = Path(__file__).parent.parent.parent

ANSWERS: dict[str, Any] = {
    "bad_records": (8.0, 2),
    "inverted_index": {
        "be": ["one.txt"],
        "not": ["one.txt", "two.txt"],
        "now": ["two.txt"],
        "or": ["one.txt"],
        "to": ["one.txt"],
    },
    "join_orders": [("Ada", 35), ("Bo", 12), ("unknown", 99)],
    "log_errors": [
        (("2026-11-28T10", "db"), 1),
        (("2026-11-28T10", "web"), 2),
        (("2026-11-28T11", "web"), 1),
    ],
    "sessions": [("ada", [2, 2]), ("bo", [2])],
    "word_count": [("be", 2), ("to", 2), ("not", 1), ("or", 1)],
}
SUBMITTED = {
    "pyspark_averages": "[('card', 20.0), ('cash', 5.0)]\n",
    "pyspark_top": "[('mon', [7, 5]), ('tue', [9, 2])]\n[9, 7]\n",
}
ELSEWHERE = {"folder_transport", "taxi_dataframes", "taxi_pyspark"}
"""Examples that other tests run: tests/docs, tests/pyspark/test_taxi.py."""


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("To be or not\nto be\n")
    monkeypatch.setenv("AFLINT_WORKERS", "1")
    monkeypatch.setenv("AFLINT_PROGRESS", "false")


async def run(name: str) -> Any:
    return await import_module(f"examples.{name}").main()


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_answer_of_an_example(name: str) -> None:
    assert await run(name) == ANSWERS[name]


async def test_pi_is_near() -> None:
    assert abs(await run("estimate_pi") - 3.14159) < 0.05


async def test_pages_have_the_ranks_that_plain_python_gives_them() -> None:
    ranks = {page: 1.0 for page, _ in page_rank.LINKS}
    for _ in range(page_rank.ROUNDS):
        given: dict[str, float] = {}
        for page, links in page_rank.LINKS:
            for link in links if page in ranks else ():
                given[link] = given.get(link, 0.0) + ranks[page] / len(links)
        ranks = {page: 0.15 + 0.85 * share for page, share in given.items()}
    found = await run("page_rank")
    assert dict(found) == pytest.approx(ranks)
    assert [rank for _, rank in found] == pytest.approx(sorted(ranks.values(), reverse=True))


@pytest.mark.parametrize("name", SUBMITTED)
def test_a_pyspark_example_runs_unchanged(name: str) -> None:
    pytest.importorskip("pyspark")
    program = ROOT / "examples" / f"{name}.py"
    command = [sys.executable, "-m", "aflint", "submit", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == SUBMITTED[name], done.stderr


def test_every_example_is_run() -> None:
    there = {path.stem for path in (ROOT / "examples").glob("*.py")} - {"__init__"}
    assert there == {*ANSWERS, *SUBMITTED, *ELSEWHERE, "estimate_pi", "page_rank"}
