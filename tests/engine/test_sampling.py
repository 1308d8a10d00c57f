"""Predictions out of sampled runs: what they say, and that they leave no trace in later runs."""

from __future__ import annotations

from collections.abc import Callable
from operator import add
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.errors import PathNotFoundError, SessionError, TaskError
from aflint.rdd import RDD


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files of words, a million bytes together."""
    folder = tmp_path_factory.mktemp("lines")
    for number in range(5):
        text = "".join(f"{number} word{line % 997} {line}\n" for line in range(12_000))
        (folder / f"{number}.txt").write_text(text)
    return folder


pytestmark = pytest.mark.asyncio(loop_scope="module")


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def words(session: aflint.Session, lines: Path) -> RDD[tuple[str, int]]:
    return session.text_file(lines, 10).map(lambda line: (line.split()[1], 1))


async def test_a_prediction_has_the_stages_and_the_bytes_of_the_run(
    session: aflint.Session, lines: Path
) -> None:
    counts = words(session, lines).reduce_by_key(add, 7)
    found = await counts.explain(predict=True)
    before = len(session.jobs)
    assert await counts.count() == 997
    ran = session.last_job
    assert ran is not None
    assert ran.predicted is not None
    assert ran.predicted.dollars == found.jobs[-1].dollars.likely
    assert "predicted" in ran.summary()
    (job,) = found.jobs
    assert [each.work.tasks for each in job.likely.stages] == [each.tasks for each in ran.stages]
    maps = job.likely.stages[0].work
    assert maps.input_bytes == _size_of(lines)
    assert maps.write_bytes == pytest.approx(ran.stages[0].metrics.shuffle_write_bytes, rel=0.2)
    assert maps.write_records == pytest.approx(ran.stages[0].metrics.shuffle_write_records, rel=0.1)
    assert 0 < found.dollars.low < found.dollars.likely < found.dollars.high
    # The sample is a part of the input, and the run is all of it.
    sampled = [each for each in session.jobs[:before] if "sample" in each.name]
    assert sampled
    assert all(each.stages[0].tasks == 1 for each in sampled)


async def test_what_a_program_was_predicted_stands_beside_the_bills_of_its_jobs_once(
    session: aflint.Session, lines: Path
) -> None:
    async def program() -> None:
        for _ in range(2):
            await words(session, lines).count()
        await words(session, lines).first()

    found = await session.predict(program)
    before = len(session.jobs)
    await program()
    ran = [job.predicted for job in session.jobs[before:]]
    assert [each and each.dollars for each in ran] == [j.dollars.likely for j in found.jobs]
    assert len(ran) == 3
    await program()
    assert [job.predicted for job in session.jobs[before + 3 :]] == [None] * 3


async def test_predicting_leaves_no_trace_in_what_runs_later(
    session: aflint.Session, lines: Path
) -> None:
    met = session.accumulator(0)

    def noted(pair: tuple[str, int]) -> tuple[str, int]:
        met.add(1)
        return pair

    kept = words(session, lines).map(noted).persist()
    numbered = kept.reduce_by_key(add, 4).sort_by_key().zip_with_index()
    await numbered.explain(predict=True)
    assert met.value == 0
    rows = await numbered.collect()
    assert [place for _, place in rows] == list(range(997))
    assert [key for (key, _), _ in rows] == sorted({f"word{n}" for n in range(997)})
    assert sum(count for (_, count), _ in rows) == 60_000


SHAPES: dict[str, tuple[Callable[[RDD[Any]], RDD[Any]], int]] = {
    "sort": (lambda r: r.sort_by_key(True, 3), 60_000),
    "group": (lambda r: r.group_by_key(50), 997),
    "two counts": (lambda r: r.reduce_by_key(add, 3).join(r.reduce_by_key(add, 40), 60), 997),
    "zip": (lambda r: r.zip(r.map(lambda pair: pair[1])), 60_000),
    "zip after a shuffle": (lambda r: _zipped(r.reduce_by_key(add, 10)), 997),
    "product": (lambda r: r.keys().distinct(2).cartesian(r.values().distinct(2)), 997),
    "union": (lambda r: r.union(r.reduce_by_key(add, 3)), 60_997),
    "coalesce": (lambda r: r.coalesce(3).zip_with_unique_id(), 60_000),
    "repartition": (lambda r: r.repartition(6).repartition(4), 60_000),
}


def _zipped(rdd: RDD[Any]) -> RDD[Any]:
    return rdd.zip(rdd.map(lambda pair: pair[0]))


async def test_every_shape_of_lineage_is_predicted_and_then_runs_as_it_would_have(
    session: aflint.Session, lines: Path
) -> None:
    for name, (shape, count) in SHAPES.items():
        rdd = shape(words(session, lines))
        found = await rdd.explain(predict=True)
        assert await rdd.count() == count, name
        ran = session.last_job
        assert ran is not None
        stages = [each.work.tasks for each in found.jobs[-1].likely.stages]
        assert stages == [0 if each.skipped else each.tasks for each in ran.stages], name


async def test_a_stage_that_an_earlier_job_left_is_not_counted_again(
    session: aflint.Session, lines: Path
) -> None:
    counts = words(session, lines).reduce_by_key(add, 7)
    await counts.count()
    found = await counts.explain(predict=True)
    assert [each.work.tasks for each in found.jobs[0].likely.stages] == [0, 7]


async def test_an_empty_rdd_costs_next_to_nothing(session: aflint.Session) -> None:
    found = await session.empty_rdd().map(str).explain(predict=True)
    assert found.dollars.likely == 0


async def test_what_fails_a_sample_is_raised_as_a_run_would_raise_it(
    session: aflint.Session, lines: Path
) -> None:
    with pytest.raises(TaskError, match="no such word") as failed:
        await words(session, lines).map(_refuse).explain(predict=True)
    assert "_refuse" in str(failed.value)
    with pytest.raises(PathNotFoundError):
        await session.text_file(lines / "missing").explain(predict=True)


def _refuse(pair: object) -> object:
    raise ValueError("no such word")


async def test_nothing_is_predicted_in_a_closed_session(lines: Path) -> None:
    async with aflint.connect(workers=1, history_mb=0, progress=False) as session:
        rdd = words(session, lines)
    with pytest.raises(SessionError):
        await rdd.explain(predict=True)
