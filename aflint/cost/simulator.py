"""How long a job would take on AWS, what it would cost, and what holds it up: a simulation.

Every task is run through the rates of `aflint.cost.rates` and the quotas of `aflint.limits`, in
simulated time: environments start as Lambda's ramp lets them, the first task of each waits for a
cold start, tasks differ and some straggle, S3 answers as many requests a second as it promises, and
the driver starts tasks no faster than its own processor does. The same arguments give the same
answer.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from aflint import limits
from aflint.cost.bill import Cost, Usage, billed_gb_seconds, price
from aflint.cost.load import JobLoad, StageLoad
from aflint.cost.prices import US_EAST_1, Architecture, PriceTable
from aflint.cost.rates import RATES, Rate, Rates
from aflint.cost.requests import Requests, checked, of_input, of_reading, of_saving, of_writing
from aflint.errors import InvalidArgumentError

Level = Literal["low", "likely", "high"]

MOST_TASKS: Final = 5_000_000
"""Of a job that is simulated: each takes some 2 µs."""

PARALLEL_GETS: Final = 6
"""Reads of a shuffle's objects that a task has under way at once; of input, two."""

INPUT_GETS: Final = 2
PUTS: Final = 2
SENDS: Final = 4
"""Calls of SQS that a task has under way at once."""

JOURNAL_S: Final = 0.25
"""How often the driver writes its journal, at most."""

_DRIVER_BYTES: Final = 25
"""What the driver keeps for each map task and reduce partition of a shuffle, at least."""

_DRIVER_MEMORY: Final = 4 * limits.GIB


@dataclass(frozen=True, slots=True)
class Cloud:
    """What a job runs on. `quota` is the account's own limit on concurrency."""

    concurrency: int = limits.LAMBDA_CONCURRENCY
    memory_mb: int = limits.LAMBDA_MEMORY_PER_VCPU_MB
    transport: str = "hybrid"
    architecture: Architecture = "x86_64"
    quota: int = limits.LAMBDA_CONCURRENCY
    message_bytes: int = limits.SQS_OLD_MESSAGE_BYTES
    speculation: bool = False
    prices: PriceTable = US_EAST_1
    rates: Rates = RATES

    @property
    def vcpus(self) -> float:
        """What of a vCPU the one thread of a task's own code has."""
        return min(1.0, self.memory_mb / limits.LAMBDA_MEMORY_PER_VCPU_MB)


@dataclass(frozen=True, slots=True)
class StageForecast:
    """How a stage went: when it began and ended, in seconds, and what its tasks waited for.

    `bounds` are the seconds that it would take if each thing by itself held it up.
    """

    name: str
    tasks: int
    began: float
    ended: float
    task_s: float
    requests: Requests
    bounds: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began

    @property
    def limit(self) -> str:
        """What held it up most."""
        return max(self.bounds, key=lambda name: self.bounds[name])


@dataclass(frozen=True, slots=True)
class Forecast:
    """What became of a job. `advice` says what to change, the limit that binds most first."""

    load: JobLoad
    cloud: Cloud
    stages: tuple[StageForecast, ...]
    usage: Usage
    peak: int
    stragglers: int
    advice: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """From the first task to the last."""
        return max((stage.ended for stage in self.stages), default=0.0)

    @property
    def cost(self) -> Cost:
        """The dollars."""
        return price(self.usage, self.cloud.prices, self.cloud.architecture)

    @property
    def requests(self) -> int:
        """All of them: to Lambda, S3 and SQS, each call once."""
        calls = sum((s.requests.gets + s.requests.puts + s.requests.sqs) for s in self.stages)
        return self.usage.lambda_requests + round(calls)

    @property
    def limit(self) -> str:
        """What held up the longest stage."""
        return max(self.stages, key=lambda stage: stage.seconds).limit


def simulate(load: JobLoad, cloud: Cloud, level: Level = "likely", seed: int = 0) -> Forecast:
    """Run a job, and say how it went. `level` takes every rate at its likely value or at an end.

    Raises InvalidArgumentError for what there are no rates for, and for a job that is too large.
    """
    checked(cloud.transport)
    _check(load, cloud)
    return _Simulation(load, cloud, level, seed).forecast()


