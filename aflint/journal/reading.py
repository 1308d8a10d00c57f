"""Reads the segments of a journal: those of one run, or of one that is over and the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aflint.aio import together
from aflint.errors import PathNotFoundError
from aflint.journal.entries import Entry, RunEnded
from aflint.journal.segment import damaged, decode
from aflint.storage.base import Storage

LOOK_S: Final = 0.5
"""Before segments that are missing are looked for again."""

_READS: Final = 32
_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of a journal: the `entries` of its latest `run`, unless that is `over`, and the
    `numbers` of its segments.
    """

    run: str
    numbers: tuple[int, ...]
    entries: list[Entry]
    over: bool


_Segments = Mapping[int, tuple[str, tuple[Entry, ...]]]


async def read_journal(folder: str, storage: Storage, key: bytes, session: str) -> Found:
    """Return what is there. The segments of a run that is over may be removed meanwhile: where some
    are missing, they are looked for once more.

    Raises JournalDamagedError or JournalVersionError, and the errors of storage.
    """
    try:
        return _latest(await _read_all(folder, storage, key, session))
    except (PathNotFoundError, _MissingError):
        await asyncio.sleep(LOOK_S)
    try:
        return _latest(await _read_all(folder, storage, key, session))
    except (PathNotFoundError, _MissingError) as error:
        raise damaged(f"the journal {folder}", str(error)) from None


def path_of(folder: str, number: int) -> str:
    """Return where a segment is."""
    return f"{folder}/{number:0{_DIGITS}d}"


def _latest(segments: _Segments) -> Found:
    """Return the latest of the runs whose segments were read. Raises _MissingError. Pure."""
    if not segments:
        return Found("", (), [], over=False)
    last = max(segments)
    # A run that begins after one that is over says so first; its segments follow without a gap.
    begins = max((n for n, (_, entries) in segments.items() if RunEnded() in entries), default=0)
    if begins not in segments:
        raise _MissingError(f"segment {begins} is missing: there is {last}")
    run, numbers = segments[begins][0], [n for n in sorted(segments) if n <= begins]
    entries = list(segments[begins][1])
    for number in range(begins + 1, last + 1):
        if number not in segments:
            raise _MissingError(f"segment {number} is missing: there is {last}")
        if segments[number][0] == run:  # or else it is a stray one, about to be removed
            numbers.append(number)
            entries += segments[number][1]
    ends = max((i for i, each in enumerate(entries, 1) if each == RunEnded()), default=0)
    return Found(run, tuple(numbers), entries[ends:], over=0 < ends == len(entries))


class _MissingError(Exception):
    """Segments of a run are not there, though later ones are."""


async def _read_all(folder: str, storage: Storage, key: bytes, session: str) -> _Segments:
    try:
        paths = [file.path for file in await storage.list(folder)]
    except PathNotFoundError:
        return {}

    async def read(path: str) -> tuple[int, tuple[str, tuple[Entry, ...]]]:
        number = _number_of(path, folder)
        return number, decode(await storage.read(path), session, number, key, path)

    return dict(await together(map(read, paths), _READS))


def _number_of(path: str, folder: str) -> int:
    name = path.removeprefix(f"{folder}/")
    if not (name.isdecimal() and path_of(folder, int(name)) == path):
        raise damaged(f"the journal {folder}", f"{path} is no segment of it")
    return int(name)
