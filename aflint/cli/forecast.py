"""What `aflint simulate` writes of a job that it ran on a model of AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from aflint.cli.history import bring_history
from aflint.config import load_config
from aflint.errors import InvalidArgumentError

if TYPE_CHECKING:
    from aflint.cost.load import JobLoad
    from aflint.cost.prices import PriceTable
    from aflint.cost.simulator import Cloud, Forecast


def wanted_load(
    workload: str | None,
    recorded: str | None,
    size: str | None,
    tasks: int | None,
    reducers: int | None,
    concurrency: int,
) -> tuple[JobLoad, str]:
    """Return the load of a workload or of a recorded job, and the region at whose prices that was
    told. Raises InvalidArgumentError.
    """
    from aflint.cost import US_EAST_1
    from aflint.cost.load import load_of, parse_size, scaled
    from aflint.cost.workloads import workload_named

    if workload is not None and recorded is not None:
        raise InvalidArgumentError("--workload and --from each name what to run: give one")
    if recorded is None:
        assert workload is not None
        known = workload_named(workload)
        if size is None:
            raise InvalidArgumentError(f"--workload {workload} needs a --size, such as 100TB")
        load = load_of(workload, known, parse_size(size), tasks, reducers, concurrency)
        return load, US_EAST_1.region
    if tasks is not None or reducers is not None:
        raise InvalidArgumentError(
            "--tasks and --reducers are for workloads: a recorded job has as many tasks for its "
            "size as it had"
        )
    from aflint.observe.finding import find_job
    from aflint.observe.loads import load_of_job

    bring_history(load_config())
    run, job = find_job(recorded)
    load = load_of_job(run, job)
    if size is None:
        return load, run.region
    if not load.input_bytes:
        raise InvalidArgumentError(f"job {recorded} read no files: it has no size to change")
    return scaled(load, parse_size(size) / load.input_bytes), run.region


def prices_in(region: str) -> PriceTable:
    """Return a region's prices. Raises InvalidArgumentError where there are none here."""
    from aflint.cost import US_EAST_1, is_priced
    from aflint.cost.prices import prices_of

    if not is_priced(region):
        raise InvalidArgumentError(
            f"there are no prices for region {region!r}: give --region {US_EAST_1.region} to be "
            "told dollars at that region's prices"
        )
    return prices_of(region)


def write(found: Forecast, low: Forecast, high: Forecast) -> None:
    """Write a forecast, with those of the fast and the slow end of all rates, for people."""
    from aflint.cost import format_dollars
    from aflint.driver.report import format_seconds

    cloud, usage = found.cloud, found.usage
    typer.echo(
        f"{found.load.name}: {format_seconds(found.seconds)} "
        f"({format_seconds(low.seconds)} to {format_seconds(high.seconds)}), "
        f"{format_dollars(found.cost.total)} "
        f"({format_dollars(low.cost.total)} to {format_dollars(high.cost.total)})"
    )
    typer.echo(f"on {described(cloud)}; prices and rates of {cloud.rates.date}")
    typer.echo(f"  {found.cost}")
    typer.echo(
        f"  requests: {usage.lambda_requests:,} invocations, {usage.s3_get:,} GET, "
        f"{usage.s3_put:,} PUT, {usage.sqs_requests:,} of SQS as billed"
    )
    typer.echo(f"  {found.peak:,} in flight at most, {found.stragglers:,} stragglers")
    for stage in found.stages:
        typer.echo(
            f"  {stage.name}: {stage.tasks:,} task{'s' if stage.tasks > 1 else ''} of "
            f"{format_seconds(stage.task_s)}, "
            f"{format_seconds(stage.began)} to {format_seconds(stage.ended)}, bound by "
            f"{stage.limit}"
        )
    for sentence in found.advice:
        typer.echo(f"- {sentence}")


def described(cloud: Cloud) -> str:
    """Return what a job runs on, in words."""
    return (
        f"{cloud.concurrency:,} functions of {cloud.memory_mb:,} MB, shuffle by {cloud.transport}, "
        f"{cloud.prices.region}"
    )


def as_dict(found: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON shows it."""
    return {
        "load": found.load.name,
        "seconds": round(found.seconds, 3),
        "dollars": round(found.cost.total, 6),
        "items": {name: round(dollars, 6) for name, dollars in found.cost.items()},
        "invocations": found.usage.lambda_requests,
        "s3_get": found.usage.s3_get,
        "s3_put": found.usage.s3_put,
        "sqs_billed": found.usage.sqs_requests,
        "requests": found.requests,
        "in_flight": found.peak,
        "limit": found.limit,
        "advice": list(found.advice),
        "stages": [
            {
                "name": stage.name, "tasks": stage.tasks, "began": round(stage.began, 3),
                "ended": round(stage.ended, 3), "task_seconds": round(stage.task_s, 3),
                "limit": stage.limit,
                "bounds": {name: round(seconds, 3) for name, seconds in stage.bounds.items()},
            }
            for stage in found.stages
        ],
    }  # fmt: skip
