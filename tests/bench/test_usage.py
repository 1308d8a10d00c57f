from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import usage
from bench.usage import Seen, Usage, growth

ROOT, CHILD, GRANDCHILD = 1, 2, 3


def test_time_of_a_child_that_was_waited_for_is_counted_once() -> None:
    before = {ROOT: Seen(0, 5, 0), CHILD: Seen(ROOT, 40, 0)}
    assert growth(before, {ROOT: Seen(0, 6, 42)}) == 1 + 2


def test_time_of_a_child_that_nobody_waited_for_is_not_taken_back() -> None:
    before = {ROOT: Seen(0, 5, 0), CHILD: Seen(ROOT, 40, 0), GRANDCHILD: Seen(CHILD, 7, 0)}
    assert growth(before, {ROOT: Seen(0, 6, 0)}) == 1


def test_a_process_whose_id_is_used_again_is_another_one() -> None:
    before = {ROOT: Seen(0, 5, 0), CHILD: Seen(ROOT, 40, 0, started=1)}
    assert growth(before, {ROOT: Seen(0, 5, 40), CHILD: Seen(ROOT, 3, 0, started=2)}) == 3


ticks = st.integers(0, 50)
processes = st.dictionaries(
    st.integers(2, 6), st.builds(Seen, st.integers(1, 6), ticks, ticks, st.integers(0, 1))
).map(lambda found: {ROOT: Seen(0, 0, 0), **found})


@given(processes, processes)
def test_what_was_used_is_never_less_than_nothing(
    before: dict[int, Seen], now: dict[int, Seen]
) -> None:
    later = {
        pid: Seen(
            seen.parent,
            seen.own + (before[pid].own if pid in before else 0),
            seen.waited + (before[pid].waited if pid in before else 0),
            seen.started,
        )
        for pid, seen in now.items()
    }
    assert growth(before, later) >= 0


def test_cpu_of_a_tree_holds_that_of_children_and_is_known_on_linux_only() -> None:
    used = Usage(os.getpid())
    before = used.cpu()
    if not os.path.isdir("/proc"):
        assert math.isnan(before)
        return
    busy = "sum(i * i for i in range(3_000_000))"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert used.cpu() > before
    assert used.memory() > 1 << 20


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc")
def test_what_an_engine_leaves_behind_is_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        left = usage.descendants(os.getpid())
        assert process.pid in left
        asyncio.run(usage.end({process.pid: left[process.pid]}))
        assert process.wait() < 0
