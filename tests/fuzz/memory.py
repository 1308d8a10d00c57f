"""A file in memory, read without a loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

from aflint.executor.io_loop import IOLoop
from aflint.executor.sources import open_source
from aflint.storage.base import Storage
from aflint.task import TextSplit

T = TypeVar("T")


class File:
    """One file in memory, in place of a storage."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(
        self, path: str, start: int = 0, end: int | None = None, version: str = ""
    ) -> bytes:
        return self.data[start:end]


class Inline:
    """I/O that is done when it is asked for, in place of a loop in a thread."""

    def ahead(self, thunks: Iterable[Callable[[], Awaitable[T]]], depth: int = 2) -> Iterator[T]:
        for thunk in thunks:
            waiting = thunk().__await__()
            try:
                next(waiting)
            except StopIteration as done:
                yield done.value


def blocks(
    data: bytes, split: TextSplit, position: Any = None
) -> Iterator[tuple[Sequence[str], Any]]:
    """Yield blocks of lines, each with where reading stands after it."""
    source = open_source(
        split, cast(Storage, File(data)), cast(IOLoop, Inline()), position=position
    )
    for block in source.blocks():
        yield block, source.position
