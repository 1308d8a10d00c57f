"""What trips are drawn from: places, times of day and rides, worked out once.

Drawing from tables of finished text is what makes the generator fast; that several trips share a
place or a price does no harm to any query. Every table follows from the seed alone.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache
from random import Random
from struct import pack, unpack
from typing import NamedTuple

from examples.taxi.formats import Colour, FileFormat, Number
from examples.taxi.records import CITIGROUP, GOLDMAN, Box
from examples.taxi.weather import precipitation

CLOCK = [f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in range(86_400)]
PLACES = 8_192  # distinct points of each kind
DROP_OFFS = 4_096  # entries of each hour's table of drop-offs
RIDES = 4_096
MOMENTS = 16_384

# Pick-ups by hour of the day, in percent, as in the published trips of 2015.
BUSY_MORNING = (4, 3, 2.2, 1.6, 1.2, 1, 2.1, 3.6, 4.5, 4.6, 4.5, 4.7)
BUSY = (*BUSY_MORNING, 4.9, 4.9, 5.1, 5, 4.2, 5, 6, 6.2, 5.8, 5.6, 5.4, 4.9)
WEEKDAYS = (0.88, 0.95, 0.99, 1.02, 1.07, 1.1, 0.96)

# Of 4,096 drop-offs in an hour, how many are at the bank: its people come in the morning.
AT_THE_BANK = (3, 2, 2, 2, 4, 18, 34, 36, 28, 20, 12, 9, 8, 8, 7, 7, 6, 6, 7, 9, 10, 8, 6, 4)
GREEN_SHARE = 0.4  # fewer of green's trips end downtown

# (weight, longitude, latitude, spread in degrees): where trips start and end.
MANHATTAN = (
    (34, -73.982, 40.756, 0.011),
    (18, -73.960, 40.775, 0.009),
    (12, -73.977, 40.785, 0.008),
    (16, -73.997, 40.731, 0.009),
    (8, -74.008, 40.714, 0.006),
    (5, -73.950, 40.690, 0.022),
    (3, -73.872, 40.774, 0.003),
    (3, -73.785, 40.645, 0.004),
    (1, -73.900, 40.750, 0.050),
)
BOROUGHS = (
    (26, -73.945, 40.808, 0.012),
    (28, -73.955, 40.690, 0.018),
    (24, -73.905, 40.750, 0.022),
    (10, -73.925, 40.830, 0.015),
    (7, -73.975, 40.750, 0.016),
    (3, -74.005, 40.718, 0.008),
    (2, -73.872, 40.774, 0.003),
)
NOWHERE = {"yellow": 0.018, "green": 0.003}  # trips whose meter had no position: "0,0"


class Ride(NamedTuple):
    """The parts of a trip that hang together, as finished text with its commas."""

    seconds: int
    vendor: str
    lead: str
    middle: str
    tail: str


@lru_cache(maxsize=4)
def moments(seed: int) -> list[int]:
    """Return seconds of the day, as often as trips start then."""
    dice = Random(f"{seed}/moments")
    hours = dice.choices(range(24), BUSY, k=MOMENTS)
    return [hour * 3600 + dice.randrange(3600) for hour in hours]


@lru_cache(maxsize=64)
def days(seed: int, month: str) -> list[tuple[str, str]]:
    """Return ("2015-01-31 ", "2015-02-01 "), a day and the next, as often as trips start then."""
    first = date.fromisoformat(month + "-01")
    count = monthrange(first.year, first.month)[1]
    dates = [first + timedelta(days=n) for n in range(count + 1)]
    dice = Random(f"{seed}/days/{month}")
    weights = [
        WEEKDAYS[day.weekday()] * dice.uniform(0.95, 1.05) * (1 - 0.15 * precipitation(seed, day))
        for day in dates[:-1]
    ]
    numbers = dice.choices(range(count), [max(w, 0.2) for w in weights], k=4_096)
    return [(f"{dates[n]} ", f"{dates[n + 1]} ") for n in numbers]


@lru_cache(maxsize=8)
def pick_ups(seed: int, colour: Colour, number: Number) -> list[str]:
    """Return "longitude,latitude," of places where this colour's trips start."""
    return _places(Random(f"{seed}/pick-ups/{colour}"), colour, number)


@lru_cache(maxsize=8)
def drop_offs(seed: int, colour: Colour, number: Number) -> list[list[str]]:
    """Return, for each hour of the day, "longitude,latitude," of places where trips end then."""
    dice = Random(f"{seed}/drop-offs/{colour}")
    city = _places(dice, colour, number)
    goldman = [_inside(dice, GOLDMAN, number) for _ in range(256)]
    citigroup = [_inside(dice, CITIGROUP, number) for _ in range(256)]
    share = 1.0 if colour == "yellow" else GREEN_SHARE
    hours = []
    for level in AT_THE_BANK:
        count = max(1, round(level * share))
        table = dice.choices(goldman, k=count) + dice.choices(citigroup, k=2 * count)
        hours.append(table + dice.choices(city, k=DROP_OFFS - len(table)))
    return hours


