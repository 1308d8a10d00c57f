"""The shuffles that a local session holds on disk, and harm that may come to any shuffle."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from pathlib import Path

from aflint import Session


def shuffles(session: Session) -> list[Path]:
    folder = Path(session._opened().backend.folder) / "shuffle"
    if not folder.exists():  # no job has shuffled yet
        return []
    return sorted(path for path in folder.iterdir() if "-closed" not in path.name)


async def removed(session: Session, count: int) -> None:
    """Wait until so many shuffles are left, for as long as a test may take."""
    gc.collect()
    async with asyncio.timeout(30):
        while len(shuffles(session)) > count:  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.01)


def harm_output(session: Session, map: int, harm: Callable[[bytes], bytes]) -> None:
    """Do harm to the file that a map task wrote for the one shuffle that a session holds."""
    (folder,) = shuffles(session)
    (path,) = folder.glob(f"{map}-*")
    path.write_bytes(harm(path.read_bytes()))


def _flipped(at: int, bit: int = 0) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        place = at % len(data)
        return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]

    return flip


HARMS: Mapping[str, Callable[[bytes], bytes]] = {
    "a bit of a length": _flipped(0),
    "the highest bit of a length": _flipped(3, 7),
    "a bit of a frame's header": _flipped(6),
    "a bit of the records": _flipped(-40),
    "a bit of the last byte": _flipped(-1, 6),
    "cut in the first length": lambda data: data[:2],
    "cut in the middle": lambda data: data[: len(data) // 2],
    "cut at the end": lambda data: data[:-1],
    "empty": lambda data: b"",
    "other bytes": lambda data: b"\xff" * len(data),
}
"""What may become of the file or object that a map task wrote, given its bytes."""
