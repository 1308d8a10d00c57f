"""Spark's own random numbers: what a seed gives in a partition, row by row.

`rand`, `randn` and `sample` draw from the XORShift generator that Spark seeds by a hash, `uuid` and
`shuffle` from a Mersenne twister. Queries call the functions here with a seed and a row's place in
its partition, from 1; the numbers of many rows are made at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

_BLOCK = 1 << 12
"""So many numbers are made at once."""

_KEPT = 4
"""So many blocks of a seed are kept: several columns of a chunk of rows may draw from one seed."""

_WORD = (1 << 32) - 1
_LONG = (1 << 64) - 1


def hashed_seed(seed: int) -> int:
    """Return the state that Spark's XORShiftRandom begins with: two murmur3 hashes of the seed."""
    data = (seed & _LONG).to_bytes(8, "big")
    low = _murmur3(data, 0x3C074A61)
    return _murmur3(data, low) << 32 | low


def _murmur3(data: bytes, seed: int) -> int:
    h = seed
    for at in range(0, len(data), 4):
        h = murmur3_mixed(h, int.from_bytes(data[at : at + 4], "little"))
    return murmur3_finished(h, len(data))


def murmur3_mixed(h: int, word: int) -> int:
    """Return the state of murmur3 after one more word."""
    k = word * 0xCC9E2D51 & _WORD
    h ^= (k << 15 | k >> 17) * 0x1B873593 & _WORD
    return ((h << 13 | h >> 19) * 5 + 0xE6546B64) & _WORD


def murmur3_finished(h: int, size: int) -> int:
    """Return the hash that a state of murmur3 comes to after so many bytes."""
    h ^= size
    h = (h ^ h >> 16) * 0x85EBCA6B & _WORD
    h = (h ^ h >> 13) * 0xC2B2AE35 & _WORD
    return h ^ h >> 16


def _stepped(states: Any) -> Any:
    """Return what follows each state of XORShift."""
    states = states ^ states << np.uint64(21)
    states = states ^ states >> np.uint64(35)
    return states ^ states << np.uint64(4)


@cache
def _jumps() -> list[Any]:
    """Return tables for 1, 2, 4 ... steps at once: a step is linear over bits, so that what follows
    a state is what follows each of its bytes, put together by XOR.
    """
    columns = _stepped(np.uint64(1) << np.arange(64, dtype=np.uint64))
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    tables = []
    for _ in range((2 * _BLOCK).bit_length() - 1):
        parts = np.where(bits.astype(bool), columns.reshape(8, 1, 8), np.uint64(0))
        tables.append(np.bitwise_xor.reduce(parts, axis=2))
        columns = _jumped(tables[-1], columns)
    return tables


def _jumped(table: Any, states: Any) -> Any:
    made = np.zeros_like(states)
    for place in range(8):
        made ^= table[place][(states >> np.uint64(8 * place)) & np.uint64(255)]
    return made


def _uniform_blocks(seed: int) -> Iterator[Any]:
    """Yield blocks of the numbers that nextDouble gives."""
    state = np.array([hashed_seed(seed)], dtype=np.uint64)
    while True:
        states = _stepped(state)
        for table in _jumps():
            states = np.concatenate([states, _jumped(table, states)])
        state = states[-1:]
        high, low = states[0::2] & np.uint64((1 << 26) - 1), states[1::2] & np.uint64((1 << 27) - 1)
        yield ((high << np.uint64(27)) + low).astype(np.float64) * 2.0**-53


def _normal_blocks(seed: int) -> Iterator[Any]:
    """Yield blocks of what Java's nextGaussian makes of them: by Marsaglia's polar method."""
    for drawn in _uniform_blocks(seed):
        pairs = (2 * drawn - 1).reshape(-1, 2)
        squares = pairs[:, 0] * pairs[:, 0] + pairs[:, 1] * pairs[:, 1]
        within = (squares < 1) & (squares != 0)
        pairs, squares = pairs[within], squares[within]
        yield (pairs * np.sqrt(-2 * np.log(squares) / squares)[:, None]).ravel()


