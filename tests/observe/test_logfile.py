from __future__ import annotations

import asyncio

from aflint.events import Event, QueryEnded
from aflint.observe.eventlog import EventLog
from aflint.observe.logfile import LogWriter


class SlowPlace:
    """Takes lines when it is let."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.free = asyncio.Event()
        self.asked = asyncio.Event()
        self.finished = False

    async def append(self, text: str) -> None:
        self.asked.set()
        await self.free.wait()
        self.texts.append(text)

    async def finish(self) -> None:
        self.finished = True


def ended(number: int) -> Event:
    return QueryEnded(number, "")


async def test_what_happens_while_a_batch_is_written_is_one_batch_after_it() -> None:
    place = SlowPlace()
    writer = LogWriter(EventLog(), [place])
    writer(ended(0))
    await place.asked.wait()
    for number in range(1, 50):
        writer(ended(number))
        writer.hand_over()
    place.free.set()
    await writer.aclose()
    assert [text.count("\n") for text in place.texts] == [1, 49]
    order = [
        int(line.partition('"executionId":')[2].partition(",")[0])
        for text in place.texts
        for line in text.splitlines()
    ]
    assert order == list(range(50))
    assert place.finished


async def test_the_next_batch_follows_the_last_one_by_itself() -> None:
    place = SlowPlace()
    writer = LogWriter(EventLog(), [place])
    writer(ended(0))
    await place.asked.wait()
    writer(ended(1))
    place.asked.clear()
    place.free.set()
    await place.asked.wait()
    await writer.aclose()
    assert "".join(place.texts).count("\n") == 2
