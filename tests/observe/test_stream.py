"""What the events of a real run say."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

import aflint
from aflint.events import (
    Event,
    EventStream,
    JobStarted,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskStarted,
)


def broken(record: str) -> str:
    raise ValueError(f"no {record}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Return the events of a run of two jobs: one that saves words, and one that fails."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "words.txt").write_text("to be or not to be\n" * 100)
    seen: list[Event] = []
    session = aflint.connect(workers=2, progress=False, scratch_dir=str(folder))
    session.name = "hamlet"
    session.add_listener(seen.append)
    async with session:
        words = session.text_file(str(folder / "words.txt"), 2).flat_map(str.split).persist()
        counts = words.map(lambda word: (word, 1)).reduce_by_key(int.__add__, 3)
        await counts.save_as_text_file(str(folder / "out"))
        with pytest.raises(aflint.TaskError):
            await words.map(broken).collect()
    return seen


def test_a_run_begins_with_its_settings_and_ends_after_its_last_job(events: list[Event]) -> None:
    began = events[0]
    assert isinstance(began, RunStarted)
    assert (began.name, began.backend, began.estimated) == ("hamlet", "local", True)
    assert began.settings["workers"] == "2"
    assert events[-1] == RunEnded(began.run)


def test_a_job_says_which_rdds_its_stages_compute(events: list[Event]) -> None:
    job = next(e for e in events if isinstance(e, JobStarted))
    maps, saves = job.stages
    assert job.transport == "file"
    assert (maps.parents, maps.writes_shuffle, saves.parents) == ((), True, (0,))
    assert saves.target.endswith("/out")
    by_name = {rdd.name.split(" at ")[0]: rdd for rdd in maps.rdds}
    source, words, pairs = (by_name[n] for n in ("text_file", "flat_map", "map"))
    assert [Path(path).name for path in source.paths] == ["words.txt"]
    assert (words.parents, words.cached, words.partitions) == ((source.id,), True, 2)
    assert pairs.parents == (words.id,)
    assert "test_stream.py:" in pairs.name
    # What a stage reads from a shuffle is an RDD of the stage before it.
    assert pairs.id in saves.rdds[0].parents


def test_a_task_says_what_it_read_and_wrote_where_and_for_how_long(events: list[Event]) -> None:
    first = next(e.job for e in events if isinstance(e, JobStarted))
    ends = [e for e in events if isinstance(e, TaskEnded) and e.id.job == first]
    maps = [e.metrics for e in ends if e.id.stage == 0]
    saves = [e.metrics for e in ends if e.id.stage == 1]
    assert {e.executor for e in ends} <= {"worker-1", "worker-2"}
    assert sum(m.input_records for m in maps) == 100
    assert sum(m.shuffle_write_records for m in maps) == 8  # four words, combined in two tasks
    assert sum(m.shuffle_read_records for m in saves) == 8
    # By files, not by queues.
    assert sum(m.shuffle_write_object_bytes for m in maps) == sum(
        m.shuffle_write_bytes for m in maps
    )
    assert sum(m.output_records for m in saves) == 4
    assert sum(m.output_bytes for m in saves) > 0
    for m in maps:
        assert m.load_seconds > 0
        assert m.read_seconds > 0
        assert m.write_seconds > 0
    assert any(m.fetch_seconds > 0 for m in saves)
    for m in (*maps, *saves):
        waited = m.load_seconds + m.read_seconds + m.fetch_seconds + m.write_seconds
        assert waited <= m.seconds


def test_tasks_that_find_no_free_slot_say_how_long_they_queued(events: list[Event]) -> None:
    # Three tasks on two workers: one has to wait for another's end.
    job = next(e.job for e in events if isinstance(e, JobStarted))
    starts = [e for e in events if isinstance(e, TaskStarted) and e.id.job == job]
    queued = [e.queued for e in starts if e.id.stage == 1]
    assert len(queued) == 3
    assert sum(seconds > 0 for seconds in queued) >= 1


def test_a_failed_task_says_why_with_its_traceback(events: list[Event]) -> None:
    failed = [e for e in events if isinstance(e, TaskEnded) and e.error.startswith("TaskError")]
    assert failed
    assert "ValueError: no to" in failed[0].error
    assert "in broken" in failed[0].error
    assert failed[0].executor.startswith("worker-")


def test_a_listener_that_fails_is_logged_once_and_keeps_none_from_being_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(event: Event) -> None:
        raise KeyError("mine")

    seen: list[Event] = []
    stream = EventStream([fails, seen.append])
    stream.emit(RunEnded("a"))
    stream.emit(RunEnded("b"))
    assert seen == [RunEnded("a"), RunEnded("b")]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
