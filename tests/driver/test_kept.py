from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aflint.cost import Usage
from aflint.counts import pack_counts
from aflint.driver.shuffles import KeptShuffles
from aflint.plan.lineage import Aggregator, HashPartitioner, Node, Shuffled, Source
from aflint.plan.planner import Plan, plan
from aflint.plan.program import Count
from aflint.scheduler.messages import MOST_LOANS
from aflint.task import Blob, MapStatus, ShuffleHandle, TaskId, TaskMetrics, TaskResult

SUM = Aggregator(max, max, max)
SIZE = 100


class Removals:
    """Notes which shuffles were removed, as (job, shuffle)."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []

    async def __call__(self, handle: ShuffleHandle) -> None:
        self.done.append((handle.job, handle.shuffle))


@asynccontextmanager
async def keeping(most_bytes: int = 10 * SIZE) -> AsyncIterator[tuple[KeptShuffles, Removals]]:
    removals = Removals()
    async with KeptShuffles(most_bytes, removals) as kept:
        yield kept, removals


def summed(parent: Node, partitions: int = 2) -> Shuffled:
    return Shuffled(name="s", parent=parent, target=HashPartitioner(partitions), aggregator=SUM)


def planned(node: Node) -> Plan:
    def pack(program: object, name: str, tasks: int) -> Blob:
        return Blob("", 0, b"")

    return plan(node, Count(), "job", pack=pack, store_folder="")


def outputs(attempt: int = 0, object: str = "", maps: int = 1) -> dict[int, tuple[MapStatus, ...]]:
    extents = tuple(pack_counts([each]) for each in (0, 0, SIZE)) if object else ()
    counts = pack_counts([1, 1])
    return {
        map: (MapStatus(map, attempt, 0, counts, counts, object, extents),) for map in range(maps)
    }


def run(
    kept: KeptShuffles,
    node: Node,
    job: str,
    *,
    whole: bool = True,
    size: int = SIZE,
    made: dict[int, tuple[MapStatus, ...]] | None = None,
    shuffling: bool = False,
) -> list[int]:
    """Run a job that makes the shuffles it does not find; return those that it found."""
    with kept.lent(planned(node), shuffling) as shuffles:
        found = sorted(shuffles.kept)
        for shuffle, stage in shuffles.plan.writers.items():
            if shuffle in found:
                shuffles.left(
                    shuffle, shuffles.kept[shuffle].handle, made or outputs(maps=stage.tasks)
                )
                continue
            metrics = TaskMetrics(shuffle_write_bytes=size)
            task = TaskId(job, stage.id, 0, 0)
            wrote = made or outputs(maps=stage.tasks)
            shuffles.accepted(TaskResult(task, map_statuses=wrote[0], metrics=metrics))
            handle = ShuffleHandle(job, shuffle, 2)
            shuffles.left(shuffle, handle, wrote if whole else None)
    return found


async def settled() -> None:
    """Let a moment pass, in which what nobody reads is found and removed."""
    await asyncio.sleep(3.0)


async def test_a_later_job_finds_the_shuffle_of_an_earlier_one() -> None:
    async with keeping() as (kept, removals):
        node = summed(Source(splits=(None,)))
        assert run(kept, node, "a") == []
        assert run(kept, node, "b") == [0]
        assert run(kept, summed(node, 3), "c") == [1]
        assert removals.done == []
    assert sorted(removals.done) == [("a", 0), ("c", 0)]


async def test_another_partitioner_makes_another_shuffle() -> None:
    async with keeping() as (kept, _):
        parent = Source(splits=(None,))
        two, three = summed(parent, 2), summed(parent, 3)
        run(kept, two, "a")
        assert run(kept, three, "b") == []


async def test_a_shuffle_that_is_not_whole_is_not_kept() -> None:
    async with keeping() as (kept, _):
        node = summed(Source(splits=(None,)))
        run(kept, node, "a", whole=False)
        assert run(kept, node, "b") == []


async def test_a_shuffle_goes_with_the_last_rdd_that_reads_it() -> None:
    async with keeping() as (kept, removals):
        parent = Source(splits=(None,))
        one, other = summed(parent), summed(parent)
        run(kept, one, "a")
        run(kept, other, "b")
        del one
        await settled()
        assert removals.done == []
        del other
        await settled()
        assert removals.done == [("a", 0)]


async def test_an_rdd_that_is_unpersisted_gives_up_its_shuffle() -> None:
    async with keeping() as (kept, removals):
        node = summed(Source(splits=(None,)))
        other = summed(node, 3)
        run(kept, other, "a")
        kept.give_up_read_by(node.lifetime)
        await settled()
        assert removals.done == [("a", 1)]
        assert run(kept, other, "b") == [0]


async def test_the_shuffles_used_least_recently_go_first() -> None:
    async with keeping(2 * SIZE) as (kept, removals):
        nodes = [summed(Source(splits=(None,))) for _ in range(3)]
        run(kept, nodes[0], "a")
        run(kept, nodes[1], "b")
        run(kept, nodes[0], "c")
        run(kept, nodes[2], "d")
        await settled()
        assert removals.done == [("b", 0)]
        assert run(kept, nodes[0], "e", size=3 * SIZE) == [0]


async def test_a_shuffle_larger_than_all_that_may_be_kept_is_not() -> None:
    async with keeping(SIZE) as (kept, _):
        node = summed(Source(splits=(None,)))
        run(kept, node, "a", size=SIZE + 1)
        assert run(kept, node, "b") == []


async def test_nothing_is_removed_while_a_job_holds_it() -> None:
    async with keeping() as (kept, removals):
        node = summed(Source(splits=(None,)))
        run(kept, node, "a")
        with kept.lent(planned(node)):
            kept.give_up_read_by(node.lifetime)
            await settled()
            assert removals.done == []
            assert run(kept, node, "b") == []
        await settled()
        assert removals.done == [("a", 0)]


async def test_what_a_job_made_anew_is_what_the_next_one_reads() -> None:
    async with keeping() as (kept, _):
        node = summed(Source(splits=(None,)))
        run(kept, node, "a")
        run(kept, node, "b", made=outputs(attempt=7))
        run(kept, node, "c", made=outputs(attempt=3))
        with kept.lent(planned(node)) as shuffles:
            assert shuffles.kept[0].outputs == outputs(attempt=7)


async def test_each_job_numbers_its_attempts_otherwise() -> None:
    async with keeping() as (kept, _):
        node = summed(Source(splits=(None,)))
        run(kept, node, "a")
        with kept.lent(planned(node)) as one, kept.lent(planned(node)) as other:
            assert one.kept[0].loans != other.kept[0].loans
            assert 0 not in (one.kept[0].loans, other.kept[0].loans)


async def test_a_shuffle_that_was_used_too_often_to_number_attempts_is_made_anew() -> None:
    async with keeping() as (kept, removals):
        node = summed(Source(splits=(None,)))
        run(kept, node, "a")
        for _ in range(MOST_LOANS):
            assert run(kept, node, "b") == [0]
        assert run(kept, node, "c") == []
        await settled()
        assert removals.done == [("a", 0)]


async def test_of_two_jobs_side_by_side_one_keeps_the_shuffle() -> None:
    async with keeping() as (kept, _):
        node = summed(Source(splits=(None,)))
        with kept.lent(planned(node)) as one, kept.lent(planned(node)) as other:
            assert one.left(0, ShuffleHandle("a", 0, 2), outputs())
            assert not other.left(0, ShuffleHandle("b", 0, 2), outputs())


async def test_stages_before_a_kept_shuffle_are_skipped() -> None:
    async with keeping() as (kept, _):
        first = summed(Source(splits=(None,)))
        second = summed(first, 3)
        run(kept, second, "a")
        assert kept.skipped(planned(second)) == {0, 1}
        assert kept.skipped(planned(summed(second, 4))) == {0, 1}
        assert kept.skipped(planned(summed(first, 4))) == {0}


async def test_only_what_lies_in_s3_is_billed_for() -> None:
    now = 0.0
    removals = Removals()
    async with KeptShuffles(10 * SIZE, removals, clock=lambda: now) as kept:
        nodes = [summed(Source(splits=(None,))) for _ in range(2)]
        run(kept, nodes[0], "a")
        run(kept, nodes[1], "b", made=outputs(object="s3://bucket/key"))
        now = 30 * 24 * 3600.0
        month = Usage(s3_gb_months=SIZE / (1 << 30))
        assert kept.usage == month
        kept.give_up_read_by(nodes[1].lifetime)
        now *= 2
        assert kept.usage == month


async def test_a_shuffle_that_cannot_be_removed_is_no_error() -> None:
    async def fail(handle: ShuffleHandle) -> None:
        raise OSError("no")

    async with KeptShuffles(SIZE, fail) as kept:
        run(kept, summed(Source(splits=(None,))), "a")


async def test_what_was_made_ahead_is_kept_for_who_reads_it_whatever_its_size() -> None:
    async with keeping(most_bytes=SIZE) as (kept, removals):
        node, other = summed(Source(splits=(None,))), summed(Source(splits=(None,)))
        run(kept, node, "a", size=9 * SIZE, shuffling=True)
        run(kept, other, "b", shuffling=True)
        assert run(kept, node, "c") == [0]
        await settled()
        assert removals.done == [("a", 0)]
        assert run(kept, other, "d") == [0]


async def test_the_output_of_other_map_tasks_is_not_taken_for_ones_own() -> None:
    async with keeping() as (kept, removals):
        parent = Source(splits=(None, None))
        node = summed(parent)
        run(kept, node, "a")
        again = replace(node, parent=replace(parent, splits=(None,)))
        assert run(kept, again, "b") == []
        await settled()
        assert removals.done == [("a", 0)]
