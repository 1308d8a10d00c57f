from __future__ import annotations

import pytest

from aflint.errors import FetchFailedError, InternalError
from aflint.task import Manifest, MapOutput
from aflint.testing.memory_transport import MemoryTransport


async def test_frames_are_held_once_the_attempt_has_finished() -> None:
    transport = MemoryTransport()
    handle = await transport.open("job", 1, 2)
    writer = transport.writer(handle, 3, 1, 0)
    await writer.write(1, b"x")
    assert transport.held(handle) == {}
    await writer.finish()
    assert transport.held(handle) == {(3, 1, 0): {1: [b"x"]}}
    await transport.aclose()
    assert transport.held(handle) is None


async def test_an_attempt_that_never_finished_is_lost() -> None:
    transport = MemoryTransport()
    handle = await transport.open("job", 4, 1)
    await transport.writer(handle, 0, 0, 0).write(0, b"x")
    reader = transport.reader(Manifest(handle, 0, (MapOutput(0, 0, 0, 1, 1),)))
    with pytest.raises(FetchFailedError) as raised:
        await anext(reader.frames())
    assert (raised.value.shuffle, raised.value.maps) == (4, (0,))


async def test_finishing_after_the_close_is_an_error() -> None:
    transport = MemoryTransport()
    handle = await transport.open("job", 1, 1)
    writer = transport.writer(handle, 0, 0, 0)
    await transport.close(handle)
    with pytest.raises(InternalError, match="closed"):
        await writer.finish()
