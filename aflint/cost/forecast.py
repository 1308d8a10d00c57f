"""What stages of known work take and cost on Lambda: the model behind predictions and advice.

Pure. One model answers all: what a job will cost, what it would have cost with other settings, and
which settings to choose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aflint import limits
from aflint.cost.bill import (
    BASE64_EXPANSION,
    Cost,
    Usage,
    dollars,
    price,
)
from aflint.cost.prices import US_EAST_1, Architecture, PriceTable
from aflint.cost.rates import RATES, Rates
from aflint.cost.requests import Requests, checked, of_block, of_saving, writing
from aflint.cost.simulator import moving_s

_DRIVER_PUTS: Final = 2
"""Requests of S3's class A for each shuffle in objects: its mark is made and removed."""

_PARALLEL_READS: Final = 6
_PARALLEL_SENDS: Final = 8
"""Of the requests of a map task, so many are under way at once, mostly."""


Parts = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class StageWork:
    """What one stage has to do, summed over its tasks, as far as no setting changes it.

    Of its seconds on one vCPU or more, each task takes `overhead_s` whatever it reads, and all of
    them together `work_s`; `cpu_share` of both is computing, and the rest is waiting.
    `longest` is the longest task's work, as a multiple of the mean. It writes a shuffle of
    `partitions` reduce partitions, if any: `parts` say of its tasks, by their sizes, how many there
    are and which share of what is written each of them writes; without them all write as much. Each
    writes to as many as `blocks` of the partitions, where its records do not go to all. `gets` and
    `puts` are requests of S3 for input and output; `saved_bytes` is output in S3, a part for each
    task, which the driver moves into place. Of what the setup says that requests take, they
    took `calls_share`.
    """

    id: int
    name: str
    tasks: int
    parents: tuple[int, ...] = ()
    overhead_s: float = 0.0
    work_s: float = 0.0
    cpu_share: float = 1.0
    longest: float = 1.0
    input_bytes: float = 0.0
    read_bytes: float = 0.0
    write_bytes: float = 0.0
    write_records: float = 0.0
    partitions: int = 0
    peak_bytes: int = 0
    gets: float = 0.0
    puts: float = 0.0
    saved_bytes: float = 0.0
    parts: Parts = ()
    blocks: float = math.inf
    calls_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What stages run on: functions of `memory_mb`, `slots` of them at once, `warm` of which are
    there already. A new one is billed `cold_s` before its first task. `latency_s` is what each
    invocation takes beside what is billed, `write_s` and `read_s` what a task is billed for each
    request to write or read a shuffle. `journal_s`: how often the driver writes to S3 what has been
    computed; 0 for never.
    """

    memory_mb: int
    transport: str
    slots: int
    warm: int = 0
    cold_s: float = RATES.cold_start_s.likely
    latency_s: float = RATES.invoke_s.likely
    write_s: float = RATES.sqs_send_s.likely / _PARALLEL_SENDS
    read_s: float = RATES.sqs_receive_s.likely
    journal_s: float = 0.0
    message_bytes: int = limits.SQS_OLD_MESSAGE_BYTES
    architecture: Architecture = "x86_64"
    prices: PriceTable = US_EAST_1

    @property
    def slowdown(self) -> float:
        """How many times longer computing takes than on one whole vCPU; 1 where the memory, 0, is
        not known.
        """
        return max(1.0, limits.LAMBDA_MEMORY_PER_VCPU_MB / (self.memory_mb or math.inf))


@dataclass(frozen=True, slots=True)
class StageForecast:
    """What one stage comes to: its work, when it begins and ends in the job, and what it uses."""

    work: StageWork
    begins: float
    ends: float
    usage: Usage


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a job comes to, `cold` new environments and the driver's requests included."""

    stages: tuple[StageForecast, ...]
    seconds: float
    usage: Usage
    cold: int
    prices: PriceTable = US_EAST_1
    architecture: Architecture = "x86_64"

    @property
    def cost(self) -> Cost:
        """Its dollars."""
        return price(self.usage, self.prices, self.architecture)

    @property
    def dollars(self) -> float:
        """All of them together."""
        return dollars(self.usage, self.prices, self.architecture)


