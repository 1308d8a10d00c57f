"""What a recorded job asked of the cloud, as a load that can be simulated at another size."""

from __future__ import annotations

from aflint.cost.load import JobLoad, StageLoad
from aflint.errors import InvalidArgumentError
from aflint.observe.reading import Job, Run, Stage


def load_of_job(run: Run, job: Job) -> JobLoad:
    """Return the load of a job that is done.

    What a task computed is the processor time that it was measured to take. Stages that were
    skipped are left out, with what they had read.

    Raises InvalidArgumentError for a job that was not aflint's, is not done, or read nothing.
    """
    if run.backend == "spark":
        raise InvalidArgumentError(f"job {job.id} was run by Spark, which counts other things")
    if run.state(job) != "done":
        raise InvalidArgumentError(
            f"job {job.id} is {run.state(job)}: only what a job that is done took is known"
        )
    ran = [stage for stage in job.stages if stage.ended()]
    places = {stage.id: place for place, stage in enumerate(ran)}
    readers = {parent: stage for stage in ran for parent in stage.parents}
    loads = tuple(_stage(stage, places, readers.get(stage.id)) for stage in ran)
    if not any(load.input_bytes or load.fetched_bytes for load in loads):
        raise InvalidArgumentError(
            f"job {job.id} read no files and no shuffle: there is nothing to scale by"
        )
    return JobLoad(job.name, loads)


def _stage(stage: Stage, places: dict[int, int], reader: Stage | None) -> StageLoad:
    done = stage.ended()
    count = len(done)
    shuffled = sum(task.shuffled for task in done) / count
    return StageLoad(
        stage.name,
        count,
        sum(task.cpu for task in done) / count,
        sum(task.read for task in done) / count,
        sum(task.fetched for task in done) / count,
        shuffled,
        sum(task.written for task in done) / count,
        len(reader.ended()) if reader is not None and shuffled else 0,
        tuple(places[parent] for parent in stage.parents if parent in places),
    )
