"""Runs one attempt of one task: the same code in a Lambda function and in a local worker."""

from __future__ import annotations

import logging
import operator
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aflint.codec import closure, frame, records
from aflint.codec.digest import checked_blob, digest_of
from aflint.codec.pairs import Block
from aflint.codec.secret import Secret
from aflint.executor import pipeline
from aflint.executor.aggregate import Spiller, combine_partially, identity
from aflint.executor.chaining import Chain, PausedError, TimeLimit, is_cuttable
from aflint.executor.context import TaskContext, running
from aflint.executor.failure import describe
from aflint.executor.fusion import Flow
from aflint.executor.held import HeldPartitions
from aflint.executor.inputs import Inputs
from aflint.executor.io_loop import IOLoop, Stopwatch
from aflint.executor.keeping import keep
from aflint.executor.memory import MemoryWatch, peak_bytes
from aflint.executor.order import by_content, comes_in_any_order
from aflint.executor.output_capture import captured_output
from aflint.executor.partition import place
from aflint.executor.processor import delayed_s
from aflint.executor.ranges import Reading
from aflint.executor.shuffle import ShuffleOutput
from aflint.executor.sinks import save_pickle, save_text
from aflint.executor.spill import SpillFolder
from aflint.map_outputs import object_bytes
from aflint.plan.lineage import GroupPartitioner, RoundRobinPartitioner
from aflint.plan.program import (
    Count,
    Program,
    ReadShuffle,
    Return,
    SavePickle,
    SaveText,
    Sink,
    WriteShuffle,
)
from aflint.storage.base import Storage
from aflint.task import (
    Blob,
    Continuation,
    MapStatus,
    StagedPart,
    TaskDescription,
    TaskMetrics,
    TaskResult,
    TransferCounts,
)
from aflint.transport.base import Transport

_log = logging.getLogger("aflint.executor")

_MOST_PROGRAMS = 32


