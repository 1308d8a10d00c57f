from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.measure import AnswersDifferError, compare


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


async def test_peers_that_disagree_are_not_compared() -> None:
    peers = [Scripted("a", [], lambda case: [(1, 2)]), Scripted("b", [], lambda case: [(1, 3)])]
    with pytest.raises(AnswersDifferError, match=r"x: the peers do not agree"):
        await compare(["x"], peers, 1, say=lambda text: None)


async def test_a_tuple_and_the_list_that_json_makes_of_it_agree() -> None:
    peers = [Scripted("a", [], lambda case: [(1, 2)]), Scripted("b", [], lambda case: [[1, 2]])]
    assert len(await compare(["x"], peers, 1, say=lambda text: None)) == 2
