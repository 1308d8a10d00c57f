"""Make up taxi trips and weather, of any size, in the form of the published files.

    python -m examples.taxi.generate --trips 1000000 --seed 1 --out data/taxi

The same arguments give the same bytes, on any machine and with any number of processes.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from math import exp
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from aflint.cli.ascii import write_in_any_encoding
from examples.taxi.formats import COLOURS, FIRST_MONTH, LAST_MONTH, Colour
from examples.taxi.trips import Part, render
from examples.taxi.weather import weather_file

PART = 20_000  # trips made in one piece: some 3 MB of text
WEATHER = "central_park_weather.csv"
MARK = "dataset.json"

# One month of each way in which the files were written since there are green taxis.
MONTHS = ("2013-12", "2014-06", "2015-01", "2015-07", "2016-01", "2016-06")


@dataclass(frozen=True)
class Dataset:
    """What was asked for, and what was written; kept beside the files as `dataset.json`."""

    trips: int
    seed: int
    months: tuple[str, ...]
    files: dict[str, int]
    bytes: int


def parts_of(trips: int, months: tuple[str, ...], seed: int) -> list[Part]:
    """Divide the trips among the months and colours, as they were driven, and into pieces."""
    files: list[tuple[Colour, str]] = [
        (colour, month) for month in months for colour in COLOURS if month >= FIRST_MONTH[colour]
    ]
    weights = [_volume(colour, month) for colour, month in files]
    parts = []
    for (colour, month), count in zip(files, _shares(trips, weights), strict=True):
        pieces = max(1, -(-count // PART))
        for number in range(pieces):
            size = count * (number + 1) // pieces - count * number // pieces
            parts.append(Part(seed, colour, month, number, size, number == pieces - 1))
    return parts


def generate(
    out: Path,
    trips: int,
    seed: int = 1,
    months: tuple[str, ...] = MONTHS,
    jobs: int | None = None,
    progress: Callable[[int], object] = lambda trips: None,
) -> Dataset:
    """Write the files into a folder and return what was written.

    Memory stays constant: pieces are rendered by `jobs` processes (as many as processors by
    default) and written in order. `progress` is told how many trips a piece added.
    """
    parts = parts_of(trips, months, seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).unlink(missing_ok=True)
    first, last = date(int(min(months)[:4]), 1, 1), date(int(max(months)[:4]), 12, 31)
    (out / WEATHER).write_text(weather_file(seed, first, last), newline="")
    files: dict[str, int] = {}
    for part, text in _rendered(parts, jobs or os.cpu_count() or 1):
        with (out / part.file).open("wb" if part.number == 0 else "ab") as file:
            file.write(text)
        files[part.file] = files.get(part.file, 0) + part.trips
        progress(part.trips)
    size = sum((out / name).stat().st_size for name in files)
    dataset = Dataset(trips, seed, months, files, size)
    (out / MARK).write_text(json.dumps(asdict(dataset), indent=2) + "\n")
    return dataset


def existing(out: Path, trips: int, seed: int, months: tuple[str, ...] = MONTHS) -> Dataset | None:
    """Return the dataset that lies complete in the folder, if it is the one asked for."""
    try:
        found = json.loads((out / MARK).read_text())
        dataset = Dataset(**{**found, "months": tuple(found["months"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    wanted = (trips, seed, months)
    return dataset if (dataset.trips, dataset.seed, dataset.months) == wanted else None


def generate_with_bar(
    out: Path,
    trips: int,
    seed: int = 1,
    months: tuple[str, ...] = MONTHS,
    jobs: int | None = None,
    console: Console | None = None,
) -> Dataset:
    """Do as `generate` does, and show how far it is."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trips"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Making up trips", total=trips)
        return generate(out, trips, seed, months, jobs, lambda n: bar.advance(task, n))


def month_range(text: str) -> tuple[str, ...]:
    """Return the months of "2015-01:2015-06" (both ends included) or of "2015-01,2015-07"."""
    if ":" not in text:
        months = tuple(sorted(set(text.split(","))))
    else:
        first, last = (_month_number(end) for end in text.split(":", 1))
        months = tuple(f"{n // 12}-{n % 12 + 1:02}" for n in range(first, last + 1))
    earliest = FIRST_MONTH["yellow"]
    for month in months:
        _month_number(month)
        if not earliest <= month <= LAST_MONTH:
            raise ValueError(f"{month} is outside {earliest} to {LAST_MONTH}")
    if not months:
        raise ValueError(f"{text!r} holds no month: write the earlier one first")
    return months


def _month_number(text: str) -> int:
    try:
        day = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ValueError(f"{text!r} is not a month: write it as 2015-07") from None
    return day.year * 12 + day.month - 1


def _volume(colour: Colour, month: str) -> float:
    """Return about how many millions of trips were driven."""
    if colour == "yellow":
        return 15.2 - 0.045 * (_month_number(month) - _month_number("2009-01"))
    age = _month_number(month) - _month_number(FIRST_MONTH["green"])
    return 1.55 * (1 - exp(-(age + 0.2) / 3.5))


def _shares(total: int, weights: list[float]) -> list[int]:
    """Divide a number by weights, exactly."""
    shares, given, weight = [], 0, 0.0
    for each in weights:
        weight += each
        upto = round(total * weight / sum(weights))
        shares.append(upto - given)
        given = upto
    return shares


def _rendered(parts: list[Part], jobs: int) -> Iterator[tuple[Part, bytes]]:
    """Yield each part with its text, in order; a few are made ahead, in other processes."""
    if jobs == 1 or len(parts) == 1 or sum(part.trips for part in parts) < PART:
        yield from ((part, render(part)) for part in parts)
        return
    ahead: deque[tuple[Part, Future[bytes]]] = deque()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for part in parts:
            ahead.append((part, pool.submit(render, part)))
            if len(ahead) > 2 * jobs:
                part, future = ahead.popleft()
                yield part, future.result()
        for part, future in ahead:
            yield part, future.result()


def main(
    out: Annotated[Path, typer.Option(help="The folder to write into; made if missing.")],
    trips: Annotated[int, typer.Option(min=0, help="How many trips in all.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    months: Annotated[
        str, typer.Option(help="FIRST:LAST, or a list; 2009-01 to 2016-06.")
    ] = ",".join(MONTHS),
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: all.")] = None,
) -> None:
    """Make up taxi trips and weather in the form of the published files."""
    write_in_any_encoding()
    console = Console()
    try:
        chosen = month_range(months)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--months") from None
    dataset = generate_with_bar(out, trips, seed, chosen, jobs, console)
    console.print(
        f"{dataset.trips:,} trips in {len(dataset.files)} files, "
        f"{dataset.bytes / 1e6:,.0f} MB, and {WEATHER}, in {out}"
    )


if __name__ == "__main__":
    typer.run(main)
