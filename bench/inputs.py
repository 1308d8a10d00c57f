"""The inputs of workloads: made up, of any size, the same on every machine."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from examples.taxi.generate import WEATHER, generate

Make = Callable[[Path, int], dict[str, Any]]

_CHUNK = 10_000  # records made at once
_LINE_WORDS = 10
_VOCABULARY = 1_800_000
_FILLER = 36

RECORD = 100
"""Bytes of a record of the sort benchmark, with its end of line."""
_KEY = 10
_PRINTABLE = bytes(33 + value % 94 for value in range(256))


def taxi(folder: Path, trips: int) -> dict[str, Any]:
    """Trips in twelve files and the weather, as `examples.taxi` makes them."""
    generate(folder, trips, seed=1)
    paths = [str(path) for path in sorted(folder.glob("*_tripdata_*.csv"))]
    return {"trips": paths, "weather": str(folder / WEATHER)}


def words(folder: Path, count: int) -> dict[str, Any]:
    """Lines of ten words, few of them often and many of them seldom."""
    chance = random.Random(1)
    some = [f"w{int(chance.paretovariate(0.8)) % _VOCABULARY}" for _ in range(400_000)]
    lines = (" ".join(chance.choices(some, k=_LINE_WORDS)) for _ in range(count // _LINE_WORDS))
    return {"words": _write(folder / "words.txt", lines)}


def sortable(folder: Path, count: int) -> dict[str, Any]:
    """Records as `gensort -a` makes them, but with a line feed in place of both ends of line: a key
    of ten printable characters without the space, two spaces, the number in hex, and a filler.
    """
    chance = random.Random(1)

    def lines() -> Iterator[str]:
        for start in range(0, count, _CHUNK):
            many = min(_CHUNK, count - start)
            keys = chance.randbytes(_KEY * many).translate(_PRINTABLE).decode("ascii")
            for number in range(many):
                at = number * _KEY
                yield f"{keys[at : at + _KEY]}  {start + number:032X}  {start + number:053d}"

    return {"records": _write(folder / "records.txt", lines())}


def zipf(folder: Path, count: int) -> dict[str, Any]:
    """Lines of a key and a text: of a million keys, the n-th is 1/n times as frequent as the
    first.
    """
    chance = random.Random(1)
    keys = max(min(1_000_000, count // 4), 2)
    lines = (
        f"k{int(keys ** chance.random())} {chance.getrandbits(144):036x}" for _ in repeat(0, count)
    )
    return {"pairs": _write(folder / "pairs.txt", lines)}


def pairs(share: float) -> Make:
    """Return what makes lines of a key and a number; there are `share` times as many keys."""

    def make(folder: Path, count: int) -> dict[str, Any]:
        return {"pairs": _pairs(folder / "pairs.txt", count, max(int(count * share), 1), 1)}

    return make


def two_tables(folder: Path, count: int) -> dict[str, Any]:
    """Two files of pairs: one of a tenth as many as the other, with two for each key."""
    keys = max(count // 20, 1)
    left = _pairs(folder / "left.txt", count, keys, 1)
    return {"left": left, "right": _pairs(folder / "right.txt", max(count // 10, 1), keys, 2)}


def with_names(folder: Path, count: int) -> dict[str, Any]:
    """Pairs of few keys, and the names of these."""
    keys = 1_000
    names = (f"{key} name{key % 37}" for key in range(keys))
    return {
        "pairs": _pairs(folder / "pairs.txt", count, keys, 1),
        "names": _write(folder / "names.txt", names),
    }


def edges(folder: Path, count: int) -> dict[str, Any]:
    """The edges of a random graph with a fifth as many vertices."""
    chance, vertices = random.Random(1), max(count // 5, 2)
    ends = (f"{chance.randrange(vertices)} {chance.randrange(vertices)}" for _ in repeat(0, count))
    return {"edges": _write(folder / "edges.txt", ends)}


def points(folder: Path, count: int) -> dict[str, Any]:
    """Points of eight coordinates about ten centres."""
    chance = random.Random(1)
    middles = [[chance.uniform(-10, 10) for _ in range(8)] for _ in range(10)]

    def lines() -> Iterator[str]:
        for _ in repeat(0, count):
            near = middles[chance.randrange(10)]
            yield " ".join(f"{chance.gauss(value, 2):.3f}" for value in near)

    return {"points": _write(folder / "points.txt", lines())}


def nothing(folder: Path, count: int) -> dict[str, Any]:
    """No file: the workload makes its records itself."""
    return {}


def digest_sorted(folder: Path) -> list[int]:
    """Return how many lines the files of a folder hold, and the sum of their checksums.

    Raises ValueError unless the lines are in order, file after file by name.
    """
    count = checksum = 0
    last = b""
    for path in sorted(path for path in folder.iterdir() if path.name[0] not in "._"):
        with path.open("rb") as file:
            while lines := file.readlines(1 << 24):
                found = [line.rstrip(b"\r\n") for line in lines]
                keys = [last, *(line[:_KEY] for line in found)]
                if keys != sorted(keys):
                    raise ValueError(f"{path} is not in order")
                last = keys[-1]
                count += len(found)
                checksum += sum(map(zlib.crc32, found))
    return [count, checksum]


def _pairs(path: Path, count: int, keys: int, seed: int) -> str:
    chance = random.Random(seed)
    lines = (
        f"{int(chance.random() * keys)} {int(chance.random() * 1_000_000)}"
        for _ in repeat(0, count)
    )
    return _write(path, lines)


def _write(path: Path, lines: Iterable[str]) -> str:
    with path.open("w", encoding="ascii", newline="\n") as out:
        out.writelines(f"{line}\n" for line in lines)
    return str(path)
