"""The real scheduler over executors that answer at once: what a task costs the driver.

`python -m bench.peers.drive_scheduler MAPS REDUCES` runs one job and prints, as JSON, CPU seconds,
peak bytes of memory, and how many tasks were accepted. All that a session does for a task on AWS is
done here but the HTTP request: the task is packed and sealed, its result unpacked, journal and
event log are written to disk, the reporter counts its dollars.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from aflint.codec.sealed import TaskSealer
from aflint.codec.secret import Secret
from aflint.driver.recording import JobRecord
from aflint.driver.report import Reporter
from aflint.events import Listener, RunStarted
from aflint.frozen import changed
from aflint.invoker.base import Invoker
from aflint.journal import JobIdentity, open_journal
from aflint.map_outputs import map_status
from aflint.observe.eventlog import EventLog
from aflint.observe.logfile import LogFile, LogWriter
from aflint.plan.planner import Job, LeafInputs, ManifestOf, PlannedShuffle, Stage, TaskSettings
from aflint.scheduler.loop import Scheduler
from aflint.scheduler.policy import Policy
from aflint.storage.local import LocalStorage
from aflint.task import (
    Blob,
    Input,
    MapStatus,
    TaskDescription,
    TaskId,
    TaskMetrics,
    TaskResult,
    TextSplit,
)
from aflint.testing.memory_transport import MemoryTransport
from aflint.transport.base import Written
from aflint.transport.frame_run import Layout
from aflint.wire import pack, unpack

SLOTS = 1_000
PROGRAM = Blob("0" * 32, 3_000, bytes(3_000))
FOLDER = "s3://bucket/aflint/shuffles/run-1-0"
LAYOUTS = 16
"""How many different map outputs there are: making each anew would be measured, too."""


class Answering(Invoker):
    """Answers each task at once, after all that the driver does for one."""

    slots = SLOTS

    def __init__(self, reduces: int) -> None:
        self._sealer = TaskSealer(Secret.fresh())
        rng = random.Random(7)
        metrics = TaskMetrics(
            seconds=3.2, cpu_seconds=2.1, input_bytes=1 << 27, billed_seconds=3.21, memory_mb=1769
        )
        result = TaskResult(TaskId("run-1", 0, 0, 0), metrics=metrics)
        # Packed once: that is the executors' work, and not the driver's.
        outputs = [_output(reduces, rng) for _ in range(LAYOUTS if reduces else 0)]
        self._outputs = [pack(changed(result, map_statuses=(each,))) for each in outputs]
        self._value = pack(changed(result, value=Blob("1" * 32, 8, bytes(8))))
        self.sent = 0

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def invoke(self, task: TaskDescription) -> TaskResult:
        self.sent += len(self._sealer.pack(task).seal())
        await asyncio.sleep(0)
        id = task.id
        packed = self._value if task.output is None else self._outputs[id.partition % LAYOUTS]
        answer: TaskResult = unpack(packed)
        # A few fields are this task's own; the rest came by the wire.
        statuses = tuple(
            changed(
                status, map=id.partition, object=f"{FOLDER}/{id.partition}-0-0-{id.partition:012x}"
            )
            for status in answer.map_statuses
        )
        return changed(answer, id=id, map_statuses=statuses, executor=f"env-{id.partition % SLOTS}")


def _output(reduces: int, rng: random.Random) -> MapStatus:
    """Return the status of a map task whose blocks lie in one object, one for each reducer."""
    layout = Layout(1 << 24)
    blocks = {each: [bytes(rng.randrange(8_000, 12_000))] for each in range(reduces)}
    layout.add(blocks)
    written = Written(FOLDER, layout.extents())
    sizes = [len(frames[0]) for frames in blocks.values()]
    return map_status((0, 0, 0), [1] * reduces, sizes, written.object, written.extents)


def job_of(maps: int, reduces: int) -> Job:
    """Return a job of so many map tasks and reduce tasks; without a shuffle for 0 of these."""
    splits = LeafInputs(
        0, [TextSplit("s3://bucket/in", p << 27, p + 1 << 27, maps << 27) for p in range(maps)]
    )
    if not reduces:
        return Job("run-1", "scan", (Stage(0, "scan", PROGRAM, splits),), TaskSettings())
    stages = (
        Stage(0, "map", PROGRAM, splits, writes=PlannedShuffle(0, reduces)),
        Stage(1, "reduce", PROGRAM, [(Input(0, p, ManifestOf(0)),) for p in range(reduces)], (0,)),
    )
    return Job("run-1", "shuffle", stages, TaskSettings())


async def drive(maps: int, reduces: int, folder: Path) -> int:
    """Run the job and return how many results were accepted."""
    secret, reporter = Secret.fresh(), Reporter(1769, estimate=False)
    storage = LocalStorage()
    journal, _ = await open_journal(
        str(folder / "journal"), storage, secret.key("journal", "run"), "run", alone=True
    )
    events = LogWriter(EventLog(), [LogFile(folder / "log", "the event log")])
    job = job_of(maps, reduces)
    record = JobRecord(journal, job.id, {0: job.stages[0]}, set())
    accepted = 0

    def accept(result: TaskResult, first: bool) -> None:
        nonlocal accepted
        accepted += 1
        record.accepted(result, first)

    listeners: list[Listener] = [reporter, events]
    events(RunStarted("run", "bench", "aws", "aflint", False, 1769, {}))
    record.begin(job.name, JobIdentity())
    invoker = Answering(reduces)
    async with (
        Scheduler(invoker, MemoryTransport(), Policy(), listeners=listeners) as scheduler,
        scheduler.run(job, on_accept=accept, on_open=record.opened) as running,
    ):
        async for _ in running.results(range(running.partitions)):
            pass
    record.closed("")
    await journal.end()
    await journal.aclose()
    await events.aclose()
    return accepted


def main(maps: int, reduces: int) -> None:
    """Drive a job of this size and print what that took."""
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        accepted = asyncio.run(drive(maps, reduces, Path(folder)))
        print(
            json.dumps(
                {
                    "seconds": time.perf_counter() - wall,
                    "cpu": time.process_time() - cpu,
                    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    * (1 if sys.platform == "darwin" else 1024),
                    "accepted": accepted,
                }
            )
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