def _twister(seed: int) -> Any:
    """Return the Mersenne twister that commons-math seeds so."""
    twister: Any = np.random.RandomState
    return twister([seed >> 32 & _WORD, seed & _WORD])


def _uuid_blocks(seed: int) -> Iterator[Any]:
    twister = _twister(seed)
    while True:
        words = np.frombuffer(twister.bytes(16 * _BLOCK), dtype="<u4").astype(">u4")
        data = words.tobytes()
        yield [_uuid_text(data[at : at + 16]) for at in range(0, len(data), 16)]


def _uuid_text(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    number = number & ~(0xF << 76) | 4 << 76  # version 4
    number = number & ~(0x3 << 62) | 2 << 62  # and its variant
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class _Numbers:
    """The numbers of one seed, by a row's place. What is asked for comes, mostly, in order."""

    def __init__(self, blocks: Callable[[int], Iterator[Any]], seed: int) -> None:
        self._make = partial(blocks, seed)
        self._restart()

    def _restart(self) -> None:
        self._blocks = self._make()
        self._values: list[Any] = []
        self._first = 1

    def __getitem__(self, row: int) -> Any:
        if row < self._first:
            self._restart()
        while row - self._first >= len(self._values):
            if len(self._values) >= _KEPT * _BLOCK:
                self._first += _BLOCK
                del self._values[:_BLOCK]
            made = next(self._blocks)
            self._values += made if isinstance(made, list) else made.tolist()
        return self._values[row - self._first]


class _Shuffler:
    """Orders of arrays, each of which continues where that of the row before it has ended."""

    def __init__(self, seed: int) -> None:
        self._words: Iterator[int] = iter(())
        self._twister = _twister(seed)
        self.row = 0

    def _bits(self) -> int:
        for word in self._words:
            return word >> 1
        self._words = iter(np.frombuffer(self._twister.bytes(4 * _BLOCK), dtype="<u4").tolist())
        return next(self._words) >> 1

    def _below(self, most: int) -> int:
        if most & -most == most:
            return most * self._bits() >> 31
        while True:
            bits = self._bits()
            value = bits % most
            if bits - value + most - 1 < 1 << 31:
                return value

    def order(self, length: int) -> list[int]:
        """Return the places, from 1, of the elements of an array in their new order."""
        found = [0] * length
        for i in range(length):
            j = self._below(i + 1)
            if j != i:
                found[i] = found[j]
            found[j] = i + 1
        return found


_numbers: dict[tuple[str, int], _Numbers] = {}
_shufflers: dict[tuple[int, int], _Shuffler] = {}
_MOST_SEEDS = 64


def _drawing(name: str, blocks: Callable[[int], Iterator[Any]]) -> Callable[[int, int], Any]:
    def drawn(seed: int, row: int) -> Any:
        found = _numbers.get((name, seed))
        if found is None:
            if len(_numbers) >= _MOST_SEEDS:
                del _numbers[next(iter(_numbers))]
            found = _numbers[name, seed] = _Numbers(blocks, seed)
        return found[row]

    return drawn


def _order(site: int, seed: int, row: int, length: int) -> list[int]:
    found = _shufflers.get((site, seed))
    if found is None or row <= found.row:
        found = _shufflers[site, seed] = _Shuffler(seed)
    found.row = row
    return found.order(length)


UNIFORM, NORMAL, UUID, ORDER = (f"aflint_{name}" for name in ("uniform", "normal", "uuid", "order"))


def register(connection: Any, query: str) -> None:
    """Have the functions that a query calls known to the database."""
    _shufflers.clear()
    two = ["BIGINT", "BIGINT"]
    functions: tuple[tuple[str, Any, list[str], str], ...] = (
        (UNIFORM, _drawing(UNIFORM, _uniform_blocks), two, "DOUBLE"),
        (NORMAL, _drawing(NORMAL, _normal_blocks), two, "DOUBLE"),
        (UUID, _drawing(UUID, _uuid_blocks), two, "VARCHAR"),
        (ORDER, _order, [*two, "BIGINT", "BIGINT"], "BIGINT[]"),
    )
    for name, function, arguments, result in functions:
        if name in query and name not in _known:
            connection.create_function(name, function, arguments, result)
            _known.add(name)


_known: set[str] = set()
