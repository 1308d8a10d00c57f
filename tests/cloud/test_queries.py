"""The paper's queries on functions, queues and objects, answered as on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from aflint.localcloud import Faults
from tests.cloud.clouds import ask_all, localcloud

MIXED_UP = Faults(seed=3, duplicate=0.2, reorder=0.5, delay=0.2, delay_seconds=0.05)


@pytest.mark.parametrize("message_limit_kib", [256, 1024])
@pytest.mark.parametrize("transport", ["sqs", "s3", "hybrid"])
async def test_the_answers_are_those_of_a_plain_loop(
    transport: str, message_limit_kib: int, taxi: Path, answers: Mapping[str, object]
) -> None:
    async with localcloud(transport=transport, message_limit_kib=message_limit_kib) as session:
        session.localcloud.set_faults(MIXED_UP)
        assert await ask_all(session, taxi) == answers
        struck = session.localcloud.snapshot().faults
        assert transport == "s3" or {"duplicate", "reorder", "delay"} <= struck.keys()
