"""Peers side by side: warm-up, then rounds of each case by one peer after the other."""

from __future__ import annotations

import gc
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bench.report import Sample
from bench.workload import Peer, Say


class AnswersDifferError(Exception):
    """Two peers gave different answers, so that their times cannot be compared."""


async def compare(
    cases: Sequence[str], peers: Sequence[Peer], rounds: int, say: Say
) -> list[Sample]:
    """Measure every peer on every case and return the samples.

    One round before the first is not counted; in it the answers are compared. Who begins changes
    from round to round, so that no peer is always the one that finds the caches warm.

    Raises AnswersDifferError.
    """
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for case in cases:
            answers = {}
            for peer in _rotated(peers, number):
                say(f"{_round(number, rounds)}: {case}, {peer.name}")
                gc.collect()
                busy, started = tree_cpu(os.getpid()), time.perf_counter()
                answers[peer.name] = await peer.answer(case)
                wall, spent = time.perf_counter() - started, tree_cpu(os.getpid()) - busy
                if number:
                    seconds[case, peer.name].append(wall)
                    cpu[case, peer.name].append(spent)
            _check(case, answers)
    return [
        Sample(case, peer.name, tuple(seconds[case, peer.name]), tuple(cpu[case, peer.name]))
        for case in cases
        for peer in peers
    ]


def tree_cpu(root: int) -> float:
    """Return the CPU seconds that a process and its descendants used; NaN without /proc."""
    try:
        stats = {int(pid): _stat(pid) for pid in os.listdir("/proc") if pid.isdigit()}
    except OSError:
        return math.nan
    children: dict[int, list[int]] = defaultdict(list)
    for pid, (parent, _) in stats.items():
        children[parent].append(pid)
    total, queue = 0.0, [root]
    while queue:
        pid = queue.pop()
        queue += children[pid]
        total += stats.get(pid, (0, 0.0))[1]
    return total


def _stat(pid: str) -> tuple[int, float]:
    """Return (parent, CPU seconds of the process and of its children that ended)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    return int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _round(number: int, rounds: int) -> str:
    return f"round {number} of {rounds}" if number else "warm-up"


def _rotated(peers: Sequence[Peer], by: int) -> list[Peer]:
    by %= len(peers)
    return [*peers[by:], *peers[:by]]


def _check(case: str, answers: dict[str, Any]) -> None:
    texts = {name: json.dumps(answer) for name, answer in answers.items()}
    if len(set(texts.values())) > 1:
        told = "\n".join(f"  {name}: {text[:400]}" for name, text in texts.items())
        raise AnswersDifferError(f"{case}: the peers do not agree\n{told}")
