"""What is fuzzed: functions that take any bytes, and raise only what no decoder may raise.

A target swallows the typed error of its decoder. Where two ways lead to one answer (whole or in
pieces, a value or its own encoding) it takes both and compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from aflint.aws import envelope
from aflint.aws.invocation import failure_of, read_invocation
from aflint.aws.parser import MalformedResponseError, Response, ResponseParser
from aflint.codec import frame
from aflint.errors import AflintError, CorruptInputError, FrameError, TextDecodingError
from aflint.executor.compression import OUTPUT_BYTES, decompress
from aflint.task import Extent, TextSplit
from aflint.transport.frame_run import Layout, LostOutputError, Run, cut
from aflint.wire import pack, unpack
from tests.fuzz import samples
from tests.fuzz.memory import blocks

MOST_BYTES = 3 * OUTPUT_BYTES
"""Decompressed bytes that are looked at: a few may stand for very many."""


@dataclass(frozen=True)
class Target:
    """`run` takes any bytes; `seeds` are real ones."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    memory_bytes: int = 2_000_000
    """What one input of a few KiB may take at most."""


def frames(data: bytes) -> None:
    """Frames without a valid tag are refused, whatever else they hold."""
    try:
        header, _ = frame.decode_frame(data, samples.KEY, "job")
    except FrameError:
        return
    assert header.job == "job"
    assert data in samples.FRAMES


def frame_runs(data: bytes) -> None:
    """A run gives all of its bytes as frames, or is lost."""
    try:
        found = cut(Run(3, "object", Extent(0, len(data))), data)
    except LostOutputError:
        return
    assert b"".join(Layout(1).add({0: found})) == data


def blobs(data: bytes) -> None:
    try:
        found = frame.decompress(data)
    except FrameError:
        return
    assert frame.decompress(frame.compress(found)) == found


def wire_values(data: bytes) -> None:
    """What can be unpacked can be packed, and is then the same."""
    try:
        value = unpack(data)
    except FrameError:
        return
    again = pack(value)
    assert pack(unpack(again)) == again


def envelopes(data: bytes) -> None:
    try:
        envelope.value_of(data.decode("latin-1"))
    except FrameError:
        return


def _parsed(data: bytes, cuts: Sequence[int], bodiless: bool) -> Response | None:
    parser = ResponseParser(bodiless=bodiless)
    for begin, end in pairwise([0, *cuts, len(data)]):
        if parser.feed(data[begin:end]):
            return parser.response() if end == len(data) else None
    return parser.response() if parser.end() else None


def responses(data: bytes) -> None:
    """A response is the same whether its bytes come at once or one by one."""
    for bodiless in (False, True):
        found: list[Response | None] = []
        for cuts in ((), range(1, len(data))):
            try:
                found.append(_parsed(data, cuts, bodiless))
            except MalformedResponseError:
                found.append(None)
        assert found[0] == found[1]


def invocations(data: bytes) -> None:
    """The first line is the log in base64, the rest the body."""
    log, _, body = data.partition(b"\n")
    try:
        invocation = read_invocation(body, "Unhandled", "1", log.decode("latin-1"))
    except AflintError:
        return
    assert isinstance(failure_of(invocation, "f", "it"), AflintError)


def text(data: bytes) -> None:
    """Wherever a file is cut, each line comes once. The first two bytes say where."""
    head, data = data[:2], data[2:]
    places = sorted({at % (len(data) + 1) for at in head} - {0, len(data)})
    borders = [0, *places, len(data)]
    found = [
        line
        for start, end in pairwise(borders)
        for block, _ in blocks(data, TextSplit("f", start, end, len(data), errors="replace"))
        for line in block
    ]
    lines = re.split(rb"\r\n|\n|\r", data.removeprefix(b"\xef\xbb\xbf"))
    if not lines[-1]:
        lines.pop()
    assert found == [line.decode("utf-8", "replace") for line in lines]
    for encoding in ("utf-8", "utf-16", "shift_jis"):
        split = TextSplit("f", 0, len(data), len(data), encoding=encoding)
        try:
            for _ in blocks(data, split):
                pass
        except TextDecodingError:
            continue


def compressed(kind: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        """Damaged or not: bounded steps, the same for whole and for single bytes."""
        found = []
        for size in (len(data) or 1, 1):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            found.append(_first(decompress(pieces, kind, "path")))
        assert found[0] == found[1] or MOST_BYTES in [len(each or b"") for each in found]

    return run


def _first(steps: Iterator[bytes]) -> bytes | None:
    """Return the first bytes that come; None where there is an error before them."""
    made = bytearray()
    try:
        for step in steps:
            assert len(step) <= 2 * OUTPUT_BYTES
            made += step
            if len(made) >= MOST_BYTES:
                break
    except CorruptInputError:
        return None
    return bytes(made[:MOST_BYTES])


TARGETS: Mapping[str, Target] = {
    "frame": Target(frames, samples.FRAMES),
    "frame run": Target(frame_runs, samples.RUNS),
    "blob": Target(blobs, samples.BLOBS),
    "wire": Target(wire_values, samples.PACKED),
    "envelope": Target(envelopes, samples.ENVELOPES),
    "response": Target(responses, samples.RESPONSES),
    "invocation": Target(invocations, samples.INVOCATIONS),
    "text": Target(text, [b"\x07\x20" + samples.TEXT, b"\x00\x00", b"\x03\x04ab\r\ncd\n"]),
    "gzip": Target(compressed("gzip"), samples.GZIPPED, 40_000_000),
    "deflate": Target(compressed("deflate"), samples.DEFLATED, 40_000_000),
    "xz": Target(compressed("xz"), samples.XZ, 40_000_000),
    "lz4": Target(compressed("lz4"), samples.LZ4, 40_000_000),
    "bz2": Target(compressed("bz2"), samples.BZIPPED, 40_000_000),
    "zstd": Target(compressed("zstd"), samples.ZSTANDARD, 40_000_000),
}
