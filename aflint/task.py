"""The wire types: what the driver tells an executor, and what it hears back.

All are frozen dataclasses of plain data, encoded by `aflint.wire`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aflint.frozen import quick
from aflint.wire import wire


@wire
@quick
@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes known by their content: inline while small, else in storage at `location`."""

    digest: str
    size: int
    data: bytes | None = None
    location: str | None = None


@wire
@dataclass(frozen=True, slots=True)
class RangeSplit:
    """The integers of range(start, stop, step)."""

    start: int
    stop: int
    step: int


@wire
@dataclass(frozen=True, slots=True)
class DataSplit:
    """Records handed over by the driver, as blocks of the record codec."""

    blocks: tuple[Blob, ...]


@wire
@quick
@dataclass(frozen=True, slots=True)
class TextSplit:
    """Lines that begin in bytes (start, end] of a text file of `size` bytes, and at byte 0.

    They are read only while the file is the `version` that was listed: see `FileInfo`.

    A compressed file (`compression` of "gzip", "bz2", "zstd") is one split: 0 to its size.
    """

    path: str
    start: int
    end: int
    size: int
    compression: str | None = None
    encoding: str = "utf-8"
    errors: str = "strict"
    version: str = ""


@wire
@dataclass(frozen=True, slots=True)
class FilesSplit:
    """Whole files: (path, str) for a `kind` of "text", (path, bytes) for "binary", the records for
    "pickle". `versions` are those of the files; none for files that are not checked.
    """

    paths: tuple[str, ...]
    sizes: tuple[int, ...]
    kind: str
    encoding: str = "utf-8"
    errors: str = "strict"
    versions: tuple[str, ...] = ()


@wire
@dataclass(frozen=True, slots=True)
class BlocksSplit:
    """Blocks of the record codec that an earlier task stored: cached or checkpointed partitions.

    `tagged`: its reader must find the tags that only this deployment's, or session's, tasks make.
    `any_order`: had another attempt stored them, they might lie in another order. `held`: those who
    read them may keep them in memory.
    """

    path: str
    size: int
    tagged: bool = False
    any_order: bool = False
    held: bool = False


@wire
@dataclass(frozen=True, slots=True)
class StagedPart:
    """One partition that a save has written to `staged`, to be moved to `name` when committed."""

    staged: str
    name: str
    size: int = 0
    records: int = 0


@wire
@quick
@dataclass(frozen=True, slots=True)
class Extent:
    """A run of whole frames in a shuffle file or object: `length` bytes from `offset`."""

    offset: int
    length: int


@wire
@quick
@dataclass(frozen=True, slots=True)
class MapStatus:
    """Where one accepted attempt of a map task left its output.

    Of the frames for each reduce partition, `frames` has how many there are, and `sizes` their
    bytes; both are packed, see `aflint.counts`. Where frames lie in `object` rather than in a queue
    or in memory, `rows` or the columns `extents` say where in it: see `aflint.map_outputs`. Where
    all lie there in rows, `sizes` is empty, as it follows from these.
    """

    map: int
    attempt: int
    link: int
    frames: bytes
    sizes: bytes
    object: str = ""
    extents: tuple[bytes, ...] = ()
    rows: tuple[bytes, ...] = ()


@wire
@quick
@dataclass(frozen=True, slots=True)
class MapOutput:
    """One line of a manifest: what a map attempt, or a link of it, wrote for one partition."""

    map: int
    attempt: int
    link: int
    frames: int
    size: int
    object: str = ""
    extents: tuple[Extent, ...] = ()


@wire
@dataclass(frozen=True, slots=True)
class ShuffleHandle:
    """An open shuffle. `address` is the transport's own (queue URLs, a folder, a prefix)."""

    job: str
    shuffle: int
    partitions: int
    address: Any = None


@wire
@quick
@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a reduce task may read of one shuffle: these frames, and no other.

    `outputs` are read as often as needed. The driver's are made as they are read, and travel as
    columns: see `aflint.map_outputs`.
    """

    handle: ShuffleHandle
    partition: int
    outputs: Sequence[MapOutput]


@wire
@quick
@dataclass(frozen=True, slots=True)
class Input:
    """What one leaf of a stage's tree reads for one of its partitions."""

    leaf: int
    partition: int
    split: Any


FrameId = tuple[int, int, int, int]
"""(map, attempt, link, sequence): which frame of a reduce partition."""


@wire
@dataclass(frozen=True, slots=True)
class InSource:
    """Behind `skip` records from `position` on, which is the source's own: None is its beginning.

    The source is the task's split, or a file of records that an earlier link `stored`.
    """

    position: int | tuple[int, int] | None = None
    skip: int = 0
    stored: BlocksSplit | None = None


@wire
@dataclass(frozen=True, slots=True)
class InShuffle:
    """Between two frames of shuffles: those `seen`, by leaf, and what was made of them so far."""

    seen: dict[int, tuple[FrameId, ...]] = field(default_factory=dict)
    state: BlocksSplit | None = None


@wire
@dataclass(frozen=True, slots=True)
class Continuation:
    """How the next link of a chained task takes over: where the input stands, what is carried."""

    position: InSource | InShuffle
    state: Blob | None = None


@wire
@quick
@dataclass(frozen=True, slots=True)
class TaskId:
    """One attempt of one task. `link` counts the invocations of a chained task, from 0."""

    job: str
    stage: int
    partition: int
    attempt: int
    link: int = 0

    def __str__(self) -> str:
        """Return the ids as a path, job/stage/partition/attempt, by which logs can be searched."""
        path = f"{self.job}/{self.stage}/{self.partition}/{self.attempt}"
        return f"{path}.{self.link}" if self.link else path