def _check(load: JobLoad, cloud: Cloud) -> None:
    tasks = sum(stage.tasks for stage in load.stages)
    if tasks > MOST_TASKS:
        raise InvalidArgumentError(
            f"{tasks:,} tasks are more than can be simulated ({MOST_TASKS:,}): ask for fewer, "
            "larger ones (--tasks, --reducers), or for a smaller size"
        )
    if cloud.concurrency < 1:
        raise InvalidArgumentError(f"concurrency must be at least 1, and is {cloud.concurrency}")
    low, high = limits.LAMBDA_MEMORY_MIN_MB, limits.LAMBDA_MEMORY_MAX_MB
    if not low <= cloud.memory_mb <= high:
        raise InvalidArgumentError(
            f"a function has {low:,} to {high:,} MB of memory, and not {cloud.memory_mb:,}"
        )


def at(rate: Rate, level: Level) -> float:
    """Return a rate at its likely value, or at one of its ends."""
    return float(getattr(rate, level))


def slow_end(level: Level) -> Level:
    """Return the level of a speed, of which the low end makes a job long."""
    ends: dict[Level, Level] = {"low": "high", "likely": "likely", "high": "low"}
    return ends[level]


def _wait(calls: float, at_once: int, each: float) -> float:
    """Return how long calls take, so many at once: the first answers none sooner than another."""
    return each * max(1.0, calls / at_once) if calls else 0.0


def moving_s(parts: int, size: float, rates: Rates, level: Level = "likely") -> float:
    """Return how long the driver brings parts of so many bytes each into place, and marks the
    output as whole.
    """
    each = at(rates.move_s, level)
    copied = size / at(rates.copy_bytes_per_s, slow_end(level))
    return _wait(parts, rates.moves, each + copied) + each


