from __future__ import annotations

import random
from collections.abc import Coroutine
from typing import Any, TypeVar

from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import Completeness, ReadCounts, ShuffleOutput, read_blocks
from aflint.map_outputs import ManifestLines, MapColumns
from aflint.task import Manifest, MapStatus, ShuffleHandle, TaskId
from aflint.testing.memory_transport import MemoryTransport

T = TypeVar("T")
KEY = b"k" * 32
PARTITIONS = 100


class CountingLoop(IOLoop):
    """Counts the calls into the loop's thread."""

    runs = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        self.runs += 1
        return super().run(coroutine)


def test_frames_go_to_the_transport_together() -> None:
    texts = [random.Random(n).randbytes(512).hex() for n in range(4 * PARTITIONS)]
    blocks = [[(n % PARTITIONS, text)] for n, text in enumerate(texts)] * 8
    transport = MemoryTransport(target_frame_bytes=4096)
    with CountingLoop() as io:
        handle = io.run(transport.open("job", 0, PARTITIONS))
        output = ShuffleOutput(TaskId("job", 0, 0, 0), handle, KEY, transport, io, 512 << 20)
        before = io.runs
        for block in blocks:
            output.add(block[0][0], block)
        status = output.finish()
        _, frames, size = output.written
        assert frames >= 5 * PARTITIONS
        assert io.runs - before <= size // (1 << 20) + 1
        found = [_read(transport, handle, status, place, io) for place in range(PARTITIONS)]
    for place, records in enumerate(found):
        assert records == [block[0] for block in blocks if block[0][0] == place]


def _read(
    transport: MemoryTransport, handle: ShuffleHandle, status: MapStatus, place: int, io: IOLoop
) -> list[Any]:
    manifest = Manifest(handle, place, ManifestLines(MapColumns([status]), place))
    progress = Completeness(manifest)
    blocks = read_blocks(progress, KEY, transport, io, 1.0, ReadCounts())
    return [record for _, block in blocks for record in block]
