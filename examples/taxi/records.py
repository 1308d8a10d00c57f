"""What the taxi queries do to one record: plain functions, shared by every peer of the benchmark.

Where a field lies follows from how many there are, so that one function serves every year and both
colours (files with coordinates, to June 2016):

| fields | what | drop-off lon, lat | payment | tip |
|---|---|---|---|---|
| 18, 19 | yellow (to 2014, from 2015) | 9, 10 | 11 | 15 |
| 20, 22 | green to 2014 | 7, 8 | 18 | 14 |
| 21, 23 | green from 2015 | 7, 8 | 19 | 14 |

In each, field 1 is the time of pick-up, field 2 that of drop-off, and field 3 a number (of
passengers) in yellow and a flag in green. Headers, blank lines and lines cut short are no trips;
what tells them is that a field does not hold what it would in a trip. No more of a line is split
than a question needs: that, and not the engine, is most of what a query costs.
"""

from __future__ import annotations

import csv
from typing import NamedTuple

Key = tuple[str, str]


class Box(NamedTuple):
    """A rectangle of degrees; its edges belong to it."""

    west: float
    east: float
    south: float
    north: float


GOLDMAN = Box(-74.0144185, -74.013777, 40.7138745, 40.7152275)
CITIGROUP = Box(-74.012083, -74.009867, 40.720053, 40.7217236)

COLOURS = {**{str(n): "yellow" for n in range(256)}, "N": "green", "Y": "green"}
PAYMENT_FIELD = {18: 11, 19: 11, 20: 18, 22: 18, 21: 19, 23: 19}
PAYMENT_KINDS = {
    **dict.fromkeys(("1", "CRD", "CRE", "Cre", "CREDIT", "Credit"), "credit"),
    **dict.fromkeys(("2", "CSH", "CAS", "Cas", "CASH", "Cash"), "cash"),
}


def split(line: str) -> list[str]:
    """Return the fields of a trip's line (no field of a trip is quoted)."""
    return line.split(",")


def near_goldman(line: str) -> bool:
    """Return False for most lines that cannot lie in the box, before they are split."""
    return ",-74.01" in line and ",40.71" in line


def near_citigroup(line: str) -> bool:
    """Return False for most lines that cannot lie in the box, before they are split."""
    return ",40.72" in line and ",-74.0" in line


def number(text: str) -> float:
    """Return the number written in a field; NaN, which is in no range, where there is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def dropped_off_in(box: Box, row: list[str]) -> bool:
    """Tell whether a row is a trip with a known time that ended inside the box."""
    if len(row) not in PAYMENT_FIELD or not row[2][11:13].isdigit():
        return False
    longitude, latitude = row[7:9] if len(row) > 19 else row[9:11]
    return box.west <= number(longitude) <= box.east and box.south <= number(latitude) <= box.north


def at_goldman(row: list[str]) -> bool:
    """Tell whether the trip ended at Goldman Sachs."""
    return dropped_off_in(GOLDMAN, row)


def at_citigroup(row: list[str]) -> bool:
    """Tell whether the trip ended at Citigroup."""
    return dropped_off_in(CITIGROUP, row)


def tipped_over_ten(row: list[str]) -> bool:
    """Tell whether the tip was more than $10."""
    return number(row[14] if len(row) > 19 else row[15]) > 10


def hour_of_drop_off(row: list[str]) -> tuple[int, int]:
    """Return (hour, 1)."""
    return int(row[2][11:13]), 1


def month_and_payment(line: str) -> tuple[Key, int] | None:
    """Return ((month, "cash" or "credit"), 1); None for what is no trip, or was paid otherwise."""
    row = line.split(",", 12)
    if len(row) < 13:
        return None
    kind = PAYMENT_KINDS.get(row[11] if row[3].isdigit() else green_payment(row[12]))
    return ((row[1][:7], kind), 1) if kind else None


def green_payment(rest: str) -> str:
    """Return how a green trip was paid, from what follows its first twelve fields."""
    row = rest.split(",")
    field = PAYMENT_FIELD.get(len(row) + 12, 0) - 12
    return row[field] if field > 0 else ""


def month_and_colour(line: str) -> tuple[Key, int] | None:
    """Return ((month, "yellow" or "green"), 1); None for what is no trip."""
    row = line.split(",", 4)
    colour = COLOURS.get(row[3]) if len(row) == 5 else None
    return ((row[1][:7], colour), 1) if colour else None


def date_of_pick_up(line: str) -> tuple[str, int] | None:
    """Return (date, 1); None for lines without one. A header's "date" has no weather to join."""
    row = line.split(",", 2)
    return (row[1][:10], 1) if len(row) == 3 else None


def date_and_precipitation(line: str) -> tuple[str, float] | None:
    """Return (date, inches) of one line of daily weather; None for a header or an unknown day."""
    row = next(csv.reader([line]), [])
    if len(row) < 5 or row[2][:2] != "20":
        return None
    inches = number(row[4])
    return (row[2], inches) if inches >= 0 else None


def by_precipitation(joined: tuple[str, tuple[int, float]]) -> tuple[float, tuple[int, int]]:
    """Turn (date, (trips, inches)) into (inches to one tenth, rounded down, (trips, 1 day))."""
    _, (trips, inches) = joined
    return int(inches * 10 + 1e-6) / 10, (trips, 1)


def add_pairs(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    """Add two pairs, field by field."""
    return left[0] + right[0], left[1] + right[1]
