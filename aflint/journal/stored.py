"""What there is of a journal in S3: segments of one run, or of one that is over and the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aflint.aio import together
from aflint.errors import PathNotFoundError
from aflint.journal.entries import Entry, RunEnded
from aflint.journal.refusals import damaged
from aflint.journal.segment import decode
from aflint.storage.base import Storage

LOOK_S: Final = 0.5
"""Before it is looked again whether segments are there."""

_READS: Final = 32
_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """What is there of a journal: the `entries` of its latest `run`, unless that is over, and the
    `numbers` of its segments.
    """

    run: str
    numbers: tuple[int, ...]
    entries: list[Entry]
    over: bool


_Read = Mapping[int, tuple[str, tuple[Entry, ...]]]


def _latest(read: _Read) -> Stored:
    """Return the latest of the runs whose segments were read. Raises _MissingError. Pure."""
    if not read:
        return Stored("", (), [], over=False)
    last = max(read)
    begins = max((n for n, (_, entries) in read.items() if RunEnded() in entries), default=0)
    if begins not in read:
        raise _MissingError(f"segment {begins} is missing: there is {last}")
    run, numbers = read[begins][0], [n for n in sorted(read) if n <= begins]
    entries = list(read[begins][1])
    for number in range(begins + 1, last + 1):
        if number not in read:
            raise _MissingError(f"segment {number} is missing: there is {last}")
        if read[number][0] == run:  # or else it is a stray one, about to be removed
            numbers.append(number)
            entries += read[number][1]
    ends = max((i for i, each in enumerate(entries, 1) if each == RunEnded()), default=0)
    return Stored(run, tuple(numbers), entries[ends:], over=0 < ends == len(entries))


async def read_stored(folder: str, storage: Storage, key: bytes, session: str) -> Stored:
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


class _MissingError(Exception):
    """Segments of a run are not there, though later ones are."""


async def _read_all(folder: str, storage: Storage, key: bytes, session: str) -> _Read:
    try:
        paths = [file.path for file in await storage.list(folder)]
    except PathNotFoundError:
        return {}

    async def read(path: str) -> tuple[int, tuple[str, tuple[Entry, ...]]]:
        number = _number_of(path, folder)
        data = await storage.read(path)
        return number, decode(data, session, number, key, f"segment {path} of a journal")

    return dict(await together(map(read, paths), _READS))


def _number_of(path: str, folder: str) -> int:
    name = path.removeprefix(f"{folder}/")
    if not (name.isdecimal() and path_of(folder, int(name)) == path):
        raise damaged(f"the journal {folder}", f"{path} is no segment of it")
    return int(name)


def path_of(folder: str, number: int) -> str:
    """Return where a segment is."""
    return f"{folder}/{number:0{_DIGITS}d}"
