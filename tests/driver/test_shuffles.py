from __future__ import annotations

from aflint.driver.shuffles import OwnShuffles
from aflint.errors import RunInUseError
from aflint.journal import Past, Unjournaled
from aflint.testing.shuffles import RecordingShuffles


class Taken(Unjournaled):
    """A journal that another driver goes on with."""

    async def flush(self) -> None:
        raise RunInUseError("taken")


async def test_what_is_ones_own_is_closed() -> None:
    service = RecordingShuffles()
    shuffles = OwnShuffles(service, Past("run"), Unjournaled())
    await shuffles.close(await shuffles.open("run-1", 0, 2))
    assert service.opened == service.closed == [("run-1", 0)]


async def test_what_another_driver_has_taken_over_is_left_to_it() -> None:
    service = RecordingShuffles()
    shuffles = OwnShuffles(service, Past("run"), Taken())
    await shuffles.close(await shuffles.open("run-1", 0, 2))
    refused = Past("run")
    refused.refused = RunInUseError("taken")
    shuffles = OwnShuffles(service, refused, Unjournaled())
    await shuffles.close(await shuffles.open("run-2", 0, 2))
    assert service.closed == []