@dataclass(slots=True)
class Executor:
    """What one process keeps between tasks.

    `transport_for` makes the transport that a task's description names; it is made once. Tasks
    spill to `scratch` up to `scratch_bytes`, then to storage. The keys of their frames come from
    `secret`.
    """

    io: IOLoop
    storage: Storage
    transport_for: Callable[[tuple[Any, ...]], Transport]
    scratch: Path
    secret: Secret
    scratch_bytes: int | None = None
    # What results say that they are from.
    name: str = ""
    clock: Callable[[], float] = time.monotonic
    held: HeldPartitions = field(default_factory=HeldPartitions)
    # By what `create_transport` makes them of.
    _transports: dict[tuple[Any, ...], Transport] = field(default_factory=dict)
    # The latest programs by digest, the one used last at the end.
    _programs: OrderedDict[str, bytes] = field(default_factory=OrderedDict)

    def run(self, task: TaskDescription, deadline: float | None = None) -> TaskResult:
        """Run an attempt and return its result; whatever goes wrong is a result, too.

        With a `deadline`, in seconds of `clock`, a task that comes near it stops, and its
        result is a Continuation.
        """
        started, cpu, delay = time.perf_counter(), time.process_time(), delayed_s()
        # A copy: the storage goes on counting in its own.
        before = self.storage.counts + TransferCounts()
        with captured_output(task.logs, task.debug) as logs:
            _log.debug("%s runs program %s", task.id, task.program.digest)
            try:
                result = self._attempt(task, TimeLimit(deadline, self.clock))
            except BaseException as error:  # sys.exit() in user code is an error like any other
                result = TaskResult(task.id, failure=describe(error, task.id))
            _log.debug("%s ends: %s", task.id, result.failure.kind if result.failure else "done")
        asked = self.storage.counts - before
        metrics = replace(
            result.metrics,
            s3_puts=result.metrics.s3_puts + asked.s3_puts,
            s3_gets=result.metrics.s3_gets + asked.s3_gets,
            seconds=time.perf_counter() - started,
            cpu_seconds=time.process_time() - cpu,
            delay_seconds=delayed_s() - delay,
            peak_memory_bytes=peak_bytes(),
        )
        return replace(result, metrics=metrics, logs=logs.text(), executor=self.name)

    def close(self) -> None:
        """Let go of transports and storage."""
        for transport in self._transports.values():
            self.io.run(transport.aclose())
        self.io.run(self.storage.aclose())

    def _attempt(self, task: TaskDescription, limit: TimeLimit) -> TaskResult:
        transport = self._transport(task)
        most_frame_bytes = transport.traits.max_frame_bytes if transport is not None else 0
        self.held.allow_share_of(task.memory_mb)
        # What is held is not there for what tasks take for themselves, as databases do.
        memory_mb = task.memory_mb and max(1, task.memory_mb - (self.held.bytes >> 20))
        context = TaskContext(task.id, self._fetch, memory_mb, str(self.scratch), most_frame_bytes)
        with running(context):
            loading = Stopwatch()
            with loading.running():
                program: Program = closure.loads(self._program(task.program))
            if task.combines_a_share:
                program = _combining_again(program)
            spill = self._spill_folder(task)
            watch = MemoryWatch(task.memory_mb, self.held.release)
            spiller = Spiller(watch, spill)
            # Without a time limit nothing has to be cut, and nothing looks at the clock.
            cuttable = limit.bounded and is_cuttable(program, task.id.partition)
            control = Chain(task.id, limit, cuttable, task.continuation)
            inputs = Inputs(
                task, self.secret, self.storage, transport, self.io, spiller, control, self.held
            )
            context.reading = Reading(self.storage, self.io, inputs.source_counts)
            try:
                result = self._run_link(program, task, inputs)
            except BaseException as error:
                # Described here, where what was read until then can be counted: it is billed, too.
                failure = describe(error, task.id)
                self.held.drop(split.path for _, _, split in inputs.stored)
                if task.keep:
                    failure = keep(task, failure, inputs, self._fetch)
                return TaskResult(
                    task.id,
                    failure=failure,
                    metrics=_add_reads(TaskMetrics(), inputs, spill, loading),
                )
            finally:
                inputs.close()
            accumulators = closure.dumps(context.accumulated, "accumulator updates")
        return replace(
            result,
            accumulators=accumulators if context.accumulated else None,
            stored=tuple(inputs.stored),
            metrics=_add_reads(result.metrics, inputs, spill, loading),
        )

    def _spill_folder(self, task: TaskDescription) -> SpillFolder:
        overflow = f"{task.storage}/spill/{task.id.job}"
        return SpillFolder(self.scratch, self.scratch_bytes, self.storage, self.io, overflow)

    def _run_link(self, program: Program, task: TaskDescription, inputs: Inputs) -> TaskResult:
        """Run a task, or one link of it: join what it came to with what earlier links did."""
        control = inputs.chain
        try:
            result = self._run_sink(program, task, inputs)
        except PausedError as pause:
            control.cut = pause.position
            result = TaskResult(task.id)
        state = control.begin.state if control.begin is not None else None
        if isinstance(program.sink, WriteShuffle) and not control.is_cut:
            return result  # links of a map task hand on nothing but the turn of a round robin
        if state is not None and result.value is not None:
            result = replace(result, value=self._merged(program.sink, state, result.value, task))
        elif state is not None:
            # This link gave no value: it was cut before its sink had a record.
            result = replace(result, value=state)
        if control.cut is None:
            return result
        continuation = Continuation(control.cut, result.value)
        return replace(result, value=None, continuation=continuation)

    def _merged(self, sink: Sink, before: Blob, after: Blob, task: TaskDescription) -> Blob:
        merge = sink.merge if isinstance(sink, Return) and sink.merge else operator.add
        return self._packed(merge(self._unpacked(before), self._unpacked(after)), task)

    def _run_sink(self, program: Program, task: TaskDescription, inputs: Inputs) -> TaskResult:
        sink: Sink = program.sink
        partition = task.id.partition
        if isinstance(sink, WriteShuffle):
            return self._write_shuffle(sink, program, task, inputs)
        if isinstance(sink, Count):
            return self._value(task, pipeline.size(program.root, partition, inputs))
        source = pipeline.records(program.root, partition, inputs)
        if isinstance(sink, SaveText):
            part = save_text(source, sink.target, sink.compression, task.id, self.storage, self.io)
            return self._saved(task, part)
        if isinstance(sink, SavePickle):
            part = save_pickle(source, sink.target, sink.batch, task.id, self.storage, self.io)
            return self._saved(task, part)
        return self._value(task, sink.function(partition, source))

    def _value(self, task: TaskDescription, value: Any) -> TaskResult:
        blob = self._packed(value, task)
        return TaskResult(task.id, value=blob, metrics=TaskMetrics(result_bytes=blob.size))

    def _saved(self, task: TaskDescription, part: StagedPart) -> TaskResult:
        result = self._value(task, part)
        metrics = replace(result.metrics, output_bytes=part.size, output_records=part.records)
        return replace(result, metrics=metrics)

    def _packed(self, value: Any, task: TaskDescription) -> Blob:
        return self._blob(frame.compress(records.encode([value])), task)

    def _unpacked(self, blob: Blob) -> Any:
        return records.decode(frame.decompress(self._fetch(blob)))[0]

    def _write_shuffle(
        self, sink: WriteShuffle, program: Program, task: TaskDescription, inputs: Inputs
    ) -> TaskResult:
        assert task.output is not None
        assert inputs.transport is not None
        output = ShuffleOutput(
            task.id,
            task.output,
            inputs.frame_key(task.output.job),
            inputs.transport,
            self.io,
            task.memory_mb << 20,
        )
        grouped = isinstance(sink.partitioner, GroupPartitioner) and sink.partitioner
        first = grouped.first_of(task.id.partition) if grouped else 0

        def add(partition: int, block: Block) -> None:
            output.add(first + partition, block)

        with _aborting(output):
            source = pipeline.flow(program.root, task.id.partition, inputs)
            result = TaskResult(task.id)
            if isinstance(sink.partitioner, RoundRobinPartitioner):
                # Another attempt of this task must deal the same records to the same partitions.
                if comes_in_any_order(program.root):
                    source = Flow.of(by_content(source.records, inputs.spiller))
                result = self._deal(sink.partitioner, source, output, task, inputs.chain)
            elif sink.aggregator is None:
                place(sink.partitioner, source, add)
            else:

                def write(pairs: Flow) -> None:
                    place(sink.partitioner, pairs, add)

                combine_partially(source, sink.aggregator, inputs.spiller, write)
            status = output.finish()
        return replace(result, map_statuses=(status,), metrics=_writes(output, status))

    def _deal(
        self,
        partitioner: RoundRobinPartitioner,
        records: Flow,
        output: ShuffleOutput,
        task: TaskDescription,
        control: Chain,
    ) -> TaskResult:
        """Deal records out; a link that was cut says how far the turn has come, for the next."""
        partitions = max(partitioner.partitions, 1)
        first = task.id.partition
        if control.begin is not None and control.begin.state is not None:
            first += self._unpacked(control.begin.state)
        turn = place(partitioner, records, output.add, first % partitions)
        if not control.is_cut:
            return TaskResult(task.id)
        return self._value(task, (turn - first) % partitions)

    def _transport(self, task: TaskDescription) -> Transport | None:
        if not task.transport:
            return None
        if task.transport not in self._transports:
            self._transports[task.transport] = self.transport_for(task.transport)
        return self._transports[task.transport]

    def _program(self, blob: Blob) -> bytes:
        """Return a program's bytes, kept by content. They are unpickled for every task: what one
        task does to a variable that a function captured must not be seen by the next.
        """
        if blob.digest not in self._programs:
            self._programs[blob.digest] = frame.decompress(self._fetch(blob))
            if len(self._programs) > _MOST_PROGRAMS:
                self._programs.popitem(last=False)
        self._programs.move_to_end(blob.digest)
        return self._programs[blob.digest]

    def _fetch(self, blob: Blob) -> bytes:
        if blob.data is not None:
            return blob.data
        assert blob.location is not None
        return checked_blob(self.io.run(self.storage.read(blob.location)), blob)

    def _blob(self, data: bytes, task: TaskDescription) -> Blob:
        """Return bytes as a blob: inline while the task's result may be that large, else stored."""
        digest = digest_of(data)
        if not task.max_result_bytes or len(data) <= task.max_result_bytes:
            return Blob(digest, len(data), data)
        location = f"{task.storage}/results/{task.id.job}/{digest}"
        self.io.run(self.storage.write(location, data))
        return Blob(digest, len(data), location=location)