@lru_cache(maxsize=16)
def rides(seed: int, form: FileFormat, year: int) -> list[Ride]:
    """Return rides in a file's format; more of them are paid by card in later years."""
    dice = Random(f"{seed}/rides/{form.colour}/{year}")
    card = (0.53 if form.colour == "yellow" else 0.42) + 0.035 * (year - 2013)
    shares = (card, 0.988 - card, 0.009, 0.003)
    return [_ride(dice, form, shares) for _ in range(RIDES)]


def _ride(dice: Random, form: FileFormat, shares: tuple[float, ...]) -> Ride:
    airport = dice.random() < 0.02
    miles = dice.uniform(15, 20) if airport else min(dice.lognormvariate(0.55, 0.8), 60)
    seconds = int(miles * dice.uniform(150, 420)) + dice.randint(30, 240)
    paid = dice.choices(range(4), shares)[0]
    fare = 52.0 if airport else round(2 * (2.5 + 1.9 * miles + seconds / 240)) / 2
    extra = dice.choice((0, 0, 0.5, 0.5, 1))
    tolls = 5.33 if airport or dice.random() < 0.02 else 0
    tax = 0.5 if form.rate_and_tax else 0
    improvement = 0.3 if form.improvement else 0
    tip = _tip(dice, fare + extra + tax + improvement + tolls) if paid == 0 else 0
    sign = -1 if paid == 3 and form.improvement else 1  # a disputed fare is booked back
    total = round(sign * (fare + extra + tax + improvement) + tip + tolls, 2)
    money = [_plain(sign * value) for value in (fare, extra, tax)]
    money = [*money, _plain(tip), _plain(tolls)]
    second = dice.random() < 0.53
    people = dice.choices(range(7), (1, 700, 140, 40, 20, 57, 42))[0]
    rate = "2" if airport else dice.choices(("1", "5"), (99, 1))[0]
    flag = "Y" if dice.random() < 0.012 else "N"
    common = _Common(
        form.vendors[second], people, _distance(miles, form), rate, flag, form.payments[paid]
    )
    text = _yellow_ride if form.colour == "yellow" else _green_ride
    return text(common, form, seconds, money, sign * improvement, total)


class _Common(NamedTuple):
    vendor: str
    people: int
    distance: str
    rate: str
    flag: str
    payment: str


def _yellow_ride(
    of: _Common, form: FileFormat, seconds: int, money: list[str], improvement: float, total: float
) -> Ride:
    flag = of.flag if of.vendor != form.vendors[1] or form.flag_of_second_vendor else ""
    rate = of.rate if form.rate_and_tax else ""
    if not form.rate_and_tax:
        money = [*money[:2], "", *money[3:]]
    sums = [*money, *([_plain(improvement)] if form.improvement else []), _plain(total)]
    tail = ",".join([of.payment, *sums]) + form.line_end
    lead = f",{of.people},{of.distance},"
    return Ride(seconds, f"{of.vendor},", lead, f"{rate},{flag},", tail)


def _green_ride(
    of: _Common, form: FileFormat, seconds: int, money: list[str], improvement: float, total: float
) -> Ride:
    kind = ("2" if of.rate == "5" else "1") if form.trip_type else ""
    surcharge = [_plain(improvement)] if form.improvement else []
    sums = [*money, "", *surcharge, _plain(total), of.payment, kind]
    tail = ",".join([str(of.people), of.distance, *sums, *[""] * form.extra_columns])
    return Ride(seconds, f"{of.vendor},", f",{of.flag},{of.rate},", "", tail + form.line_end)


def _tip(dice: Random, bill: float) -> float:
    if dice.random() < 0.04:
        return float(dice.randint(10, 20))
    share = dice.choices((0, 0.1, 0.15, 0.2, 0.25, 0.3), (7, 8, 20, 45, 16, 4))[0]
    return round(bill * share, 2) if dice.random() < 0.8 else float(round(bill * share))


def _plain(value: float) -> str:
    return f"{value:.10g}"


def _distance(miles: float, form: FileFormat) -> str:
    if form.number == "%.17g":
        return f"{round(miles, 1):.17g}"
    return f"{miles:.2f}".removeprefix("0") if form.number == "float32" else f"{miles:.2f}"


def _places(dice: Random, colour: Colour, number: Number) -> list[str]:
    areas = MANHATTAN if colour == "yellow" else BOROUGHS
    chosen = dice.choices(areas, [area[0] for area in areas], k=PLACES)
    points = [
        _point(dice.gauss(lon, spread), dice.gauss(lat, spread), number)
        for _, lon, lat, spread in chosen
    ]
    lost = round(NOWHERE[colour] * PLACES)
    missing = 4 if number == "%.17g" else 0  # the older files leave some out altogether
    return points[: PLACES - lost - missing] + ["0,0,"] * lost + [",,"] * missing


def _inside(dice: Random, box: Box, number: Number) -> str:
    margin = 1e-5  # so that rounding to the file's digits leaves no point outside
    lon = dice.uniform(box.west + margin, box.east - margin)
    return _point(lon, dice.uniform(box.south + margin, box.north - margin), number)


def _point(longitude: float, latitude: float, number: Number) -> str:
    return f"{_degrees(longitude, number)},{_degrees(latitude, number)},"


def _degrees(value: float, number: Number) -> str:
    if number == "float32":
        return f"{unpack('f', pack('f', value))[0]:.17g}"
    return number % round(value, 6)
