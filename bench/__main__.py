"""`python -m bench`: measure, compare two runs, write the documentation, install the peers."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from aflint.cli.ascii import write_in_any_encoding
from bench import compare as comparing
from bench import docs, environments, show
from bench.engine import EngineError
from bench.matrix import SizeError
from bench.measure import AnswersDifferError
from bench.registry import ENGINES, WORKLOADS
from bench.report import Report
from bench.workload import TINY, Options

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "results.json"

app = typer.Typer(add_completion=False, help=__doc__)


def size_of(text: str) -> float:
    """Return a size as it was given. Raises BadParameter unless it is more than 0."""
    if text == "tiny":
        return TINY
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < float("inf"):
        raise typer.BadParameter(
            f"{text} is no size: give a number more than 0, times the usual size, or tiny"
        )
    return size


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all if none is named.")] = None,
    size: Annotated[str, typer.Option(help='Times the usual size, or "tiny".')] = "1",
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds after the warm-up.")] = None,
    engines: Annotated[
        str | None, typer.Option(help='Only these, as "aflint,hand-written,PySpark".')
    ] = None,
    transport: Annotated[
        str | None, typer.Option(help="Only this one, in the shuffle benchmark.")
    ] = None,
    longest: Annotated[
        float, typer.Option(min=1, help="Seconds that an engine may take for one answer.")
    ] = math.inf,
    data: Annotated[Path, typer.Option(help="Where generated data is kept.")] = ROOT / "data",
    out: Annotated[Path, typer.Option(help="Where results are added.")] = RESULTS,
) -> None:
    """Measure aflint beside its peers, in one run; `run` need not be written."""
    unknown = set(names or ()) - set(WORKLOADS)
    if unknown:
        raise typer.BadParameter(
            f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}"
        )
    only = frozenset(engine.strip() for engine in engines.split(",")) if engines else None
    out.parent.mkdir(parents=True, exist_ok=True)
    options = Options(size_of(size), rounds, only, data, out.parent, transport, longest)
    console = Console()
    failed = False
    for name in names or WORKLOADS:
        failed |= not _run(name, options, out, console)
    if failed:
        raise typer.Exit(1)


def _run(name: str, options: Options, out: Path, console: Console) -> bool:
    with console.status(name) as status:
        try:
            report = asyncio.run(_measure(name, options, status))
        except (AnswersDifferError, EngineError, SizeError) as error:
            console.print(f"[bold red]{name}[/]: {error}", highlight=False)
            return False
    show.tell(report, console)
    found = comparing.load(out) if out.exists() else {}
    found[report.name] = report.to_json()
    out.write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"[dim]Added to {out}[/]\n")
    return True


async def _measure(name: str, options: Options, status: Status) -> Report:
    return await WORKLOADS[name].run(options, lambda text: status.update(f"{name}: {text}"))


@app.command("list")
def list_() -> None:
    """Say which workloads and which engines there are."""
    console = Console()
    for workload in WORKLOADS.values():
        console.print(f"[bold]{workload.name:15}[/] {workload.title}")
    for engine in ENGINES:
        missing = "" if engine.python.exists() else "not installed: make bench-peers"
        why = engine.left_out or missing
        console.print(f"[bold]{engine.name}[/]" + (f"  [dim]({why})[/]" if why else ""))


@app.command()
def compare(old: Path, new: Path) -> None:
    """Show what became slower, by its ratio to the hand-written peer; exit status 1 if any did."""
    try:
        before, after = comparing.load(old), comparing.load(new)
    except comparing.ResultsError as error:
        raise typer.BadParameter(str(error)) from None
    changes = comparing.changes(before, after)
    Console().print(comparing.table(changes))
    if any(change.regressed for change in changes):
        raise typer.Exit(1)


@app.command("docs")
def write_docs(results: Path = RESULTS) -> None:
    """Write the figures and charts of docs/benchmarks.md from results, and benchmarks.json."""
    try:
        docs.write(comparing.load(results), ROOT / "docs")
    except comparing.ResultsError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def install() -> None:
    """Install the engines that live in environments of their own; one that fails is named."""
    failed = environments.install(ENGINES)
    for name, why in failed.items():
        Console(stderr=True).print(f"[bold red]{name}[/] does not install: {why}", highlight=False)
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """Run a command; the names of benchmarks alone are run."""
    write_in_any_encoding()
    arguments = sys.argv[1:]
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    if not arguments or arguments[0] not in commands | {"--help"}:
        arguments = ["run", *arguments]
    app(arguments)


if __name__ == "__main__":
    main()
