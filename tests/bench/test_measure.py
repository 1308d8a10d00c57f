from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench import tpch
from bench.engine import CannotError
from bench.measure import AnswersDifferError, compare
from bench.report import Report, Sample


class Scripted:
    def __init__(self, name: str, log: list[str], answer: Callable[[str], Any]) -> None:
        self.name = name
        self._log, self._answer = log, answer

    async def answer(self, case: str) -> Any:
        self._log.append(f"{self.name} {case}")
        return self._answer(case)


async def test_peers_take_turns_within_each_case_and_the_warm_up_is_not_counted() -> None:
    log: list[str] = []
    peers = [Scripted("a", log, str.upper), Scripted("b", log, str.upper)]
    samples = await compare(["x", "y"], peers, 2, say=lambda text: None)
    assert log == [
        *("a x", "b x", "a y", "b y"),
        *("b x", "a x", "b y", "a y"),
        *("a x", "b x", "a y", "b y"),
    ]
    assert [(s.case, s.peer, len(s.seconds), len(s.cpu)) for s in samples] == [
        ("x", "a", 2, 2),
        ("x", "b", 2, 2),
        ("y", "a", 2, 2),
        ("y", "b", 2, 2),
    ]


async def test_what_a_peer_cannot_do_is_a_gap_and_the_others_are_measured() -> None:
    def refuse(case: str) -> str:
        if case == "y":
            raise CannotError("no y")
        return case.upper()

    log: list[str] = []
    peers = [Scripted("a", log, str.upper), Scripted("b", log, refuse)]
    gaps: dict[tuple[str, str], str] = {}
    samples = await compare(["x", "y"], peers, 2, lambda text: None, gaps)
    assert gaps == {("y", "b"): "no y"}
    assert [(s.case, s.peer) for s in samples] == [("x", "a"), ("x", "b"), ("y", "a")]
    assert log.count("b y") == 1


async def test_peers_that_disagree_are_not_compared() -> None:
    peers = [Scripted("a", [], lambda case: [(1, 2)]), Scripted("b", [], lambda case: [(1, 3)])]
    with pytest.raises(AnswersDifferError, match=r"x: the peers do not agree"):
        await compare(["x"], peers, 1, say=lambda text: None)


async def test_a_tuple_and_the_list_that_json_makes_of_it_agree() -> None:
    peers = [Scripted("a", [], lambda case: [(1, 2)]), Scripted("b", [], lambda case: [[1, 2]])]
    assert len(await compare(["x"], peers, 1, say=lambda text: None)) == 2


def test_totals_of_tpch_are_of_the_queries_that_both_have_done() -> None:
    samples = [Sample(c, p, (s,), (s,)) for c, p, s in (
        ("Q1", "aflint", 1.0), ("Q1", "Sail", 2.0), ("Q2", "aflint", 5.0), ("Q1", "PySpark", 8.0),
        ("Q2", "PySpark", 4.0),
    )]  # fmt: skip
    goals = tpch.goals(Report("tpch", "", "", tuple(samples)))
    assert [(goal.what, goal.measured, goal.met) for goal in goals] == [
        ("times as fast as Spark in total", 2.0, False),
        ("times Sail's total", 0.5, True),
    ]
