"""What it costs to write and read a block of records, beside pickle protocol 5, both under lz4."""

from __future__ import annotations

import datetime
import gc
import importlib.util
import pickle
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import lz4.block
import lz4.frame

from aflint.codec import records
from bench.report import Goal, Report, Sample, paired_ratio
from bench.workload import Options, Say, Workload

RECORDS = 200_000
QUICK_RECORDS = 2_000
SMALL_BLOCK = 5
ROUNDS = 3
SUBJECT, PEER = "aflint", "pickle 5 + lz4"
LEAST_RATIO = 2.0
PROMISED = ("(str, int) pairs", "nested tuples", "dicts")

Block = list[Any]
Codec = tuple[Callable[[Block], bytes], Callable[[bytes], Block]]


@dataclass(frozen=True)
class Trip:
    """A record that only pickle can carry."""

    name: str
    passengers: int
    fare: float


def cases(size: int) -> dict[str, list[Block]]:
    """Return the blocks of each case: `size` records in all, and fewer of what is slow."""
    chance = random.Random(1)
    names = [f"key{chance.randrange(size // 4)}" for _ in range(size)]
    counts = [chance.randrange(1_000_000) for _ in range(size)]
    pairs = list(zip(names, counts, strict=True))
    start = datetime.datetime(2026, 1, 1)
    found: dict[str, Block] = {
        "(str, int) pairs": pairs,
        "nested tuples": [((name, n), (n % 7, (name, n * 0.5))) for name, n in pairs],
        "dicts": [{"name": name, "count": n, "fare": n * 0.37} for name, n in pairs],
        "ints": counts,
        "strings": names,
        "floats": [n * 0.37 for n in counts],
        "mixed": [chance.choice((name, n, None, n * 0.5)) for name, n in pairs],
        "groups": [(name, [n, n + 1, n * 2]) for name, n in pairs],
        "dataclasses": [Trip(name, n, n * 0.37) for name, n in pairs],
        "datetimes": [(name, start + datetime.timedelta(seconds=n)) for name, n in pairs],
    }
    if importlib.util.find_spec("numpy"):
        import numpy as np

        found["numpy arrays"] = [(name, np.arange(8) + n) for name, n in pairs[: size // 20]]
    blocks = {name: [block] for name, block in found.items()}
    starts = range(0, size // 4, SMALL_BLOCK)
    return blocks | {
        f"blocks of {SMALL_BLOCK} pairs": [pairs[at : at + SMALL_BLOCK] for at in starts]
    }


async def run(options: Options, say: Say) -> Report:
    """Measure CPU seconds of writing and reading, and compare what was read with the written."""
    size = QUICK_RECORDS if options.quick else RECORDS
    rounds = options.number_of_rounds(ROUNDS)
    samples: list[Sample] = []
    sizes: list[str] = []
    for name, blocks in cases(size).items():
        say(name)
        found = _measure(name, blocks, rounds)
        samples += found
        sizes.append(f"{name} {_size(blocks, SUBJECT) / _size(blocks, PEER):.2f}")
    return Report(
        "codec",
        f"{size:,} records written and read",
        "python -m bench codec",
        tuple(samples),
        tuple(_goals(samples)),
        (
            "Seconds are CPU seconds of this one process.",
            f"Compressed bytes, {SUBJECT} over {PEER}: {', '.join(sizes)}.",
        ),
    )


def _aflint_encode(block: Block) -> bytes:
    packed: bytes = lz4.block.compress(records.encode(block))
    return packed


def _aflint_decode(data: bytes) -> Block:
    return records.decode(lz4.block.decompress(data))


def _pickle_encode(block: Block) -> bytes:
    packed: bytes = lz4.frame.compress(pickle.dumps(block, 5))
    return packed


def _pickle_decode(data: bytes) -> Block:
    block: Block = pickle.loads(lz4.frame.decompress(data))
    return block


CODECS: dict[str, Codec] = {
    SUBJECT: (_aflint_encode, _aflint_decode),
    PEER: (_pickle_encode, _pickle_decode),
}


def _measure(case: str, blocks: list[Block], rounds: int) -> list[Sample]:
    spent: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for peer, (encode, decode) in CODECS.items():
            encoding, written = _timed(partial(_each, encode, blocks))
            decoding, read = _timed(partial(_each, decode, written))
            if not number:
                _check(case, peer, blocks, read)
                continue
            for part, seconds in _parts(case, encoding, decoding).items():
                spent.setdefault((part, peer), []).append(seconds)
    return [Sample(part, peer, tuple(all_), tuple(all_)) for (part, peer), all_ in spent.items()]


def _parts(case: str, encoding: float, decoding: float) -> dict[str, float]:
    return {
        case: encoding + decoding,
        f"{case}: encode": encoding,
        f"{case}: decode": decoding,
    }


def _each(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    return [function(item) for item in items]


def _timed(function: Callable[[], list[Any]]) -> tuple[float, list[Any]]:
    gc.collect()
    started = time.process_time()
    result = function()
    return time.process_time() - started, result


def _check(case: str, peer: str, blocks: list[Block], read: list[Block]) -> None:
    if repr(blocks[0][:100]) != repr(read[0][:100]) or len(blocks[0]) != len(read[0]):
        raise AssertionError(f"{peer} read something else than it wrote: {case}")


def _size(blocks: list[Block], peer: str) -> int:
    encode, _ = CODECS[peer]
    return sum(len(encode(block)) for block in blocks)


def _goals(samples: list[Sample]) -> list[Goal]:
    seconds = {(sample.case, sample.peer): sample.seconds for sample in samples}
    return [
        Goal(
            f"{case}: times as fast as {PEER}",
            LEAST_RATIO,
            paired_ratio(seconds[case, PEER], seconds[case, SUBJECT]),
            at_most=False,
        )
        for case in PROMISED
    ]


WORKLOAD = Workload("codec", "Records to bytes and back", run)
