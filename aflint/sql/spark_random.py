"""Spark's own random numbers: what a seed gives in a partition, row by row.

`rand`, `randn` and `sample` draw from the XORShift generator that Spark seeds by a hash, `uuid` and
`shuffle` from a Mersenne twister, samples with replacement from a WELL generator. Queries call the
functions here with a seed and a row's place in its partition, from 1; the numbers of many rows are
made at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import islice
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


def _java_longs(seed: int) -> Iterator[int]:
    """Yield what nextLong of Java's own Random gives."""
    state = (seed ^ _JAVA_FACTOR) & _JAVA_MASK
    while True:
        halves = []
        for _ in range(2):
            state = (state * _JAVA_FACTOR + 0xB) & _JAVA_MASK
            halves.append(state >> 16)
        high, low = (half - (half >> 31 << 32) for half in halves)
        yield ((high << 32) + low) & _LONG


_JAVA_FACTOR, _JAVA_MASK = 0x5DEECE66D, (1 << 48) - 1


def _well_doubles(seed: int) -> Iterator[float]:
    """Yield the numbers that nextDouble of commons-math's Well19937c gives."""
    words, size = [seed >> 32 & _WORD, seed & _WORD], 624
    for i in range(2, size):
        before = words[i - 2] - (words[i - 2] >> 31 << 32)  # as a signed number
        words.append((1812433253 * (before ^ before >> 30) + i) & _WORD)
    index, halves = 0, [0, 0]
    while True:
        for half in range(2):
            last, second = (index - 1) % size, (index - 2) % size
            v0, v1 = words[index], words[(index + 70) % size]
            v2, v3 = words[(index + 179) % size], words[(index + 449) % size]
            z0 = (words[last] & 0x80000000) ^ (words[second] & 0x7FFFFFFF)
            z1 = v0 ^ v0 << 25 & _WORD ^ v1 ^ v1 >> 27
            z2 = v2 >> 9 ^ v3 ^ v3 >> 1
            z3 = z1 ^ z2
            z4 = z0 ^ z1 ^ z1 << 9 & _WORD ^ z2 ^ z2 << 21 & _WORD ^ z3 ^ z3 >> 21
            words[index], words[last] = z3, z4
            words[second] &= 0x80000000
            index = last
            z4 ^= z4 << 7 & 0xE46E1700
            z4 ^= z4 << 15 & 0x9B868000
            halves[half] = z4 >> 6
        yield (halves[0] << 26 | halves[1]) * 2.0**-52


def _poisson_blocks(seed: int, partition: int, mean: float) -> Iterator[Any]:
    """Yield blocks of counts by a Poisson distribution, as Spark's sampler draws them for a
    partition.
    """
    drawn = _well_doubles(next(islice(_java_longs(seed), partition, None)))
    least = math.exp(-mean)
    while True:
        counts = []
        for _ in range(_BLOCK):
            count, product = 0, 1.0
            while count < 1000 * mean:
                product *= next(drawn)
                if product < least:
                    break
                count += 1
            counts.append(count)
        yield counts


class _Numbers:
    """The numbers of one seed, by a row's place. What is asked for comes, mostly, in order."""

    def __init__(self, blocks: Callable[..., Iterator[Any]], seed: tuple[Any, ...]) -> None:
        self._make = partial(blocks, *seed)
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


_numbers: dict[tuple[Any, ...], _Numbers] = {}
_shufflers: dict[tuple[int, int], _Shuffler] = {}
_MOST_SEEDS = 64


def _drawn(kind: str, blocks: Callable[..., Iterator[Any]], seed: tuple[Any, ...], row: int) -> Any:
    found = _numbers.get((kind, *seed))
    if found is None:
        if len(_numbers) >= _MOST_SEEDS:
            del _numbers[next(iter(_numbers))]
        found = _numbers[kind, *seed] = _Numbers(blocks, seed)
    return found[row]


def _uniform(seed: int, row: int) -> float:
    return float(_drawn(UNIFORM, _uniform_blocks, (seed,), row))


def _normal(seed: int, row: int) -> float:
    return float(_drawn(NORMAL, _normal_blocks, (seed,), row))


def _uuid(seed: int, row: int) -> str:
    return str(_drawn(UUID, _uuid_blocks, (seed,), row))


def _poisson(seed: int, partition: int, mean: float, row: int) -> int:
    return int(_drawn(POISSON, _poisson_blocks, (seed, partition, mean), row))


def _order(site: int, seed: int, row: int, length: int) -> list[int]:
    found = _shufflers.get((site, seed))
    if found is None or row <= found.row:
        found = _shufflers[site, seed] = _Shuffler(seed)
    found.row = row
    return found.order(length)


UNIFORM, NORMAL, UUID, ORDER, POISSON = (
    f"aflint_{name}" for name in ("uniform", "normal", "uuid", "order", "poisson")
)


def register(connection: Any, query: str) -> None:
    """Have the functions that a query calls known to the database."""
    _shufflers.clear()
    two = ["BIGINT", "BIGINT"]
    functions: tuple[tuple[str, Any, list[str], str], ...] = (
        (UNIFORM, _uniform, two, "DOUBLE"),
        (NORMAL, _normal, two, "DOUBLE"),
        (UUID, _uuid, two, "VARCHAR"),
        (ORDER, _order, [*two, "BIGINT", "BIGINT"], "BIGINT[]"),
        (POISSON, _poisson, [*two, "DOUBLE", "BIGINT"], "BIGINT"),
    )
    for name, function, arguments, result in functions:
        if name in query and name not in _known:
            connection.create_function(name, function, arguments, result)
            _known.add(name)


_known: set[str] = set()