@dataclass(frozen=True, slots=True)
class ShuffleRequests:
    """What a shuffle asks of SQS and S3, summed over all its map tasks, its reduce tasks, and by
    the driver.
    """

    map_sqs: float = 0.0
    map_puts: float = 0.0
    map_gets: float = 0.0
    reduce_sqs: float = 0.0
    reduce_gets: float = 0.0
    driver_sqs: float = 0.0
    driver_puts: float = 0.0

    @property
    def writes(self) -> float:
        """What map tasks ask."""
        return self.map_sqs + self.map_puts

    def reads(self, reduces: int) -> float:
        """How many answers reduce tasks wait for: some at once, so that ten take twice as long as
        one and not ten times.
        """
        each = (self.reduce_sqs + self.reduce_gets) / max(1, reduces)
        return reduces * min(each, 2.0 * max(1.0, each / _PARALLEL_READS))

    @property
    def usage(self) -> Usage:
        """All of it together."""
        return Usage(
            sqs_requests=round(self.map_sqs + self.reduce_sqs + self.driver_sqs),
            s3_put=round(self.map_puts + self.driver_puts),
            s3_get=round(self.map_gets + self.reduce_gets),
        )


def shuffle_requests(
    transport: str,
    maps: int,
    reduces: int,
    written: float,
    records: float,
    message_bytes: int = limits.SQS_OLD_MESSAGE_BYTES,
    parts: Parts = (),
    most_blocks: float = math.inf,
) -> ShuffleRequests:
    """Return the requests of a shuffle of so many compressed bytes, as `aflint.cost.requests` has
    them of each transport.

    `parts` and `most_blocks` are as of a StageWork. `file` has no requests, and is counted as
    queues with full messages: what the report of a local job says that it would cost.
    """
    if not maps or not reduces:
        return ShuffleRequests()
    chunk = limits.SQS_BILLED_CHUNK_BYTES
    if transport == "file":
        if not records:
            return ShuffleRequests()
        sent = maps * max(1, math.ceil(written / maps * BASE64_EXPANSION / chunk))
        got = reduces * max(1, math.ceil(written / reduces * BASE64_EXPANSION / chunk))
        return ShuffleRequests(map_sqs=sent, reduce_sqs=min(got, records))
    # It is opened and closed, whatever is in it.
    queues = 0 if transport == "s3" else 2 * reduces + 1
    marks = 0 if transport == "sqs" else _DRIVER_PUTS
    name, wrote, gets = checked(transport), Requests(), 0.0
    for count, share in parts or ((maps, 1.0 / maps),):
        if not records * share:
            continue
        # Records lie in blocks, one for each reduce partition that any of a map's records go to.
        blocks = min(most_blocks, _met(reduces, records * share))
        size = written * share
        wrote += count * writing(size, blocks, name, US_EAST_1, message_bytes)
        gets += count * blocks * of_block(size / blocks, blocks, name, US_EAST_1)
    # A reduce task gives back what it received: a later job may read the shuffle, too.
    # One that nothing was sent to asks nothing.
    asking = _met(reduces, wrote.sqs)
    calls = asking * math.ceil(wrote.sqs / max(1.0, asking) / limits.SQS_RECEIVE_MESSAGES)
    return ShuffleRequests(
        map_sqs=wrote.sqs_billed,
        map_puts=wrote.puts,
        map_gets=wrote.gets,
        reduce_sqs=max(calls, wrote.queue_bytes / chunk) + calls,
        reduce_gets=gets,
        driver_sqs=queues,
        driver_puts=marks,
    )


def _met(partitions: int, records: float) -> float:
    """Return to how many partitions so many records go, each to any of them."""
    return partitions * (1.0 - math.pow(1.0 - 1.0 / partitions, records))


def forecast(stages: Sequence[StageWork], setup: Setup, rates: Rates = RATES) -> Forecast:
    """Return what stages come to, each after those it reads, all over the same slots."""
    slots = max(1, setup.slots)
    cold = max(0, min(slots, max((s.tasks for s in stages), default=0)) - setup.warm)
    asked = {stage.id: _requests(stage, setup) for stage in stages}
    found: dict[int, StageForecast] = {}
    free = 0.0  # when the slots are free of earlier stages
    for stage in stages:
        seconds = _task_seconds(stage, asked, setup)
        begins = max([free, *(found[id].ends for id in stage.parents if id in found)])
        # Environments start beside each other: the job waits for one start, and pays for all.
        start = setup.cold_s if cold and not found else 0.0
        opening = asked[stage.id].driver_sqs * rates.queue_s.likely / rates.driver_calls
        span = makespan(seconds + setup.latency_s, stage, slots)
        free = begins + start + opening + span + _ramp(min(slots, stage.tasks), rates)
        saving = Requests()
        if stage.saved_bytes and stage.tasks:
            saving = of_saving(stage.tasks)
            free += moving_s(stage.tasks, stage.saved_bytes / stage.tasks, rates)
        usage = Usage(
            gb_seconds=seconds * stage.tasks * setup.memory_mb / 1024,
            lambda_requests=stage.tasks,
            s3_get=round(stage.gets + saving.gets),
            s3_put=round(stage.puts + saving.puts),
            s3_bytes=round(stage.input_bytes),
            sqs_bytes=round(stage.write_bytes + stage.read_bytes),
        )
        found[stage.id] = StageForecast(stage, begins, free, usage + asked[stage.id].usage)
    entries = math.ceil(free / setup.journal_s) if setup.journal_s else 0
    beside = Usage(
        gb_seconds=cold * setup.cold_s * setup.memory_mb / 1024, s3_put=entries, s3_get=entries
    )
    return Forecast(
        tuple(found.values()),
        free,
        sum((each.usage for each in found.values()), beside),
        cold,
        setup.prices,
        setup.architecture,
    )


