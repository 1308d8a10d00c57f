"""What several tests of whole jobs share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aflint
from aflint.config import Config
from aflint.deploy.up import Deployment
from aflint.events import Event, TaskEnded
from aflint.localcloud import LocalCloud, Snapshot
from examples.taxi.queries import QUERIES

MEMORY_MB = 512


@dataclass(frozen=True)
class Deployed:
    """An emulator, the configuration that leads to it, and what was deployed there."""

    cloud: LocalCloud
    config: Config
    deployment: Deployment

    def connect(self, **settings: Any) -> aflint.Session:
        """Return a session that uses it."""
        return aflint.connect(self.config, **settings)

    def assert_empty(self) -> None:
        """Assert that no job left anything: no queue, object, upload or file."""
        assert_nothing_left(self.cloud.snapshot())
        scratch = Path(self.config.scratch_dir or "")
        assert not scratch.exists() or not list(scratch.iterdir())


def assert_nothing_left(left: Snapshot) -> None:
    """Assert that an emulator holds nothing but what was deployed."""
    assert dict(left.queues) == {}
    assert [key for keys in left.buckets.values() for key in keys] == []
    assert dict(left.uploads) == {}


class Ended:
    """A listener that keeps how attempts ended."""

    def __init__(self, session: aflint.Session) -> None:
        self.events: list[TaskEnded] = []
        session.add_listener(self)

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskEnded):
            self.events.append(event)

    def links(self, stage: int = 0) -> dict[int, int]:
        """Return how often each task of a stage was continued, by partition."""
        found: dict[int, int] = {}
        for event in self.events:
            if event.id.stage == stage:
                link = max(found.get(event.id.partition, 0), event.id.link)
                found[event.id.partition] = link
        return found


@asynccontextmanager
async def localcloud(**settings: Any) -> AsyncIterator[aflint.Session]:
    """Run a session with an emulator of its own, and see that its jobs left nothing there."""
    defaults = {"workers": 2, "progress": False, "memory_mb": MEMORY_MB}
    async with aflint.connect(backend="localcloud", **(defaults | settings)) as session:
        cloud = session.localcloud
        yield session
    # Until here RDDs of the test may have kept their shuffles.
    left = cloud.snapshot()
    assert dict(left.queues) == {}
    assert dict(left.uploads) == {}
    assert not [key for keys in left.buckets.values() for key in keys if "/shuffles/" in key]


async def ask_all(session: aflint.Session, taxi: Path) -> dict[str, object]:
    """Return the answers to the paper's queries."""
    trips = session.text_file(str(taxi / "*_tripdata_*.csv"))
    weather = session.text_file(str(taxi / "central_park_weather.csv"), 1)
    return {query.name: await query.answer(trips, weather) for query in QUERIES}
