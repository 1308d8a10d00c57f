"""Peers side by side: warm-up, then rounds of each case by one peer after the other."""

from __future__ import annotations

import gc
import json
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from bench.engine import CannotError
from bench.report import Sample
from bench.usage import Usage
from bench.workload import Peer, Say

T = TypeVar("T")


class AnswersDifferError(Exception):
    """Two peers gave different answers, so that their times cannot be compared."""


async def compare(
    cases: Sequence[str],
    peers: Sequence[Peer],
    rounds: int,
    say: Say,
    gaps: dict[tuple[str, str], str] | None = None,
) -> list[Sample]:
    """Measure every peer on every case and return the samples.

    One round before the first is not counted; in it the answers are compared. Who begins changes
    from round to round, so that no peer is always the one that finds the caches warm. A peer that
    cannot do a case has no sample of it: `gaps` is told why.

    Raises AnswersDifferError.
    """
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
    usage = Usage(os.getpid())
    gaps = {} if gaps is None else gaps
    for number in range(rounds + 1):
        for case in cases:
            answers = {}
            for peer in rotated(peers, number):
                if (case, peer.name) in gaps:
                    continue
                say(f"{round_name(number, rounds)}: {case}, {peer.name}")
                gc.collect()
                busy, started = usage.cpu(), time.perf_counter()
                try:
                    answers[peer.name] = await peer.answer(case)
                except CannotError as reason:
                    gaps[case, peer.name] = str(reason)
                    continue
                wall, spent = time.perf_counter() - started, usage.cpu() - busy
                if number:
                    seconds[case, peer.name].append(wall)
                    cpu[case, peer.name].append(spent)
            check(case, answers)
    return [
        Sample(case, peer.name, tuple(seconds[case, peer.name]), tuple(cpu[case, peer.name]))
        for case in cases
        for peer in peers
        if (case, peer.name) not in gaps
    ]


def round_name(number: int, rounds: int) -> str:
    """Return what a round is called; the first is not counted."""
    return f"round {number} of {rounds}" if number else "warm-up"


def rotated(peers: Sequence[T], by: int) -> list[T]:
    """Return the peers in the order of a round: who begins changes from one to the next."""
    if not peers:
        return []
    by %= len(peers)
    return [*peers[by:], *peers[:by]]


def check(case: str, answers: Mapping[str, Any]) -> None:
    """Raise AnswersDifferError unless all answers are the same as JSON."""
    texts = {name: json.dumps(answer) for name, answer in answers.items()}
    if len(set(texts.values())) > 1:
        told = "\n".join(f"  {name}: {text[:400]}" for name, text in texts.items())
        raise AnswersDifferError(f"{case}: the peers do not agree\n{told}")
