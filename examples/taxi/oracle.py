"""The answers to Q0 to Q6, worked out another way: to check the queries against.

It shares no code with them. Files are read by `csv`, fields are found by the names in each file's
header and the colour by the file's name, numbers are compared as decimals.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from functools import cache
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

# What the columns have been called, in lower case.
NAMES = {
    "picked_up": {
        "trip_pickup_datetime",
        "pickup_datetime",
        "tpep_pickup_datetime",
        "lpep_pickup_datetime",
    },
    "dropped_off": {
        "trip_dropoff_datetime",
        "dropoff_datetime",
        "tpep_dropoff_datetime",
        "lpep_dropoff_datetime",
    },
    "longitude": {"end_lon", "dropoff_longitude"},
    "latitude": {"end_lat", "dropoff_latitude"},
    "payment": {"payment_type"},
    "tip": {"tip_amt", "tip_amount"},
}
GOLDMAN = tuple(map(Decimal, ("-74.0144185", "-74.013777", "40.7138745", "40.7152275")))
CITIGROUP = tuple(map(Decimal, ("-74.012083", "-74.009867", "40.720053", "40.7217236")))


HOURLY = ("Q1", "Q2", "Q3")


def _hours() -> dict[str, Counter[int]]:
    return {name: Counter() for name in HOURLY}


@dataclass
class Tally:
    """What is counted while a file is read."""

    lines: int = 0
    hours: dict[str, Counter[int]] = field(default_factory=_hours)
    payments: Counter[tuple[str, str]] = field(default_factory=Counter)
    colours: Counter[tuple[str, str]] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)


class Trip(NamedTuple):
    """The fields that are looked at, in the order of NAMES."""

    picked_up: str
    dropped_off: str
    longitude: str
    latitude: str
    payment: str
    tip: str


def answers(trips: Iterable[Path], weather: Path, jobs: int = 1) -> dict[str, Any]:
    """Return {"Q0": answer, …}, each in the form in which the query of that name gives it.

    With more than one job, as many processes share the files.
    """
    paths = sorted(trips, key=lambda path: -path.stat().st_size)
    if jobs == 1:
        tallies = [_tally(path) for path in paths]
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            tallies = list(pool.map(_tally, paths))
    by_hour = {name: sum((t.hours[name] for t in tallies), Counter[int]()) for name in HOURLY}
    payments = sum((tally.payments for tally in tallies), Counter[tuple[str, str]]())
    colours = sum((tally.colours for tally in tallies), Counter[tuple[str, str]]())
    days = sum((tally.days for tally in tallies), Counter[str]())
    return {
        "Q0": sum(tally.lines for tally in tallies),
        **{name: sorted(counts.items()) for name, counts in by_hour.items()},
        "Q4": sorted(payments.items()),
        "Q5": sorted(colours.items()),
        "Q6": _by_precipitation(days, weather),
    }


def _tally(path: Path) -> Tally:
    tally = Tally()
    with path.open("rb") as file:
        tally.lines = sum(1 for _ in file)
    colour = "green" if "green" in path.name else "yellow"
    for trip in _trips(path):
        _count(tally, colour, trip)
    return tally


def _trips(path: Path) -> Iterator[Trip]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = [name.strip().lower() for name in next(rows, [])]
        found = [[name in names for name in header] for names in NAMES.values()]
        if not all(map(any, found)):
            raise ValueError(f"{path} has no header that names the columns of a trip: {header}")
        wanted = itemgetter(*(columns.index(True) for columns in found))
        for row in rows:
            if len(row) >= len(header) > 0:
                yield Trip(*wanted(row))


def _count(tally: Tally, colour: str, trip: Trip) -> None:
    if (picked_up := _day(trip.picked_up[:10])) is not None:
        month = f"{picked_up.year}-{picked_up.month:02}"
        tally.colours[month, colour] += 1
        tally.days[trip.picked_up[:10]] += 1
        paid = trip.payment.lower()
        if paid in {"1", "crd", "cre", "credit"}:
            tally.payments[month, "credit"] += 1
        elif paid in {"2", "csh", "cas", "cash"}:
            tally.payments[month, "cash"] += 1
    hour, longitude = _decimal(trip.dropped_off[11:13]), _decimal(trip.longitude)
    latitude = _decimal(trip.latitude)
    if hour is None or longitude is None or latitude is None:
        return
    if _inside(CITIGROUP, longitude, latitude):
        tally.hours["Q2"][int(hour)] += 1
    if _inside(GOLDMAN, longitude, latitude):
        tally.hours["Q1"][int(hour)] += 1
        tip = _decimal(trip.tip)
        if tip is not None and tip > 10:
            tally.hours["Q3"][int(hour)] += 1


def _by_precipitation(days: Counter[str], weather: Path) -> list[tuple[float, tuple[int, int]]]:
    trips: Counter[float] = Counter()
    dates: Counter[float] = Counter()
    with weather.open(newline="", encoding="utf-8") as file:
        for day in csv.DictReader(file):
            inches = _decimal(day["PRCP"])
            if inches is not None and day["DATE"] in days:
                tenth = float(inches.quantize(Decimal("0.1"), ROUND_FLOOR))
                trips[tenth] += days[day["DATE"]]
                dates[tenth] += 1
    return [(tenth, (trips[tenth], dates[tenth])) for tenth in sorted(trips)]


def _inside(box: tuple[Decimal, ...], longitude: Decimal, latitude: Decimal) -> bool:
    west, east, south, north = box
    return west <= longitude <= east and south <= latitude <= north


@cache
def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
