"""Shuffles that are kept for as long as an RDD may read them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import operator
import weakref
from pathlib import Path

import pytest

import aflint
from aflint import RDD, Session
from aflint.events import Event, StageSkipped, StageStarted
from tests.engine.shuffles import removed, shuffles

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTS = dict.fromkeys(range(10), 200)


class Stages:
    """A listener: which stages of each job ran, and which were skipped."""

    def __init__(self, session: Session) -> None:
        self.ran: list[int] = []
        self.skipped: list[int] = []
        session.add_listener(self)

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self.ran.append(event.stage)
        elif isinstance(event, StageSkipped):
            self.skipped.append(event.stage)


def digits(session: Session) -> RDD[tuple[int, int]]:
    ones = session.range(2000, num_slices=4).map(lambda x: (x % 10, 1))
    return ones.reduce_by_key(operator.add, 3)


async def test_later_actions_skip_the_map_stage(session: Session) -> None:
    stages, counts = Stages(session), digits(session)
    for _ in range(3):
        assert dict(await counts.collect()) == COUNTS
    assert await counts.map_values(lambda n: n + 1).values().max() == 201
    assert (stages.ran, stages.skipped) == ([0, 1, 1, 1, 1], [0, 0, 0])


async def test_explain_says_which_stages_are_skipped(session: Session) -> None:
    counts = digits(session)
    assert "skipped" not in await counts.explain()
    await counts.count()
    first, second = (await counts.explain()).splitlines()
    assert first.endswith("skipped: its output is kept")
    assert "skipped" not in second


async def test_a_report_says_which_stages_were_skipped(session: Session) -> None:
    counts = digits(session)
    await counts.count()
    await counts.count()
    assert session.last_job is not None
    assert [stage.skipped for stage in session.last_job.stages] == [True, False]
    assert "3 tasks, 1 skipped stage" in session.last_job.summary()


async def test_an_accumulator_of_a_map_stage_counts_once(session: Session) -> None:
    total = session.accumulator(0)

    def seen(x: int) -> tuple[int, int]:
        total.add(1)
        return x % 10, 1

    counts = session.range(2000, num_slices=4).map(seen).reduce_by_key(operator.add, 3)
    for _ in range(4):
        await counts.count()
    assert total.value == 2000


async def test_an_accumulator_counts_once_although_the_shuffle_was_given_up(
    session: Session,
) -> None:
    total = session.accumulator(0)

    def seen(x: int) -> tuple[int, int]:
        total.add(1)
        return x % 10, 1

    counts = session.range(2000, num_slices=4).map(seen).reduce_by_key(operator.add, 3)
    await counts.count()
    counts.unpersist()
    await counts.count()
    assert total.value == 2000


async def test_a_shuffle_goes_when_its_rdd_is_collected_as_garbage(session: Session) -> None:
    await removed(session, 0)
    counts = digits(session)
    doubled = counts.map_values(lambda n: n * 2)
    await doubled.count()
    assert len(shuffles(session)) == 1
    del counts
    gc.collect()
    await doubled.count()
    assert len(shuffles(session)) == 1
    del doubled
    await removed(session, 0)


async def test_the_shuffle_of_a_sort_goes_with_it(session: Session) -> None:
    await removed(session, 0)
    ordered = session.range(100, num_slices=4).map(lambda x: -x).sort_by(lambda x: x)
    assert (await ordered.take(2), await ordered.first()) == ([-99, -98], -99)
    assert len(shuffles(session)) == 1
    del ordered
    await removed(session, 0)


async def test_a_shuffle_goes_when_its_rdd_is_unpersisted(session: Session) -> None:
    await removed(session, 0)
    counts = digits(session)
    await counts.count()
    counts.unpersist()
    await removed(session, 0)
    assert dict(await counts.collect()) == COUNTS


async def test_what_is_lost_of_a_kept_shuffle_is_made_again(session: Session) -> None:
    await removed(session, 0)
    stages, counts = Stages(session), digits(session)
    await counts.count()
    for path in list(shuffles(session)[0].iterdir())[:2]:
        path.unlink()
    assert dict(await counts.collect()) == COUNTS
    assert session.last_job is not None
    assert session.last_job.stages[0].done == 2
    assert dict(await counts.collect()) == COUNTS
    assert stages.ran == [0, 1, 1, 0, 1]


async def test_another_number_of_partitions_is_another_shuffle(session: Session) -> None:
    pairs = session.range(100, num_slices=4).key_by(lambda x: x % 7)
    three, five = pairs.partition_by(3), pairs.partition_by(5)
    assert [len(part) for part in await three.glom().collect()] == [43, 29, 28]
    assert len(await five.glom().collect()) == 5
    assert sorted(await three.collect()) == sorted(await five.collect())


async def test_a_job_that_fails_leaves_its_whole_shuffles(session: Session) -> None:
    stages, counts = Stages(session), digits(session)
    with pytest.raises(aflint.TaskError):
        await counts.map(lambda pair: 1 // 0).count()
    assert dict(await counts.collect()) == COUNTS
    assert stages.skipped == [0]


async def test_a_shuffle_of_a_failed_action_goes_with_its_rdd_at_once(session: Session) -> None:
    async def fail() -> weakref.ref[object]:
        counts = digits(session)
        with contextlib.suppress(aflint.TaskError):
            await counts.map(lambda pair: 1 // 0).count()
        return weakref.ref(counts)

    await removed(session, 0)
    gc.disable()  # the error and the frames that it passed must not hold each other
    try:
        counts = await fail()
        assert counts() is None
        await removed(session, 0)
    finally:
        gc.enable()


async def test_jobs_side_by_side_read_one_shuffle(session: Session) -> None:
    counts = digits(session)
    await counts.count()
    answers = await asyncio.gather(*(counts.collect() for _ in range(6)))
    assert all(dict(answer) == COUNTS for answer in answers)


async def test_an_action_that_repeats_costs_the_same_in_each_round(session: Session) -> None:
    labels = session.range(200, num_slices=2).map(lambda x: (x, x))
    tasks = []
    for _ in range(6):
        labels = labels.map(lambda pair: (pair[0] // 2, pair[1])).reduce_by_key(min, 2)
        await labels.count()
        assert session.last_job is not None
        tasks.append(session.last_job.tasks)
    assert tasks == [4] * 6


async def test_an_rdd_that_is_used_twice_in_each_round_has_linear_cost(session: Session) -> None:
    pairs = session.range(10, num_slices=2).key_by(lambda x: x % 3)
    for _ in range(8):
        pairs = pairs.union(pairs.map(lambda pair: pair)).reduce_by_key(min, 2)
    assert dict(await pairs.collect()) == {0: 0, 1: 1, 2: 2}
    assert session.last_job is not None
    assert session.last_job.tasks == 4 * 8 + 2


async def test_a_bound_on_what_is_kept(scratch: Path) -> None:
    async with aflint.connect(
        workers=1, kept_shuffle_mb=0, progress=False, scratch_dir=str(scratch)
    ) as session:
        stages, counts = Stages(session), digits(session)
        for _ in range(2):
            assert dict(await counts.collect()) == COUNTS
        assert stages.ran == [0, 1, 0, 1]
        assert shuffles(session) == []
