from __future__ import annotations

import pytest

from aflint.backend.exchange import exchange_of
from aflint.cost.exchange import cheaper_groups
from aflint.plan.planner import spans
from aflint.testing.memory_transport import MemoryTransport
from aflint.transport.base import TransportTraits


@pytest.mark.parametrize(("count", "width"), [(1, 1), (7, 3), (9, 3), (200, 14)])
def test_every_map_task_is_in_exactly_one_span(count: int, width: int) -> None:
    assert [each for span in spans(count, width) for each in range(*span)] == list(range(count))


def test_two_levels_are_chosen_where_blocks_would_cost_more_than_the_stage_in_between() -> None:
    assert cheaper_groups(200, 200) == 1
    assert cheaper_groups(2000, 2000) == 44
    assert cheaper_groups(2000, 4) == 1


def test_a_transport_with_one_reader_for_a_partition_has_one_level() -> None:
    queue = MemoryTransport()
    queue.traits = TransportTraits(1000, 1000, rereadable=False)  # type: ignore[misc]
    assert exchange_of("two", queue)(100, 100) == 1
    objects = MemoryTransport()
    assert exchange_of("two", objects)(100, 100) == 10
    assert exchange_of("one", objects)(100, 100) == 1
    assert exchange_of("auto", objects)(10_000, 10_000) == 1
