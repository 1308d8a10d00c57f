"""`aflint simulate`: a job of any size on a model of AWS; or, for those who develop aflint, random
jobs on a simulated cloud where everything that can go wrong does.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aflint.cli import forecast
from aflint.cli.command import Json, write_json
from aflint.cli.panels import Panel
from aflint.errors import ConfigError, InvalidArgumentError

if TYPE_CHECKING:
    from aflint.cost.load import JobLoad
    from aflint.cost.simulator import Cloud
    from aflint.testing.simulation.batch import Tally
    from aflint.testing.simulation.run import Outcome

_MOST_TASKS = 5_000_000
_MOST_SHRUNK = 3
_LAST_EVENTS = 60
_OF_QUERIES = ("duckdb", "nanoarrow", "numpy")
_OF_JOBS, _OF_FAULTS = "A job on a model of AWS", "Random jobs under faults"


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("simulate", rich_help_panel=Panel.LOOK)
    def simulate_command(
        context: typer.Context,
        workload: Annotated[
            str | None,
            _job_option("--workload", help="What to run: sort, word-count, scan, Q0 to Q6."),
        ] = None,
        recorded: Annotated[
            str | None,
            _job_option("--from", metavar="JOB", help="What to run: a job of the history."),
        ] = None,
        size: Annotated[
            str | None, _job_option("--size", help="Bytes of input: 100TB, 1.5GiB.")
        ] = None,
        concurrency: Annotated[
            int, _job_option("--concurrency", min=1, help="Functions at once.")
        ] = 1000,
        memory_mb: Annotated[
            int, _job_option("--memory-mb", help="Memory of a function.")
        ] = 1769,
        transport: Annotated[
            str, _job_option("--transport", help="Of the shuffle: sqs, s3 or hybrid.")
        ] = "hybrid",
        levels: Annotated[
            int, _job_option("--levels", min=1, max=2, help="Of the exchange.")
        ] = 1,
        tasks: Annotated[
            int | None, _job_option("--tasks", min=1, max=_MOST_TASKS, help="Map tasks.")
        ] = None,
        reducers: Annotated[
            int | None, _job_option("--reducers", min=1, max=_MOST_TASKS, help="Reduce tasks.")
        ] = None,
        region: Annotated[
            str | None, _job_option("--region", help="Whose prices.",
                                    show_default="that of the job, or us-east-1"),
        ] = None,
        seeds: Annotated[int, _fault_option("--seeds", min=1, help="How many seeds to run.")] = 100,
        start: Annotated[int, _fault_option("--start", help="The first seed.")] = 0,
        faults: Annotated[
            str | None,
            _fault_option("--faults", help="Kinds of faults, by commas, each with its rate or not: "
                          "kill=0.3,delay. 'none' for none.", show_default="all"),
        ] = None,
        dataframes: Annotated[
            bool, _fault_option("--dataframes", help="Programs of DataFrames; needs aflint\\[sql].")
        ] = False,
        jobs: Annotated[
            int, _fault_option("--jobs", min=0, help="Processes; 0 for one on each processor.")
        ] = 0,
        as_json: Json = False,
    ) -> None:  # fmt: skip
        """Say how long a job would take on AWS, what it would cost and what holds it up.

        With neither --workload nor --from, run random jobs on a simulated cloud under every fault,
        and exit with 1 if one goes wrong: for those who change aflint.
        """
        if workload is not None or recorded is not None:
            _refuse(context, _OF_FAULTS, "is for random jobs: leave out --workload and --from")
            from aflint.cost.simulator import Cloud

            load, ran_in = forecast.wanted_load(
                workload, recorded, size, tasks, reducers, concurrency
            )
            prices = forecast.prices_in(region or ran_in)
            cloud = Cloud(concurrency, memory_mb, transport, prices=prices)
            _run_job(load, cloud, levels, as_json=as_json)
        else:
            _refuse(context, _OF_JOBS, "is of a job: name it by --workload, or by --from")
            given = range(start, start + seeds)
            _run_seeds(given, faults, jobs, dataframes=dataframes, as_json=as_json)


def _refuse(context: typer.Context, panel: str, why: str) -> None:
    """Raise InvalidArgumentError where an option was given that would be left unused."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        if given and getattr(option, "rich_help_panel", None) == panel:
            raise InvalidArgumentError(f"{option.opts[0]} {why}")


def _job_option(*names: str, **given: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_OF_JOBS, **given)


def _fault_option(*names: str, **given: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_OF_FAULTS, **given)