def _requests(stage: StageWork, setup: Setup) -> ShuffleRequests:
    return shuffle_requests(
        setup.transport,
        stage.tasks,
        stage.partitions,
        stage.write_bytes,
        stage.write_records,
        setup.message_bytes,
        stage.parts,
        stage.blocks,
    )


def _task_seconds(stage: StageWork, asked: Mapping[int, ShuffleRequests], setup: Setup) -> float:
    """Return what a task of a stage is billed on average."""
    if not stage.tasks:
        return 0.0
    parents = [asked[id] for id in stage.parents if id in asked]
    calls = (
        asked[stage.id].writes * setup.write_s
        + sum(p.reads(stage.tasks) for p in parents) * setup.read_s
    )
    seconds = stage.overhead_s + (stage.work_s + calls * stage.calls_share) / stage.tasks
    return seconds * (1.0 + stage.cpu_share * (setup.slowdown - 1.0))


def makespan(seconds: float, stage: StageWork, slots: int) -> float:
    """Return how long the tasks of a stage take on so many slots, each as soon as one is free."""
    if not stage.tasks:
        return 0.0
    longest = seconds * stage.longest
    waves = math.ceil(stage.tasks / slots)
    # Tasks of one length run in whole waves; the more waves, the more even the ends.
    even = seconds * stage.tasks / slots
    return max(longest, min(waves * seconds, even + longest))


def _ramp(environments: int, rates: Rates) -> float:
    """Return how long Lambda takes to have that many environments."""
    return math.floor(max(0, environments - 1) / rates.ramp_burst) * rates.ramp_s


# ---- out of a sample


@dataclass(frozen=True, slots=True)
class StageSample:
    """A stage of a job of `tasks` tasks, of which a sample ran `ran`, and what those came to.

    `seconds` are billed ones without cold starts; of the `cpu_seconds` among them, in which it
    computed or waited for a processor that others had, each task takes `fixed_s` whatever it reads.
    Of the `partitions` that it writes, the sample wrote `sampled_partitions`. `share` is how many
    times as much input the whole stage has as the sample had, by the sizes that were listed; 0 for
    a stage that reads shuffles alone. `listed_bytes` are those of all its input, 0 where they are
    not known. `combines`: what it writes is combined by key first; out of half as much input came
    `half_records`, None where that was not tried. `sizes` say of the whole stage's tasks how many
    there are that have how many times the input of the sampled one.
    """

    id: int
    name: str
    tasks: int
    ran: int
    parents: tuple[int, ...] = ()
    partitions: int = 0
    sampled_partitions: int = 0
    share: float = 0.0
    listed_bytes: float = 0.0
    combines: bool = False
    skipped: bool = False
    seconds: float = 0.0
    fixed_s: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    input_bytes: float = 0.0
    records: float = 0.0
    read_bytes: float = 0.0
    write_bytes: float = 0.0
    write_records: float = 0.0
    write_frames: float = 0.0
    gets: float = 0.0
    puts: float = 0.0
    saved_bytes: float = 0.0
    longest: float = 1.0
    half_records: float | None = None
    sizes: tuple[tuple[int, float], ...] = ()

    @property
    def growth(self) -> float:
        """How what a task writes grows with its input: with its power of this, 0 for not at all."""
        if self.half_records is None or not self.half_records or not self.write_records:
            return 1.0
        return min(1.0, max(0.0, math.log2(self.write_records / self.half_records)))


FEW_KEYS: Final = 0.25
"""A map task that combines its records to fewer than this has met most of the keys there are."""


