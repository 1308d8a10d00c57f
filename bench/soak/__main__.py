"""`python -m bench.soak`: mixed jobs for an hour; exit status 1 if anything grew or was wrong."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from aflint.cli.ascii import write_in_any_encoding
from bench.report import machine
from bench.soak.run import Options, Record, soak
from bench.soak.show import chart, table
from bench.soak.verdict import complaints, trends

RESULTS = Path(__file__).parents[1] / "results"


class BackendName(StrEnum):
    """Where jobs run."""

    LOCAL = "local"
    LOCALCLOUD = "localcloud"


def main(
    backend: Annotated[BackendName, typer.Option(help="Where jobs run.")] = BackendName.LOCAL,
    minutes: Annotated[float, typer.Option(min=0.05, help="For how long.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Which jobs, and in which order.")] = 1,
    duty: Annotated[float, typer.Option(min=0.05, max=1, help="Share of time at work.")] = 0.5,
    sessions: Annotated[int | None, typer.Option(min=1, help="End after so many lives.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the samples go, a .json; .md and .svg beside it.")
    ] = None,
) -> None:
    """Run sessions and jobs of all kinds, check each answer, and see that nothing grows."""
    write_in_any_encoding()
    console = Console()
    options = Options(backend.value, minutes, seed, duty, sessions)
    out = out or RESULTS / f"soak-{backend.value}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="aflint-soak-") as folder,
        console.status("soak") as status,
    ):
        record = asyncio.run(soak(options, Path(folder), status.update))
    found = trends(record.samples)
    wrong = [*complaints(found), *record.tally.failures]
    told = table(found)
    console.print(told, markup=False)
    _write(out, options, record, told, wrong)
    tally = record.tally
    console.print(
        f"{tally.sessions} sessions, {tally.jobs.total()} jobs, {record.seconds / 60:.1f} minutes; "
        f"written to {out}"
    )
    for line in wrong:
        console.print(line, style="red", markup=False)
    if wrong:
        raise typer.Exit(1)
    console.print("Flat, and every answer right.", style="green")


def _write(out: Path, options: Options, record: Record, told: str, wrong: list[str]) -> None:
    tally = record.tally
    content: dict[str, Any] = {
        "options": asdict(options),
        "machine": machine(),
        "seconds": round(record.seconds, 1),
        "sessions": tally.sessions,
        "jobs": dict(tally.jobs.most_common()),
        "faults": dict(tally.struck.most_common()),
        "wrong": wrong,
        "trends": [asdict(trend) for trend in trends(record.samples)],
        "samples": [asdict(sample) for sample in record.samples],
    }
    out.write_text(json.dumps(content, indent=2) + "\n")
    out.with_suffix(".md").write_text(told)
    title = f"{tally.jobs.total():,} jobs in {tally.sessions} sessions on {options.backend}"
    chart(record.samples, title, out.with_suffix(".svg"))


if __name__ == "__main__":
    typer.run(main)