def _run_job(load: JobLoad, cloud: Cloud, levels: int, *, as_json: bool) -> None:
    from aflint.cost.load import two_level
    from aflint.cost.simulator import simulate
    from aflint.cost.workloads import MERGE_S

    if levels == 2:
        load = two_level(load, MERGE_S)
    found, low, high = (simulate(load, cloud, level) for level in ("likely", "low", "high"))
    if as_json:
        ends = {"fast": forecast.as_dict(low), "slow": forecast.as_dict(high)}
        write_json(forecast.as_dict(found) | ends)
    else:
        forecast.write(found, low, high)


def _run_seeds(
    seeds: range, faults: str | None, jobs: int, *, dataframes: bool, as_json: bool
) -> None:
    if dataframes and any(find_spec(name) is None for name in _OF_QUERIES):
        raise ConfigError("--dataframes needs SQL's packages: pip install 'aflint[sql]'")
    from aflint.config import cpu_count
    from aflint.testing.simulation import queries_of, workload_of
    from aflint.testing.simulation.batch import Tally, run_seeds, shrink_elsewhere
    from aflint.testing.simulation.faults import chosen_rates

    kinds = None if faults is None else [kind for kind in faults.split(",") if kind != "none"]
    rates = chosen_rates(kinds)
    tally = Tally()
    began = time.perf_counter()
    program_of = queries_of if dataframes else workload_of
    for outcome in run_seeds(seeds, rates, jobs or cpu_count(), program_of):
        tally.add(outcome)
        if outcome.failure and not as_json:
            typer.echo(f"seed {outcome.seed} failed: {outcome.failure}", err=True)
    seconds = time.perf_counter() - began
    # Seeds end in any order, and the report is to be the same for any number of processes.
    tally.failures.sort(key=lambda outcome: outcome.seed)
    kinds_run = {kind.value: tally.counts.get(kind.value, 0) for kind in rates}
    if not as_json:
        _show(tally, kinds_run, seconds)
    # Shrinking runs a seed many times: a few failures show what there is to see.
    shrunk = [shrink_elsewhere(each, rates) for each in tally.failures[:_MOST_SHRUNK]]
    if as_json:
        write_json(_as_json(tally, kinds_run, seconds, shrunk))
    else:
        options = " --dataframes" * dataframes + (f" --faults {faults}" if faults else "")
        _show_failures(shrunk, options)
    if tally.failures:
        raise typer.Exit(1)


def _show(tally: Tally, kinds: dict[str, int], seconds: float) -> None:
    typer.echo(
        f"{tally.seeds:,} seeds in {seconds:.1f} s ({tally.seeds / seconds:.1f} a second); "
        f"{tally.attempts:,} attempts, {tally.links:,} of them continued; "
        f"{tally.virtual_s / 3600:,.1f} simulated hours"
    )
    for kind, count in kinds.items():
        typer.echo(f"  {kind:<20}{count:>9,}")
    typer.echo(f"jobs that ended with an error, as their faults had it: {tally.errors:,}")
    typer.echo(f"failures: {len(tally.failures):,}")


def _show_failures(shrunk: list[Outcome], options: str) -> None:
    for outcome in shrunk:
        typer.echo(
            f"\nseed {outcome.seed}: aflint simulate --start {outcome.seed} --seeds 1{options}"
        )
        typer.echo(f"  program: {outcome.workload}")
        typer.echo(
            "  faults:  " + ", ".join(f"{kind} at {where}" for kind, where in outcome.struck)
        )
        typer.echo(f"  failure: {outcome.failure}")
        for line in outcome.trace[-_LAST_EVENTS:]:
            typer.echo(f"    {line}")


def _as_json(
    tally: Tally, kinds: dict[str, int], seconds: float, shrunk: list[Outcome]
) -> dict[str, Any]:
    small = {outcome.seed: outcome for outcome in shrunk}
    return {
        "seeds": tally.seeds,
        "seconds": round(seconds, 3),
        "seeds_per_second": round(tally.seeds / seconds, 2),
        "attempts": tally.attempts,
        "continued": tally.links,
        "simulated_seconds": round(tally.virtual_s, 3),
        "faults": kinds,
        "allowed_errors": tally.errors,
        "failures": [
            {
                "seed": each.seed,
                "failure": each.failure,
                "program": str(small.get(each.seed, each).workload),
                "faults": list(small.get(each.seed, each).struck),
                "trace": list(small.get(each.seed, each).trace),
            }
            for each in tally.failures
        ],
    }
