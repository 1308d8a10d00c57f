"""What `auto` chooses, out of what is listed and of what jobs have shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aflint.config import Auto, Config
from aflint.cost import Usage
from aflint.cost.forecast import Setup
from aflint.driver.report import JobReport, StageReport
from aflint.driver.tuning import Tuning
from aflint.plan.lineage import Source
from aflint.plan.planner import Stage, TaskSettings
from aflint.task import Blob, Input, TaskMetrics, TextSplit

MB = 1 << 20
SIZES = (885, 1770, 3540)
AUTO = Config(memory_mb="auto", concurrency="auto", default_parallelism="auto")  # type: ignore[arg-type]
SETUP = Setup(1770, "hybrid", slots=1000)


def text(tasks: int, megabytes: int) -> list[TextSplit]:
    return [TextSplit(f"{n}", 0, megabytes * MB, megabytes * MB) for n in range(tasks)]


def stage(tasks: int, megabytes: int) -> Stage:
    inputs = [(Input(0, n, split),) for n, split in enumerate(text(tasks, megabytes))]
    return Stage(0, "s", Blob("", 0, b""), inputs)


def job(metrics: TaskMetrics, tasks: int = 10) -> JobReport:
    stage = StageReport(0, "s", tasks, done=tasks, attempts=tasks)
    stage.count(metrics)
    found = JobReport("j", "j", (stage,), 0.0, seconds=1.0, running=False)
    found.charge(Usage(gb_seconds=1.0))
    return found


def tuning(config: Config = AUTO, jobs: tuple[JobReport, ...] = ()) -> tuple[Tuning, list[int]]:
    limits: list[int] = []
    return Tuning(config, SIZES, 1000, lambda: SETUP, limits.append, lambda: jobs), limits


def memory(*jobs: JobReport) -> int:
    found, _ = tuning(jobs=jobs)
    with found.tuned([stage(10, 8)], TaskSettings(memory_mb=885)) as settings:
        return settings.memory_mb


def test_memory_begins_with_a_whole_cpu_and_follows_what_jobs_have_shown() -> None:
    assert memory() == 1770
    waiting = TaskMetrics(seconds=100.0, cpu_seconds=5.0, peak_memory_bytes=100 * MB)
    assert memory(job(waiting)) == 885
    assert memory(job(replace(waiting, cpu_seconds=100.0))) == 1770
    assert memory(job(replace(waiting, peak_memory_bytes=2000 * MB))) == 3540


def test_concurrency_is_what_a_job_is_worth_and_given_back_after_it() -> None:
    found, limits = tuning()
    with found.tuned([stage(10, 32)], TaskSettings()):
        assert limits == [10]
        with found.tuned([stage(20, 32)], TaskSettings()):
            assert limits[-1] == 30  # both run
    assert limits[-1] == 1000


def test_very_short_tasks_are_not_worth_an_environment_each() -> None:
    found, limits = tuning()
    with found.tuned([stage(800, 1)], TaskSettings()):
        assert limits[-1] < 400


def test_what_is_said_is_not_chosen() -> None:
    found, limits = tuning(Config(memory_mb=2048, concurrency=7))
    with found.tuned([stage(10, 32)], TaskSettings(memory_mb=2048)) as settings:
        assert settings.memory_mb == 2048
    assert limits == []


def test_partitions_grow_with_what_is_listed_and_are_the_same_each_time() -> None:
    small = Source(splits=tuple(text(40, 1)))
    large = Source(splits=tuple(text(40, 512)))
    found, _ = tuning()
    few, many = found.partitions([small]), found.partitions([large])
    assert few < many
    later, _ = tuning(jobs=(job(TaskMetrics(seconds=50.0, cpu_seconds=50.0, input_bytes=MB)),))
    assert later.partitions([large]) == many
    assert found.partitions([Source(splits=())]) == 1


@pytest.mark.parametrize("name", ["memory_mb", "concurrency", "default_parallelism"])
def test_auto_is_a_number_that_is_written_as_auto(name: str) -> None:
    value = getattr(AUTO, name)
    assert isinstance(value, Auto)
    assert str(value) == "auto"
    assert AUTO.smallest_memory_mb == 885
