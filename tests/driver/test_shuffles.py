from __future__ import annotations

from aflint.driver.shuffles import OwnShuffles
from aflint.errors import EndpointUnreachableError, RunInUseError
from aflint.journal import Past, Unjournaled
from aflint.task import ShuffleHandle
from aflint.testing.shuffles import RecordingShuffles


class Taken(Unjournaled):
    """A journal that another driver goes on with."""

    async def flush(self) -> None:
        raise RunInUseError("taken")


async def test_what_is_ones_own_is_closed() -> None:
    service = RecordingShuffles()
    shuffles = OwnShuffles(service, Past("run"), Unjournaled())
    await shuffles.close(await service.open("run-1", 0, 2))
    assert service.opened == service.closed == [("run-1", 0)]


async def test_what_another_driver_has_taken_over_is_left_to_it() -> None:
    service = RecordingShuffles()
    shuffles = OwnShuffles(service, Past("run"), Taken())
    await shuffles.close(await service.open("run-1", 0, 2))
    refused = Past("run")
    refused.refused = RunInUseError("taken")
    shuffles = OwnShuffles(service, refused, Unjournaled())
    await shuffles.close(await service.open("run-2", 0, 2))
    assert service.closed == []


class Gone(RecordingShuffles):
    """A service whose cloud answers again once `back` is set."""

    back = False

    async def close(self, handle: ShuffleHandle) -> None:
        if not self.back:
            raise EndpointUnreachableError("no connection")
        await super().close(handle)


async def test_what_cannot_be_removed_is_noted_and_not_raised() -> None:
    service = Gone()
    shuffles = OwnShuffles(service, Past("run"), Unjournaled())
    await shuffles.close(await service.open("run-1", 0, 2))
    assert [str(error) for error in shuffles.left.errors] == ["no connection"]


async def test_what_could_not_be_removed_is_tried_again_at_the_end() -> None:
    service = Gone()
    shuffles = OwnShuffles(service, Past("run"), Unjournaled())
    await shuffles.close(await service.open("run-1", 0, 2))
    await shuffles.close_left()
    assert len(shuffles.left.errors) == 1
    service.back = True
    await shuffles.close_left()
    assert service.closed == [("run-1", 0)]
    assert shuffles.left.errors == []