@wire
@dataclass(frozen=True, slots=True)
class AwsEndpoints:
    """Where executors find SQS and S3, as aiobotocore resolved it on the driver.

    `sqs`, `s3` and `s3_path` are URLs, the last two of a bucket: {bucket} stands for its name (with
    dots in it, in `s3_path`), {region} for where it is. Without them executors ask aiobotocore,
    which is given `region` and `endpoint_url`.
    """

    region: str
    endpoint_url: str | None = None
    sqs: str = ""
    s3: str = ""
    s3_path: str = ""


@wire
@quick
@dataclass(frozen=True, slots=True)
class TaskDescription:
    """All that an executor needs to run one attempt."""

    id: TaskId
    program: Blob
    inputs: tuple[Input, ...]
    output: ShuffleHandle | None = None
    transport: tuple[Any, ...] = ()
    storage: str = ""
    memory_mb: int = 0
    max_result_bytes: int = 0
    fetch_timeout_s: float = 60.0
    logs: bool = False
    keep: bool = False
    """Whether it is kept with all that it reads where user code fails it."""
    debug: bool = False
    """Whether aflint's own debug log is written while it runs."""
    continuation: Continuation | None = None
    aws: AwsEndpoints | None = None
    executor: str = ""
    """The name of the executor that is to run it, if that is free: it may hold what is read."""

    @property
    def combines_a_share(self) -> bool:
        """Whether it combines once more what tasks of its own stage wrote: a share of a skewed
        partition. No other task reads the shuffle that it writes.
        """
        if self.output is None:
            return False
        written = (self.output.job, self.output.shuffle)
        read = (each.split.handle for each in self.inputs if isinstance(each.split, Manifest))
        return any((handle.job, handle.shuffle) == written for handle in read)


@wire
@quick
@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """What one attempt did, in the units that AWS bills and that people look at.

    Seconds are wall-clock seconds of the executor; bytes are as stored or sent (compressed). Of its
    `seconds` it spent `load_seconds` on its program, and waited `read_seconds` for input,
    `fetch_seconds` for shuffled frames and `write_seconds` for these to be taken; the rest is
    computing. User code waited `delay_seconds` for a processor that others had meanwhile. What a
    shuffle's bytes hold that went by objects or files, and not by queues, is counted as
    `_object_bytes`, too.
    `memory_mb` is that of the function that ran it, 0 where no function did. `rejected_frames`
    counts, by the reason, what a reader was given that was no frame of its job.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    input_bytes: int = 0
    shuffle_read_bytes: int = 0
    shuffle_read_frames: int = 0
    shuffle_write_bytes: int = 0
    shuffle_write_frames: int = 0
    spilled_bytes: int = 0
    result_bytes: int = 0
    rejected_frames: dict[str, int] = field(default_factory=dict)
    sqs_requests: int = 0
    s3_puts: int = 0
    s3_gets: int = 0
    cold_start: bool = False
    init_seconds: float = 0.0
    billed_seconds: float = 0.0
    memory_mb: int = 0
    input_records: int = 0
    output_bytes: int = 0
    output_records: int = 0
    shuffle_read_records: int = 0
    shuffle_read_object_bytes: int = 0
    shuffle_write_records: int = 0
    shuffle_write_object_bytes: int = 0
    load_seconds: float = 0.0
    read_seconds: float = 0.0
    fetch_seconds: float = 0.0
    write_seconds: float = 0.0
    delay_seconds: float = 0.0

    @property
    def computing_seconds(self) -> float:
        """What it would have computed for on a processor of its own, which as many seconds took."""
        return self.cpu_seconds + self.delay_seconds


@dataclass(slots=True)
class TransferCounts:
    """Requests to AWS so far, as AWS bills them: `s3_puts` are all of S3's class A."""

    sqs_requests: int = 0
    s3_puts: int = 0
    s3_gets: int = 0

    def __add__(self, other: TransferCounts) -> TransferCounts:
        return TransferCounts(
            self.sqs_requests + other.sqs_requests,
            self.s3_puts + other.s3_puts,
            self.s3_gets + other.s3_gets,
        )

    def __sub__(self, other: TransferCounts) -> TransferCounts:
        return self + TransferCounts(-other.sqs_requests, -other.s3_puts, -other.s3_gets)


@wire
@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why an attempt failed: the name of an error of `aflint.errors`, and what it carries.

    `exception` is the user's own exception, pickled, where that was possible. `lineless` says that
    the message has no line of the user's program in it.
    """

    kind: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    exception: bytes | None = None
    lineless: bool = False


@wire
@quick
@dataclass(frozen=True, slots=True)
class TaskResult:
    """What came of one attempt: exactly one of value, map_status, continuation or failure.

    `value` is one block of the record codec. `accumulators` are pickled updates. `stored` are the
    partitions that the attempt cached on its way: (node id, partition, split to read it by).
    `executor` names the worker, or the function's environment, that ran it.
    """

    id: TaskId
    value: Blob | None = None
    map_statuses: tuple[MapStatus, ...] = ()
    continuation: Continuation | None = None
    failure: TaskFailure | None = None
    accumulators: bytes | None = None
    stored: tuple[tuple[int, int, Any], ...] = ()
    metrics: TaskMetrics = TaskMetrics()
    logs: str = ""
    executor: str = ""
