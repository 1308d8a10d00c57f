"""Real encoded values: what the fuzzing of decoders begins with."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from binascii import b2a_base64
from collections.abc import Sequence

import lz4.block
import lz4.frame
import zstandard

from aflint.aws import envelope
from aflint.codec import frame
from aflint.counts import pack_counts
from aflint.task import (
    Blob,
    BlocksSplit,
    Continuation,
    DataSplit,
    Extent,
    Input,
    InShuffle,
    Manifest,
    MapOutput,
    MapStatus,
    RangeSplit,
    ShuffleHandle,
    TaskDescription,
    TaskFailure,
    TaskId,
    TaskMetrics,
    TaskResult,
    TextSplit,
)
from aflint.transport.frame_run import Layout
from aflint.wire import pack

KEY = b"k" * 32
HANDLE = ShuffleHandle("job", 1, 3, ("url", 5))
OUTPUTS = (MapOutput(0, 0, 0, 2, 10), MapOutput(1, 2, 1, 1, 9, "s3://b/k", (Extent(0, 9),)))
TASK = TaskDescription(
    TaskId("job", 0, 1, 2),
    Blob("digest", 3, b"abc"),
    (
        Input(0, 1, RangeSplit(0, 5, 1)),
        Input(1, 1, Manifest(HANDLE, 1, OUTPUTS)),
        Input(2, 0, TextSplit("s3://b/k", 0, 2**40, 2**41)),
        Input(3, 0, DataSplit((Blob("d", 1, b"x"),))),
    ),
    HANDLE,
    ("sqs", None),
    "s3://b/jobs/1",
    continuation=Continuation(InShuffle({0: ((1, 2, 3, 4),)}, BlocksSplit("p", 2**70))),
)
ID = TaskId("job-\udcff", 3, 4, 0, 2)
STATUS = MapStatus(4, 0, 2, pack_counts([1, 2]), pack_counts([70, 9]), "", (pack_counts([0]),) * 3)
VALUES = [
    TASK,
    TaskResult(ID, value=Blob("v", 1, b"v"), metrics=TaskMetrics(1.5, cold_start=True), logs="x\n"),
    TaskResult(ID, map_statuses=(STATUS,), stored=((1, 2, BlocksSplit("s3://b/k", 9)),)),
    TaskResult(ID, failure=TaskFailure("TaskError", "boom", {"partition": 4}, b"\x80\x05N.")),
    (None, True, -(2**80), 1.5, {"a": 1, 2: ()}, "\ud800"),
]
PACKED = [pack(value) for value in VALUES]
FRAMES = [
    frame.encode_frame(frame.FrameHeader("job", 1, 2, 3, 4, 5, 6, 7), b"x" * 500, KEY),
    frame.encode_frame(frame.FrameHeader("job", 2**32 - 1, 0, 0, 0, 0, 0, 1), b"\x00\x01", KEY),
    frame.encode_frame(frame.FrameHeader("j" * 255, 1, 1, 1, 1, 1, 1, 1), bytes(range(256)), KEY),
]
RUNS = [b"".join(Layout(1000).add({0: some})) for some in ([], FRAMES[:1], FRAMES, [b"", b"a"])]
ENVELOPES = [envelope.text_of(packed).encode() for packed in PACKED]
BLOBS = [frame.compress(data) for data in (b"", b"x", b"hello " * 200, bytes(range(256)) * 4)]

HEAD = b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: 1\r\n"
RESPONSES = [
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    b"HTTP/1.0 503 Slow Down\r\n\r\n<Error/>",
]
REPORT = (
    "REPORT RequestId: 8f5\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\t"
    "Max Memory Used: 80 MB\tInit Duration: 100.01 ms\tError Type: Runtime.OutOfMemory\n"
)
JSON_REPORT = json.dumps(
    {
        "type": "platform.report",
        "record": {
            "metrics": {
                "durationMs": 12.34,
                "billedDurationMs": 13,
                "memorySizeMB": 512,
                "maxMemoryUsedMB": 80,
                "initDurationMs": 100.01,
            },
            "errorType": "Runtime.ExitError",
        },
    }
)
TEXT = b"\xef\xbb\xbfone\ntwo\r\nthree\rf\xc3\xb6ur\xff\n\n\r\r\n" + b"line " * 40 + b"\nlast"
LINES = b"".join(b"line %d\n" % number for number in range(60))
GZIPPED = [gzip.compress(LINES, mtime=0), gzip.compress(b"a", mtime=0) * 2 + bytes(9)]
DEFLATED = [zlib.compress(LINES), zlib.compress(b"a") * 2]
XZ = [lzma.compress(LINES), lzma.compress(b"a") + bytes(4) + lzma.compress(b"b")]
XZ.append(lzma.compress(LINES, lzma.FORMAT_ALONE))


def hadoop_lz4(*blocks: Sequence[bytes]) -> bytes:
    """Blocks, each of chunks, as Hadoop's Lz4Codec writes them."""
    made = b""
    for chunks in blocks:
        made += sum(map(len, chunks)).to_bytes(4, "big")
        for chunk in chunks:
            data = lz4.block.compress(chunk, store_size=False)
            made += len(data).to_bytes(4, "big") + data
    return made


LZ4 = [
    lz4.frame.compress(LINES) + lz4.frame.compress(b"tail"),
    hadoop_lz4([LINES]),
    hadoop_lz4([b"a" * 1000, b"b"], [], [b"c"]),
]
BZIPPED = [bz2.compress(LINES), bz2.compress(b"a") * 2]
ZSTANDARD = [
    zstandard.ZstdCompressor(write_checksum=True).compress(LINES),
    zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 300) * 2,
    b"\x5f\x2a\x4d\x18\x03\x00\x00\x00abc" + zstandard.compress(b"tail"),
]
INVOCATIONS = [
    b2a_base64(log.encode(), newline=False) + b"\n" + body
    for log, body in (
        (f"START\n{REPORT}", ENVELOPES[1]),
        (
            f"{JSON_REPORT}\n",
            b'{"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"}',
        ),
        ("", b'{"at": "s3://b/k"}'),
    )
]
