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


HARSH = Faults(
    seed=5, drop_response=0.02, throttle=0.05, s3_503=0.05, kill=0.05, duplicate=0.2, reorder=0.5
)
"""For a transport that can be read again at once: what a killed reader took from a queue comes back
only when its time hidden is over."""

REFUSING = Faults(seed=5, throttle=0.05, s3_503=0.05, batch_entry=0.1, duplicate=0.2, reorder=0.5)


@pytest.mark.parametrize(
    ("transport", "faults"),
    [pytest.param("s3", HARSH, marks=pytest.mark.slow), ("sqs", REFUSING), ("hybrid", REFUSING)],
)
async def test_the_answers_when_calls_fail_and_environments_die(
    transport: str, faults: Faults, taxi: Path, answers: Mapping[str, object]
) -> None:
    async with localcloud(transport=transport, max_attempts=8) as session:
        session.localcloud.set_faults(faults)
        assert await ask_all(session, taxi) == answers
        struck = session.localcloud.snapshot().faults
        assert "throttle" in struck
        assert transport != "s3" or {"kill", "drop_response", "s3_503"} <= struck.keys()
        session.localcloud.set_faults(Faults())