def _combining_again(program: Program) -> Program:
    """Return what combines once more what tasks that combine values have written, given theirs."""
    sink = program.sink
    assert isinstance(sink, WriteShuffle)
    assert sink.aggregator is not None
    merge = sink.aggregator.merge_combiners
    again = replace(sink.aggregator, create=identity, merge_value=merge)
    return Program(ReadShuffle(0, None, None, combined=False), replace(sink, aggregator=again))


@contextmanager
def _aborting(output: ShuffleOutput) -> Iterator[None]:
    try:
        yield
    except BaseException:
        output.abort()
        raise


def _writes(output: ShuffleOutput, status: MapStatus) -> TaskMetrics:
    written, frames, size = output.written
    counts: TransferCounts = output.counts
    return TaskMetrics(
        shuffle_write_records=written,
        shuffle_write_frames=frames,
        shuffle_write_bytes=size,
        # Extents hold a few bytes between frames, too.
        shuffle_write_object_bytes=min(size, object_bytes(status)),
        write_seconds=output.waited,
        sqs_requests=counts.sqs_requests,
        s3_puts=counts.s3_puts,
        s3_gets=counts.s3_gets,
    )


def _add_reads(
    metrics: TaskMetrics, inputs: Inputs, spill: SpillFolder, loading: Stopwatch
) -> TaskMetrics:
    shuffle = inputs.shuffle_counts
    return replace(
        metrics,
        load_seconds=loading.seconds,
        input_bytes=inputs.source_counts.input_bytes,
        input_records=inputs.source_counts.input_records,
        read_seconds=inputs.source_counts.waited.seconds,
        fetch_seconds=shuffle.waited.seconds,
        shuffle_read_records=shuffle.records,
        shuffle_read_object_bytes=min(shuffle.bytes, shuffle.object_bytes),
        shuffle_read_frames=shuffle.frames,
        shuffle_read_bytes=shuffle.bytes,
        rejected_frames=dict(shuffle.rejected),
        spilled_bytes=spill.bytes,
        sqs_requests=metrics.sqs_requests + sum(r.counts.sqs_requests for r in shuffle.readers),
        s3_puts=metrics.s3_puts + sum(r.counts.s3_puts for r in shuffle.readers),
        s3_gets=metrics.s3_gets + sum(r.counts.s3_gets for r in shuffle.readers),
    )
