"""`make demo`: Flint's seven queries over a million trips, on this machine, checked and priced."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import aflint
from aflint.cli.ascii import write_in_any_encoding
from examples.taxi import oracle
from examples.taxi.charts import chart
from examples.taxi.generate import WEATHER, Dataset, existing, generate_with_bar
from examples.taxi.queries import QUERIES, Query

DATA = Path(__file__).parents[2] / "data"


@dataclass(frozen=True)
class Outcome:
    """How one query went."""

    query: Query
    seconds: float
    dollars: float
    right: bool


def main(
    trips: Annotated[int, typer.Option(min=1, help="How many trips.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Which trips.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Default: one for each CPU.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A folder with the published files, to use instead.")
    ] = None,
) -> None:
    """Run Q0 to Q6 of the Flint paper through aflint's local backend."""
    write_in_any_encoding()
    console = Console()
    folder = data or DATA / f"taxi-{trips}-{seed}"
    if data is None:
        dataset = existing(folder, trips, seed) or generate_with_bar(
            folder, trips, seed, console=console
        )
        told = _told(dataset)
    else:
        told = f"the files of {folder}"
    paths = sorted(folder.glob("*_tripdata_*.csv"))
    if not paths or not (folder / WEATHER).exists():
        raise typer.BadParameter(
            f"{folder} has no *_tripdata_*.csv, or no {WEATHER}", param_hint="--data"
        )
    console.print(_banner(told, workers))
    with console.status("Working out the answers in plain Python, to check against"):
        started = time.perf_counter()
        expected = oracle.answers(paths, folder / WEATHER, jobs=os.cpu_count() or 1)
        plain = time.perf_counter() - started
    outcomes = asyncio.run(_run(console, folder, expected, workers))
    console.print(_summary(outcomes, plain))
    if not all(outcome.right for outcome in outcomes):
        sys.exit("an answer differs from the plain computation")


async def _run(
    console: Console, folder: Path, expected: dict[str, Any], workers: int | None
) -> list[Outcome]:
    outcomes = []
    overrides: dict[str, Any] = {} if workers is None else {"workers": workers}
    async with aflint.connect(progress=console.is_terminal, **overrides) as session:
        trips = session.text_file(str(folder / "*_tripdata_*.csv"))
        weather = session.text_file(str(folder / WEATHER))
        for query in QUERIES:
            console.print()
            console.print(Text.assemble((f"{query.name}  ", "bold cyan"), (query.title, "bold")))
            started = time.perf_counter()
            answer = await query.answer(trips, weather)
            seconds = time.perf_counter() - started
            outcome = Outcome(query, seconds, _dollars(session), answer == expected[query.name])
            console.print(chart(query.name, answer))
            console.print(_footer(outcome))
            outcomes.append(outcome)
    return outcomes


def _dollars(session: aflint.Session) -> float:
    """Return what the last job would have cost on Lambda."""
    job = session.last_job
    return job.cost.total if job is not None else 0.0


def _told(dataset: Dataset) -> str:
    return (
        f"{dataset.trips:,} trips in {len(dataset.files)} files, yellow and green, "
        f"{dataset.bytes / 1e6:,.0f} MB"
    )


def _banner(told: str, workers: int | None) -> Panel:
    text = Text.assemble(
        ("The seven queries of Flint", "bold"),
        f" (Kim and Lin, 2018)\n{told}\n",
        (f"{workers or os.cpu_count() or 1} local workers, no account, no network", "dim"),
    )
    return Panel(text, title="aflint", border_style="cyan", expand=False, padding=(0, 2))


def _price(dollars: float) -> str:
    return f"${dollars:.6f}"  # a query over a million trips costs some thousandths of a cent


def _footer(outcome: Outcome) -> Text:
    verdict = ("✓ right", "green") if outcome.right else ("✗ wrong", "bold red")
    price = f"{_price(outcome.dollars)} on Lambda"
    return Text.assemble("  ", verdict, (f" · {outcome.seconds:.2f} s · {price}", "dim"))


def _summary(outcomes: list[Outcome], plain: float) -> Table:
    table = Table(title="\nAll seven", title_justify="left", title_style="bold", box=None)
    for heading in ("", "query", "seconds", "on Lambda", "answer"):
        table.add_column(
            heading, justify="right" if heading in {"seconds", "on Lambda"} else "left"
        )
    for o in outcomes:
        verdict = Text("✓ right", "green") if o.right else Text("✗ wrong", "bold red")
        seconds, price = f"{o.seconds:.2f}", _price(o.dollars)
        table.add_row(o.query.name, o.query.title, seconds, price, verdict)
    total = sum(outcome.seconds for outcome in outcomes)
    dollars = _price(sum(outcome.dollars for outcome in outcomes))
    table.add_row("", "in all", f"{total:.2f}", dollars, "", style="bold")
    table.add_row("", "plain Python, all in one pass", f"{plain:.2f}", "", "", style="dim")
    return table


if __name__ == "__main__":
    typer.run(main)
