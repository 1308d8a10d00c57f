"""Any order of stimuli: the promises are kept, and every job comes to its end."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

from tests.scheduler.world import World

TestWorld: Any = World.TestCase
TestWorld.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
