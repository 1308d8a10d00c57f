"""Skewed reduce partitions are combined in shares on a real backend: the same answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import aflint
from aflint import events
from aflint.backend import base
from aflint.config import Config
from aflint.plan.adaptive import Skew

MAPS = 9


@pytest.fixture
def small_partitions_are_skewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a kilobyte be enough: the setting is in megabytes."""
    policy_of = base.policy_of

    def skews(config: Config, *args: object, **options: object) -> object:
        policy = policy_of(config, *args, **options)  # type: ignore[arg-type]
        return replace(policy, skew=Skew(1000 if config.skewed_partition_mb else 0))

    monkeypatch.setattr("aflint.backend.local.policy_of", skews)


def of_one_key(number: int) -> list[tuple[str, tuple[int, int]]]:
    """Return values of which most have one key, and each map has the same."""
    hot = [("hot", (number, value)) for value in range(300)]
    return [*hot, *((f"k{key}", (number, 0)) for key in range(20))]


def listed(value: tuple[int, int]) -> list[tuple[int, int]]:
    return [value]


def append(values: list[tuple[int, int]], value: tuple[int, int]) -> list[tuple[int, int]]:
    values.append(value)
    return values


def extend(values: list[tuple[int, int]], others: list[tuple[int, int]]) -> list[tuple[int, int]]:
    values.extend(others)
    return values


def count(counts: Counter[int], value: tuple[int, int]) -> Counter[int]:
    counts[value[1]] += 1
    return counts


def add(counts: Counter[int], others: Counter[int]) -> Counter[int]:
    counts.update(others)
    return counts


@pytest.mark.asyncio
@pytest.mark.usefixtures("small_partitions_are_skewed")
async def test_combiners_of_a_skewed_partition_are_merged_in_the_order_of_maps(
    tmp_path: Path,
) -> None:
    added: list[events.TasksAdded] = []

    def note(event: events.Event) -> None:
        if isinstance(event, events.TasksAdded):
            added.append(event)

    async with aflint.connect(workers=2, progress=False, scratch_dir=str(tmp_path)) as session:
        session.add_listener(note)
        pairs = session.parallelize(range(MAPS), MAPS).flat_map(of_one_key)
        counts = pairs.aggregate_by_key(Counter[int](), count, add, 8)
        found = dict(await counts.collect())
        assert found["hot"] == dict.fromkeys(range(300), MAPS)
        assert [found[f"k{key}"] for key in range(20)] == [{0: MAPS}] * 20
        # One share is tried, and the others follow.
        assert [each.tasks for each in added] == [1, 2]
        job = session.last_job
        assert job is not None
        assert [stage.tasks for stage in job.stages] == [MAPS + 3, 8]
        assert [stage.done for stage in job.stages] == [MAPS + 3, 8]
        # What an earlier job left is read as it is.
        assert dict(await counts.collect()) == found
        assert len(added) == 2
        # Lists do not shrink: the first share shows it, and all maps are read by one task.
        lists = dict(await pairs.combine_by_key(listed, append, extend, 8).collect())
        assert lists["hot"] == [(number, value) for number in range(MAPS) for value in range(300)]
        assert [each.tasks for each in added] == [1, 2, 1]
        # Nor do groups, which nothing is tried with.
        grouped = await pairs.group_by_key(8).map_values(len).collect_as_map()
        assert grouped["hot"] == MAPS * 300
        assert len(added) == 3