class _Simulation:
    def __init__(self, load: JobLoad, cloud: Cloud, level: Level, seed: int) -> None:
        self._load = load
        self._cloud = cloud
        self._level = level
        self._dice = random.Random(seed)
        rates = cloud.rates
        self._bytes_per_s = at(rates.s3_bytes_per_s, slow_end(level))
        self._cold_s = at(rates.cold_start_s, level)
        self._handler_s = at(rates.handler_s, level)
        self._invoke_s = at(rates.invoke_s, level)
        self._slots = min(cloud.concurrency, max(s.tasks for s in load.stages))
        # Environments by when they are free, the first next, and those that are not started yet.
        self._free: list[tuple[float, int]] = []
        self._started = 0
        self._usage = Usage()
        self._stragglers = 0
        self._gb_seconds = 0.0
        self._invocations = 0

    def forecast(self) -> Forecast:
        """Run the stages in their order and return what came of it."""
        stages: list[StageForecast] = []
        for load in self._load.stages:
            began = max((stages[parent].ended for parent in load.parents), default=0.0)
            stages.append(self._stage(load, began))
        asked = [stage.requests for stage in stages]
        asked += [self._of_driver(load) for load in self._load.stages]
        # The journal: an object each time, and a look at the one before.
        entries = max(stage.ended for stage in stages) // JOURNAL_S
        everything = sum(asked, Requests(gets=entries, puts=entries))
        usage = Usage(
            gb_seconds=self._gb_seconds,
            lambda_requests=self._invocations,
            sqs_requests=math.ceil(everything.sqs_billed),
            sqs_bytes=round(everything.queue_bytes),
            s3_put=math.ceil(everything.puts),
            s3_get=math.ceil(everything.gets),
            s3_bytes=round(self._load.input_bytes),
        )
        found = Forecast(
            self._load, self._cloud, tuple(stages), usage, self._started, self._stragglers
        )
        return replace(found, advice=tuple(advice(found)))

    def _of_driver(self, load: StageLoad) -> Requests:
        """Return what the driver asks for a stage: to open and close its shuffle, and to bring its
        output into place.
        """
        asked, transport = Requests(), self._cloud.transport
        if load.targets and transport != "s3":
            # Each queue is made and removed, and one call lists them.
            calls = 2.0 * load.targets + 1
            asked += Requests(sqs=calls, sqs_billed=calls)
        if load.targets and transport != "sqs":
            asked += Requests(puts=1)  # says that the shuffle is open
        return asked + of_saving(load.tasks) if load.output_bytes else asked

    def _requests(self, load: StageLoad) -> tuple[Requests, Requests, Requests]:
        cloud = self._cloud
        transport = checked(cloud.transport)
        writers = tuple(self._load.stages[parent] for parent in load.parents)
        read = of_reading(load, writers, transport, cloud.prices, cloud.message_bytes)
        written = of_writing(load, transport, cloud.prices, cloud.message_bytes)
        return of_input(load), read, written

    def _stage(self, load: StageLoad, began: float) -> StageForecast:
        rates, slots, cloud = self._cloud.rates, min(self._slots, load.tasks), self._cloud
        moved, fetched, sent = self._requests(load)
        each = moved + fetched + sent
        latency = at(rates.s3_get_s, self._level)
        # Ranges of input are read ahead of need, but for the first; frames are waited for, before
        # and behind the work.
        ahead = moved.gets * latency / INPUT_GETS
        put_s = at(rates.s3_put_s, self._level)
        waits = (latency if moved.gets else 0.0) + sent.gets * latency
        waits += _wait(fetched.gets, PARALLEL_GETS, latency)
        waits += _wait(moved.puts, PUTS, put_s) + _wait(sent.puts, PUTS, put_s)
        waits += _wait(sent.sqs, SENDS, at(rates.sqs_send_s, self._level))
        waits += _wait(fetched.sqs, SENDS, at(rates.sqs_receive_s, self._level))
        size = load.input_bytes + load.output_bytes + each.queue_bytes
        if not each.queue_bytes:
            size += load.fetched_bytes + load.shuffled_bytes
        network = size / self._bytes_per_s
        cpu = (load.cpu_s + size * rates.io_cpu_s_per_byte) / cloud.vcpus
        # S3 answers so many requests a second, to all tasks together.
        fast = slow_end(self._level)
        readable = limits.S3_GET_PER_S * at(rates.s3_get_partitions, fast) / slots
        writable = limits.S3_PUT_PER_S * at(rates.s3_put_partitions, fast) / slots
        gets, puts = each.gets / readable, each.puts / writable
        asked = max(moved.gets / readable, moved.puts / writable)
        work = max(cpu, network, ahead, gets, puts) + waits
        if load.targets and cloud.transport != "s3":
            began += _wait(load.targets, rates.driver_calls, at(rates.queue_s, self._level))
        ended, spent = self._run(load.tasks, began, work)
        size = load.output_bytes
        moving = moving_s(load.tasks, size, rates, self._level) if size else 0.0
        ended += moving
        rounds = load.tasks / slots
        bounds = {
            "computing": cpu * rounds,
            "network": network * rounds,
            "latency of requests": (ahead + waits) * rounds,
            "S3's rate for input": asked * rounds,
            "S3's rate for the shuffle": max(0.0, max(gets, puts) - asked) * rounds,
            "driver": load.tasks * rates.driver_task_s,
            "ramp of environments": self._ramp(slots),
            "starting tasks": (self._invoke_s + self._handler_s) * math.ceil(rounds) + self._cold_s,
            "moving output into place": moving,
        }
        total = Requests(
            each.gets * load.tasks,
            each.puts * load.tasks,
            each.sqs * load.tasks,
            each.sqs_billed * load.tasks,
            each.queue_bytes * load.tasks,
        )
        return StageForecast(load.name, load.tasks, began, ended, spent / load.tasks, total, bounds)

    def _ramp(self, slots: int) -> float:
        rates = self._cloud.rates
        beyond = max(0, slots - rates.ramp_burst)
        return beyond / rates.ramp_burst * rates.ramp_s

    def _run(self, tasks: int, began: float, work: float) -> tuple[float, float]:
        """Run tasks of `work` seconds each; return when the last has ended, and all their seconds.

        Each goes to the environment that is free first; one that is not started yet is taken where
        none is free, as soon as the ramp lets it start.
        """
        rates, dice, cloud = self._cloud.rates, self._dice, self._cloud
        times = at(rates.straggler_times, self._level)
        last, total, launch = began, 0.0, began
        for _ in range(tasks):
            factor = math.exp(dice.gauss(0.0, rates.spread))
            if dice.random() < rates.straggler_share:
                factor *= times
                self._stragglers += 1
            busy = self._handler_s + work * factor
            if cloud.speculation and factor > 1.5:
                # A second attempt begins at one and a half times the median, and mostly wins.
                self._invocations += 1
                other = self._handler_s + work * (1.5 + math.exp(dice.gauss(0.0, rates.spread)))
                self._bill(max(0.0, min(busy, other) - 1.5 * work))
                busy = min(busy, other)
            launch = max(launch + rates.driver_task_s, began)
            start, cold = self._environment(launch)
            end = start + self._invoke_s + cold + busy
            heapq.heappush(self._free, (end, 0))
            self._bill(cold + busy)
            # What is left when a function ends goes on in another one.
            self._invocations += math.ceil((cold + busy) / limits.LAMBDA_TIMEOUT_S)
            total += cold + busy
            last = max(last, end)
        return last, total

    def _environment(self, now: float) -> tuple[float, float]:
        """Return when a task can begin that is ready now, and its cold start."""
        rates = self._cloud.rates
        if self._free and self._free[0][0] <= now:
            heapq.heappop(self._free)
            return now, 0.0
        if self._started < self._slots:
            beyond = self._started - rates.ramp_burst
            opens = 0.0 if beyond < 0 else (beyond + 1) / rates.ramp_burst * rates.ramp_s
            if not self._free or max(now, opens) < self._free[0][0]:
                self._started += 1
                return max(now, opens), self._cold_s
        return max(now, heapq.heappop(self._free)[0]), 0.0

    def _bill(self, seconds: float) -> None:
        self._gb_seconds += billed_gb_seconds(seconds, self._cloud.memory_mb)


