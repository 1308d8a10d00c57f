from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aflint.testing.memory_transport import MemoryTransport
from aflint.testing.transport_checks import TRANSPORT_CHECKS, Check, check_transport
from aflint.transport.base import Transport
from aflint.transport.file import FileTransport

MAKERS: dict[str, Callable[[Path], Transport]] = {
    "memory": lambda _: MemoryTransport(),
    "memory-small": lambda _: MemoryTransport(max_frame_bytes=3000),
    "file": lambda root: FileTransport(str(root / "shuffles")),
    "file-small": lambda root: FileTransport(str(root / "shuffles"), max_frame_bytes=3000),
}


@pytest.fixture(params=MAKERS)
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transport]:
    yield MAKERS[request.param](tmp_path)
    left = [path for path in tmp_path.rglob("*") if path.is_file() or "shuffle-" in path.name]
    assert left == []


@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
async def test_keeps_its_promise(check: Check, transport: Transport) -> None:
    await check(transport)


async def test_the_whole_suite_runs_by_one_call() -> None:
    await check_transport(MemoryTransport(max_frame_bytes=5000))
