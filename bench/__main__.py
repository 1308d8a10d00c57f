"""`python -m bench`: run the benchmarks named, or all; print and write what they found."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from aflint.cli.ascii import write_in_any_encoding
from bench import show
from bench.measure import AnswersDifferError
from bench.registry import WORKLOADS
from bench.report import Report
from bench.workload import Options

ROOT = Path(__file__).parents[1]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all if none is named.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say what there is, and stop.")] = False,
    quick: Annotated[bool, typer.Option(help="Small sizes: shows that it runs.")] = False,
    trips: Annotated[int, typer.Option(min=1, help="Trips of the taxi benchmark.")] = 3_000_000,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds after the warm-up.")] = None,
    peers: Annotated[
        str | None, typer.Option(help='Only these, as "aflint,hand-written,PySpark".')
    ] = None,
    transport: Annotated[
        str | None, typer.Option(help="Only this one, in the shuffle benchmark.")
    ] = None,
    scale: Annotated[float, typer.Option(min=0.001, help="Of the TPC-H benchmark.")] = 1.0,
    data: Annotated[Path, typer.Option(help="Where generated data is kept.")] = ROOT / "data",
    out: Annotated[Path, typer.Option(help="Where results go.")] = ROOT / "bench" / "results",
) -> None:
    """Measure aflint beside its peers, in one run."""
    write_in_any_encoding()
    console = Console()
    if list_:
        for workload in WORKLOADS.values():
            console.print(f"[bold]{workload.name:10}[/] {workload.title}")
        return
    unknown = set(names or ()) - set(WORKLOADS)
    if unknown:
        raise typer.BadParameter(
            f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}"
        )
    only = frozenset(peer.strip() for peer in peers.split(",")) if peers else None
    options = Options(quick, trips, rounds, only, data, transport, scale)
    out.mkdir(parents=True, exist_ok=True)
    for name in names or WORKLOADS:
        _run(name, options, out, console)


def _run(name: str, options: Options, out: Path, console: Console) -> None:
    with console.status(name) as status:
        try:
            report = asyncio.run(_measure(name, options, status))
        except AnswersDifferError as error:
            console.print(f"[bold red]{name}[/]: {error}")
            raise typer.Exit(1) from None
    console.print(show.table(report))
    for line in show.goals(report):
        console.print(line)
    for note in report.notes:
        console.print(f"[dim]{note}[/]")
    (out / f"{name}.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")
    (out / f"{name}.md").write_text(show.markdown(report))
    show.chart(report, out / f"{name}.svg")
    console.print(f"[dim]Written to {out / name}.json, .md and, with matplotlib, .svg[/]\n")


async def _measure(name: str, options: Options, status: Status) -> Report:
    return await WORKLOADS[name].run(options, lambda text: status.update(f"{name}: {text}"))


if __name__ == "__main__":
    typer.run(main)