def advice(found: Forecast) -> list[str]:
    """Say what to change, in sentences. Pure."""
    said: list[str] = []
    cloud, load = found.cloud, found.load
    longest = max(found.stages, key=lambda stage: stage.seconds)
    said.append(_ADVICE[longest.limit].format(stage=longest.name))
    if cloud.concurrency > cloud.quota and found.peak > cloud.quota:
        said.append(
            f"{found.peak:,} functions at once need a quota of as many: an account has "
            f"{cloud.quota:,} until more is asked for in Service Quotas"
        )
    slow = [s for s in found.stages if s.task_s > limits.LAMBDA_TIMEOUT_S * 0.8]
    if slow:
        said.append(
            f"tasks of {slow[0].name} take {slow[0].task_s:,.0f} s, and a function ends after "
            f"{limits.LAMBDA_TIMEOUT_S:,} s: such tasks go on in another one, each time with all "
            "that they hold; more and smaller tasks need not"
        )
    pairs = load.pairs
    if pairs * _DRIVER_BYTES > _DRIVER_MEMORY:
        said.append(
            f"{pairs:,} blocks are more than a driver of 4 GiB can keep account of: fewer reduce "
            "tasks, or an exchange of two levels"
        )
    tail = (longest.seconds - longest.task_s * math.ceil(longest.tasks / max(1, found.peak))) > (
        longest.task_s
    )
    if tail and found.stragglers and not cloud.speculation:
        said.append("speculation = true would start stragglers a second time")
    return said


_ADVICE: Final = {
    "computing": "{stage} computes: more concurrency, or less work for a record",
    "network": "{stage} waits for its functions' network: more concurrency, or fewer bytes "
    "(columns, compression); more memory does not widen it",
    "latency of requests": "{stage} waits for answers to small requests: fewer, larger tasks",
    "S3's rate for input": "{stage} asks S3 for input faster than it answers: files under "
    "several prefixes, or less concurrency",
    "S3's rate for the shuffle": "{stage} asks S3 faster than it answers: fewer reduce tasks, "
    "or an exchange of two levels",
    "driver": "{stage} waits for the driver: fewer, larger tasks",
    "ramp of environments": "{stage} is over before Lambda has started its environments: "
    "session.warm(), or less concurrency",
    "moving output into place": "{stage} waits for S3 to copy what its tasks have saved: compress "
    "it",
    "starting tasks": "{stage} spends its time on starting: fewer, larger tasks, or session.warm()",
}