def extrapolate(
    samples: Sequence[StageSample],
    setup: Setup,
    *,
    few_keys: bool | None = None,
    rates: Rates = RATES,
) -> list[StageWork]:
    """Return what the stages of the whole job have to do, parents first, by what their sample did.

    Computing grows with the bytes that are read. What a stage writes grows with them, too, unless
    it has one record for each of a few keys: `few_keys` says so of all that combine, or of none.
    """
    found: dict[int, StageWork] = {}
    by_id = {sample.id: sample for sample in samples}
    for sample in samples:
        parents = [by_id[id] for id in sample.parents if id in by_id]
        sampled = sum(parent.write_bytes for parent in parents)
        whole = sum(found[parent.id].write_bytes for parent in parents)
        grown = whole / sampled if sampled else sample.tasks / max(1, sample.ran)
        share = sample.share or grown
        # By what the sample took of each.
        taken = sample.input_bytes + sample.read_bytes
        if sample.share and taken and sample.parents:
            share = (sample.share * sample.input_bytes + grown * sample.read_bytes) / taken
        settled = any(_has_few_keys(parent, few_keys) for parent in parents)
        written, parts = 1.0 if settled else share, Parts()
        if sample.sizes and not sample.parents:
            grown_by = sample.growth if few_keys is None else 0.0 if few_keys else 1.0
            if not sample.combines:
                grown_by = 1.0
            each = [(count, size**grown_by) for count, size in sample.sizes]
            # Of the one task that was sampled.
            total = math.fsum(count * by for count, by in each)
            written = total
            parts = tuple((count, by / total) for count, by in each) if total else ()
        calls = _requests_of(sample, setup).writes * setup.write_s
        calls += (
            sum(_requests_of(parent, setup).reads(sample.ran) for parent in parents) * setup.read_s
        )
        # Computing grows with what is read. Waiting, beside that for requests, is for answers: it
        # is each task's, however much there is in them, until their bytes take longer.
        ran = max(1, sample.ran)
        computing = min(sample.cpu_seconds, sample.seconds)
        waiting = max(0.0, sample.seconds - computing - calls)
        # Where the trial's requests took longer than these can have, these are to be believed.
        calls_share = min(1.0, (sample.seconds - computing) / calls) if calls else 1.0
        fixed = min(sample.fixed_s, computing / ran)
        more = taken * (share - sample.tasks / ran)
        work = (computing - fixed * ran) * share + max(0.0, more) / rates.s3_bytes_per_s.likely
        found[sample.id] = StageWork(
            sample.id,
            sample.name,
            0 if sample.skipped else sample.tasks,
            sample.parents,
            overhead_s=fixed + waiting / ran,
            work_s=0.0 if sample.skipped else work,
            cpu_share=min(1.0, sample.cpu_seconds / sample.seconds) if sample.seconds else 1.0,
            longest=sample.longest,
            input_bytes=0.0
            if sample.skipped
            else sample.listed_bytes or sample.input_bytes * share,
            read_bytes=0.0 if sample.skipped else whole,
            write_bytes=sample.write_bytes * written,
            write_records=sample.write_records * written,
            partitions=sample.partitions,
            peak_bytes=sample.peak_bytes,
            gets=0.0 if sample.skipped else sample.gets * share,
            puts=0.0 if sample.skipped else sample.puts * sample.tasks / max(1, sample.ran),
            saved_bytes=sample.saved_bytes * share,
            parts=parts,
            blocks=_blocks(sample),
            calls_share=calls_share,
        )
    return list(found.values())


def _blocks(sample: StageSample) -> float:
    """Return how many blocks a task writes at most, where the sample shows it: what is sorted
    already goes to few partitions. A partition's block may be several frames.
    """
    frames = sample.write_frames / max(1, sample.ran)
    all_of_them = sample.partitions == sample.sampled_partitions
    return frames if all_of_them and 0 < frames < 0.5 * sample.partitions else math.inf


def _requests_of(sample: StageSample, setup: Setup) -> ShuffleRequests:
    """Return what the sample asked for its own shuffle."""
    return shuffle_requests(
        setup.transport,
        sample.ran,
        sample.sampled_partitions,
        sample.write_bytes,
        sample.write_records,
        setup.message_bytes,
    )


def _has_few_keys(sample: StageSample, asked: bool | None) -> bool:
    if not sample.combines or asked is False:
        return False
    return asked is True or sample.write_records < FEW_KEYS * sample.records
