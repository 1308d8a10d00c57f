from __future__ import annotations

import pytest

from aflint.backend.exchange import exchange_of
from aflint.cost.exchange import cheaper_groups
from aflint.cost.requests import TransportName
from aflint.testing.memory_transport import MemoryTransport


@pytest.mark.parametrize("transport", ["s3", "hybrid"])
def test_two_levels_are_chosen_where_blocks_would_cost_more_than_the_stage_in_between(
    transport: TransportName,
) -> None:
    assert cheaper_groups(200, 200, transport) == 1
    assert cheaper_groups(2000, 2000, transport) == 44
    assert cheaper_groups(2000, 4, transport) == 1


def test_levels_are_those_that_were_asked_for_or_else_the_transports_choice() -> None:
    objects = MemoryTransport()
    assert exchange_of("two", objects)(100, 100) == 10
    assert exchange_of("one", objects)(100, 100) == 1
    assert exchange_of("auto", objects)(10_000, 10_000) == 1
